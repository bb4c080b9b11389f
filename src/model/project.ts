import type { HazardCode } from './codes.js'
import type { ElementReaders } from './element_readers.js'
import type { ExpectedKind } from './expected.js'
import type { ForeignFile, ForeignLayout, Transaction } from './foreign.js'
import type { TrackTypes } from './mapping.js'
import type { BesideTrack } from './other_tool.js'
import type { Finding } from './report.js'

/** expand: additive - backfill: batched, online - contract: constraints and removals. */
export type Phase = 'expand' | 'backfill' | 'contract'
/** The order in which phases may follow each other in a track. */
export const phases: readonly Phase[] = ['expand', 'backfill', 'contract']

/** A file as read from disk. */
export interface SqlFile {
  /** The path as shown to people, relative to the folder with migrations/, rollbacks/ and verify/. */
  path: string
  /** The text as it is on disk, with BOM and CRs. */
  text: string
  /** sha256 in hex of the text without BOM and with normalised line ends. */
  checksum: string
}

/** The header of a backfill. All SQL fragments refer to the table by its alias in the body. */
export interface BackfillSpec {
  /** The table whose pages are processed, with its schema. */
  table: string
  /** A predicate for the rows that are left to process. */
  pending: string
  /** An expression: why a row cannot be processed; null if it can. */
  reason: string | null
  /** The column that `--workspace` filters by. */
  unit: string | null
  /**
   * Columns that identify and order rows, for a table without pages of its own. Empty for its primary key.
   */
  key: string[]
  /** The migration whose constraint prevents new pending rows; else null. */
  until: string | null
}

/** One file of migrations/<track>/, or one of another tool. */
export interface Migration {
  track: string
  /** File name without `.sql`. The track and this name identify the migration in the ledger. */
  name: string
  /**
   * The digits of the version without leading zeros, so that it can be compared as a number of any length.
   */
  version: string
  title: string
  file: SqlFile
  phase: Phase
  transaction: Transaction
  /** Objects that must exist before: `table x`, `function y()`, `column t.c`, `schema s` and so on. */
  requires: string[]
  /** Why the old application does not survive this, else null. */
  endsOldApp: string | null
  /** Hazards that the header declares, in addition to those of the statements. */
  hazards: HazardCode[]
  backfill: BackfillSpec | null
  /** Why there is no rollback, else null. */
  irreversible: string | null
  /** The migration whose rollback covers this one, else null. */
  undoneBy: string | null
  rollback: Rollback | null
  foreign: ForeignFile | null
}

/** One file of rollbacks/<track>/. */
export interface Rollback {
  file: SqlFile
  transaction: Transaction
  title: string
  /** By `schema.table[.column]`: a predicate for the rows that a repeated `migrate` makes again. */
  ours: { object: string; predicate: string }[]
  /**
   * Rows that a table which stays also holds, edits included. A restore leaves them to the repeated
   * `migrate`, whatever the archive has.
   */
  mirrored: { object: string; predicate: string }[]
  /**
   * By `mirrored` table: the columns, as SQL, that the other table also holds. If a row that a `migrate` made
   * again is equal in them, a restore writes its other archived values back.
   */
  alike: { object: string; predicate: string }[]
  /** Line number of `ours` in the header; 0 if there is none. */
  oursLine: number
  /** By table: an expression that updates what its rows derive from others. A restore ends with it. */
  catchUp: { object: string; predicate: string }[]
  /**
   * A predicate for rows of `ours` that a restore deletes, because archived rows take their place; else null.
   */
  superseded: string | null
}

/** The contents of `track.json`: tables, columns and settings. Names are plain identifiers. */
export interface TrackInfo extends TrackTypes {
  title: string
  /** The kind of database that it is for. */
  for: string
  sessions: {
    table: string
    id: string
    /** Column with the time of the last activity. */
    active: string
    started?: string
    title?: string
    /** Column with the workspace of a session. All messages of a session belong to its workspace. */
    workspace?: string
    /** Column with the status, for `prune`. */
    status?: string
    /** The status of sessions that `prune` has archived. */
    archivedStatus?: string
    /** Column with the time of the end. */
    ended?: string
    /** Column with the time at which a session was marked as deleted, for `prune --soft`. */
    deleted?: string
    /** JSON column with the messages, if they have no table. */
    history?: string
    /** Tables shown with a session. `table.id` references the session's column `on`. */
    with?: { table: string; on: string; as: string; columns: string[] }[]
  }
  /**
   * `session` of a message is the session's `to`, by default its id. `role` is a column; of several names,
   * the table has one.
   */
  messages?: {
    table: string
    session: string
    to?: string
    role?: string | string[]
    content: string
    created: string
  }
  /** The filters of `sessions list`, by name. */
  filters?: Record<string, SessionFilter>
  /** The track's settings in the configuration. */
  settings?: Record<string, { help: string; default: string | null; values?: string[]; pattern?: string }>
  /** What rows of such a database look like: a predicate and its meaning, after "rows" or "none of". */
  shapes?: { table: string; what: string; is: string }[]
  /** Messages in a JSON column, which `doctor` and `plan` examine before they are migrated. */
  elements?: ElementReaders
  /** How to act as a user: the claim of the token, and the column with its values. */
  persona: { claim: string; of: string }
  /** Whose visible rows are recorded before the first step, and which rows correspond afterwards. */
  sight?: { persons: string; rows: { before: VisibleRows; after: VisibleRows }[] }
}

