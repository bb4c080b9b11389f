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
  /** Path as shown to people, relative to the folder that holds the three folders. */
  path: string
  /** Text with a BOM and CRs as they are on disk. */
  text: string
  /** sha256 of the text with line ends normalised and a BOM dropped; hex. */
  checksum: string
}

/**
 * What a backfill file says about itself; all SQL fragments refer to the batched table
 * by its alias in the body.
 */
export interface BackfillSpec {
  /** schema.table whose pages are walked. */
  table: string
  /** Predicate: what is left to do. */
  pending: string
  /** Expression: why a row that is left can't be done; null when it should have been. */
  reason: string | null
  /** Column that `--workspace` filters by. */
  unit: string | null
  /**
   * Columns that tell rows apart and order them, for a table without pages of its own;
   * empty for its primary key.
   */
  key: string[]
  /** The migration that makes a later pending row impossible, by a constraint; else null. */
  until: string | null
}

/** One file of migrations/<track>/, or one of another tool. */
export interface Migration {
  track: string
  /** Basename without `.sql`; with the track it is the identity in the ledger. */
  name: string
  /** Digits of the version, leading zeros dropped, so that it compares as a number of any length. */
  version: string
  title: string
  file: SqlFile
  phase: Phase
  transaction: Transaction
  /** Objects that must be there before: `table x`, `function y()`, `column t.c`, `schema s` and so on. */
  requires: string[]
  /** Why the old application does not survive this, else null. */
  endsOldApp: string | null
  /** Hazards that the header names beside those seen in the statements. */
  hazards: HazardCode[]
  backfill: BackfillSpec | null
  /** Why there is no way back, else null. */
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
  /**
   * Which rows a repeated `migrate` would make again: for each `schema.table[.column]`, as SQL, a predicate.
   */
  ours: { object: string; predicate: string }[]
  /**
   * Rows that are in a table which the rollback leaves, edits included: restore leaves them to the repeated
   * `migrate`, whatever the archive says of them.
   */
  mirrored: { object: string; predicate: string }[]
  /**
   * For a table of `mirrored`, the columns (as SQL) that the other table holds too: a row that a `migrate`
   * made again and in which they are as in the archive gets its other archived values back.
   */
  alike: { object: string; predicate: string }[]
  /** Line of the header's `ours`; 0 without one. */
  oursLine: number
  /** Of a table, the expression that brings what a row derives into step, at a restore's end. */
  catchUp: { object: string; predicate: string }[]
  /**
   * Predicate on rows of `ours`: those that a restore takes away again, because the archive's rows
   * do their work; else null.
   */
  superseded: string | null
}

/** What `track.json` says of a track: its tables, columns and settings. Names are plain identifiers. */
export interface TrackInfo extends TrackTypes {
  title: string
  /** What kind of database it is for. */
  for: string
  sessions: {
    table: string
    id: string
    /** Column with the time of the last activity. */
    active: string
    started?: string
    title?: string
    /** Column with the workspace of a session. A message never belongs to a session of another workspace. */
    workspace?: string
    /** Column with the state, for `prune`. */
    status?: string
    /** State of sessions that `prune` has archived. */
    archivedStatus?: string
    /** Column with the time of the end. */
    ended?: string
    /** Column with the time at which a session was marked as deleted, for `prune --soft`. */
    deleted?: string
    /** JSON column that holds the messages, where there is no table of them. */
    history?: string
    /** Tables shown with a session: `table.id` is the session's column `on`. */
    with?: { table: string; on: string; as: string; columns: string[] }[]
  }
  /**
   * `session` of a message is the session's `to` (its id by default). `role`: its column, or several of which
   * a table has the one or the other.
   */
  messages?: {
    table: string
    session: string
    to?: string
    role: string | string[]
    content: string
    created: string
  }
  /** What `sessions list` can be asked for, by name. */
  filters?: Record<string, SessionFilter>
  /** Settings that the configuration may have. */
  settings?: Record<string, { help: string; default: string | null; values?: string[]; pattern?: string }>
  /**
   * What the rows of a database of this kind look like: a predicate over a row, and what it means,
   * after "rows" or "none of".
   */
  shapes?: { table: string; what: string; is: string }[]
  /** Messages that are in a JSON column, for `doctor` and `plan` to look at before they are migrated. */
  elements?: ElementReaders
  /** How somebody is impersonated: the claim of the token, and the column whose values it takes. */
  persona: { claim: string; of: string }
  /** Whose sight is recorded before the first step, and which rows of then are which rows of now. */
  sight?: { persons: string; rows: { before: VisibleRows; after: VisibleRows }[] }
}