/** A column of the sessions that a list can filter by. It is shown under the filter's name. */
interface SessionFilter {
  column: string
  help: string
  /** The possible values. Omitted if any value is possible. */
  values?: string[]
  /** The values that a list shows by default. */
  default?: string[]
}

/** Rows that a user sees, identified by an id. */
export interface VisibleRows {
  table: string
  id: string
}

/** One file of verify/<track>/. */
export interface Check {
  track: string
  name: string
  title: string
  file: SqlFile
  level: 'info' | 'warn' | 'error'
  /** The migration that must be applied before the check applies, else null. */
  after: string | null
  /** The migration after which the check no longer applies, else null. */
  until: string | null
  /** The migration before which the check must pass, else null. */
  gate: string | null
  /**
   * check: finds what is wrong. listing: shows rows. account: counts what came in, for `prove`. outlook: runs
   * before the migration, in `plan`. access: seeds personas and says who may do what. probe: acts as one of
   * them.
   */
  kind: 'check' | 'listing' | 'account' | 'outlook' | 'access' | 'probe'
  /** The hazard that an outlook reports for migration `at`, unless setting `unlessSet` is set; else null. */
  hazard: { code: HazardCode; at: string; unlessSet: string | null } | null
  /** True for an expensive check, which only runs with `--deep` or by name. */
  deep: boolean
  /** For `verify --mutants`: statements that this check must notice. Null if the general mutants suffice. */
  mutant: string | null
  /** True for the checks of verify/_every/, which apply to every track. */
  shared: boolean
  /** Objects without which the check would examine nothing, as `missingObjects` names them. */
  requires: string[]
  /** The optional table or column that it needs, or does without: for such databases only; else null. */
  needs: string | null
  lacks: string | null
  /** How to fix what it finds, in words; null if the file does not say. */
  fix: string | null
  /** The part of the track's expected.json that it compares with the database, else null. */
  expects: ExpectedKind | null
  /** The persona that a probe starts as, else null. */
  as: string | null
}

/** The last row of an access file; see docs/verification.md. */
export interface Access {
  personas: Record<string, Persona>
  tables: AccessTable[]
  calls: AccessCall[]
}

/** The objects that a track creates, by their names in its files. */
export interface TrackObjects {
  tables: string[]
  /** Tables that the files alter or update, including the application's. */
  touched: string[]
  indexes: string[]
  policies: { table: string; name: string }[]
  triggers: { table: string; name: string }[]
  constraints: { table: string; name: string }[]
  /** Functions outside of the tool's own schemas, without arguments. */
  functions: string[]
  /** Tables, and functions without arguments, in schemas that users never reach. */
  internal: string[]
}

/**
 * A user as the API presents it: role, claims, and settings with the value of `sub` (default `app.user_id`);
 * `claims->>id` is a setting with JSON, and the key in it.
 */
export interface Persona {
  role: string
  claims: Record<string, unknown>
  settings?: string[]
}

/** What is tried on a table. `move` gives a row to another tenant. */
export const operations = ['select', 'insert', 'update', 'delete', 'move'] as const
/** One of them. */
export type Operation = (typeof operations)[number]

/** Which personas may do what with the owner's row of one table. */
export interface AccessTable {
  table: string
  /** Columns and values that identify the owner's row. */
  row: Record<string, string>
  /** The column that an update sets. */
  touch: string
  /** Columns that decide whose a row is, each with the outsider's value. */
  move: Record<string, string>
  may: Record<Operation, string[]>
  /** A query of the application, to measure the cost of the policies. */
  reads: string | null
  /** A predicate, evaluated without row security: rows that the persona in `rethread.persona` may see. */
  sees: string | null
}

/** A statement, and the personas that may run it with effect. */
interface AccessCall {
  name: string
  sql: string
  may: string[]
  /** The personas that try it; null for all. */
  personas: string[] | null
}

/** A named set of migrations in order of application, for one kind of source schema. */
export interface Track extends BesideTrack {
  name: string
  /** The folder with migrations/, rollbacks/ and verify/. */
  root: string
  layout: ForeignLayout | null
  migrations: Migration[]
  checks: Check[]
  /** Checks for databases without one of its tables: `init` copies them there, nothing else runs them. */
  checksWithout?: Check[]
}

/** All files that were found, with all of their faults. */
export interface Project {
  root: string
  tracks: Track[]
  faults: Finding[]
}

/** True for checks that act as a user. They write, and are rolled back. */
export const acts = (check: Pick<Check, 'kind'>): boolean => check.kind === 'access' || check.kind === 'probe'

/** The stable name of a check's finding on an object. The configuration accepts findings by it. */
export const findingKey = (check: { track: string; name: string }, object: string): string =>
  `${check.track}/${check.name}/${object}`

/** `track/name`, the identity of a migration in the ledger. */
export const idOf = (m: { track: string; name: string }): string => `${m.track}/${m.name}`