/** A column of the sessions that a list is filtered by, and shows under the filter's name. */
interface SessionFilter {
  column: string
  help: string
  /** The only values that there are; left out where any value may come. */
  values?: string[]
  /** What a list shows when it is not asked for others. */
  default?: string[]
}

/** Rows that somebody sees, distinguished by an id. */
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
  /** Migration that must be applied for the check to mean anything, else null. */
  after: string | null
  /** Basename of the migration from which on it means nothing any more; else null. */
  until: string | null
  /** Migration before which the check must pass, else null. */
  gate: string | null
  /**
   * A check finds what is wrong; a listing shows rows; an account counts what came in, for `prove`; an
   * outlook speaks before the migration, in `plan`; access seeds personas and says who may do what; a
   * probe acts as one of them.
   */
  kind: 'check' | 'listing' | 'account' | 'outlook' | 'access' | 'probe'
  /** The hazard of migration `at` that an outlook finds, unless setting `unlessSet` is set; else null. */
  hazard: { code: HazardCode; at: string; unlessSet: string | null } | null
  /** True when it reads so much that it runs only where it is asked for, by `--deep` or by name. */
  deep: boolean
  /** Statements that must wake this very check; for `verify --mutants`. Null where the general mutants do. */
  mutant: string | null
  /** True for the checks of verify/_every/, which every track has. */
  shared: boolean
  /** Columns and the like without which it would look at nothing, as `missingObjects` names them. */
  requires: string[]
  /** The optional role that it needs, or does without: `init` copies it for such databases; else null. */
  needs: string | null
  lacks: string | null
  /** What to do about what it finds, in words; null where the file does not say. */
  fix: string | null
  /** What it compares the database with: a part of the track's expected.json, else null. */
  expects: ExpectedKind | null
  /** Persona of the track's access file that a probe starts as, else null. */
  as: string | null
}

/** What the last row of an access file says; see docs/verification.md. */
export interface Access {
  personas: Record<string, Persona>
  tables: AccessTable[]
  calls: AccessCall[]
}

/** The objects that a track makes, by the names that its files give them. */
export interface TrackObjects {
  tables: string[]
  /** Tables that the files alter or update, the application's own among them. */
  touched: string[]
  indexes: string[]
  policies: { table: string; name: string }[]
  triggers: { table: string; name: string }[]
  constraints: { table: string; name: string }[]
  /** Functions outside of the tool's own schemas, without their arguments. */
  functions: string[]
  /** Tables and functions in the schemas that users never reach, functions without their arguments. */
  internal: string[]
}

/** Somebody as the API presents them: role, claims, settings that have `sub` too (else `app.user_id`). */
export interface Persona {
  role: string
  claims: Record<string, unknown>
  settings?: string[]
}

/** What is tried on a table. A move gives a row to somebody else's tenant. */
export const operations = ['select', 'insert', 'update', 'delete', 'move'] as const
/** One of them. */
export type Operation = (typeof operations)[number]

/** Who may do what with the owner's row of one table. */
export interface AccessTable {
  table: string
  /** Columns and values that identify the seeded row of the owner. */
  row: Record<string, string>
  /** Column that an update touches. */
  touch: string
  /** Columns by which a row would change hands, each with the outsider's value. */
  move: Record<string, string>
  may: Record<Operation, string[]>
  /** A query as the application sends it, for the cost of the policies. */
  reads: string | null
  /** Predicate with full sight: rows that the person of the setting `rethread.persona` may see. */
  sees: string | null
}

/** A statement and who may run it with effect. */
interface AccessCall {
  name: string
  sql: string
  may: string[]
  /** The personas that try it; null for all. */
  personas: string[] | null
}

/** A named set of migrations, in the order in which they are applied, for one kind of source schema. */
export interface Track extends BesideTrack {
  name: string
  /** Folder that holds migrations/, rollbacks/ and verify/. */
  root: string
  layout: ForeignLayout | null
  migrations: Migration[]
  checks: Check[]
}

/** Everything that was found on disk, and every fault of it. */
export interface Project {
  root: string
  tracks: Track[]
  faults: Finding[]
}

/** True for checks that write, if only to be rolled back: they act as somebody. */
export const acts = (check: Pick<Check, 'kind'>): boolean => check.kind === 'access' || check.kind === 'probe'

/** The stable name of what a check finds on an object: to be accepted by in the configuration. */
export const findingKey = (check: { track: string; name: string }, object: string): string =>
  `${check.track}/${check.name}/${object}`

/** `track/name`, the identity of a migration in the ledger. */
export const idOf = (m: { track: string; name: string }): string => `${m.track}/${m.name}`
