import type { Code, Level } from './codes.js'

/** What one fact can be: a value of JSON, or a list of texts. */
export type FactValue = string | number | boolean | null | string[]

/** The facts of a code that needs none: its subject says it all. */
type NoFacts = Record<string, never>

/** Codes that a comment in the SQL can excuse: `-- allow <code>: <reason>`. */
type Excusable = {
  /** The reason that the comment gives; null where nobody excused it. */
  excused: string | null
}

/** Why something is wrong, as the end of a sentence: lower case, no full stop. */
type Reason = {
  reason: string
}

/** A statement in a file, by its first line. */
type WithSql = {
  sql: string
}

/** Why a file has no statement, such as `only comments`; null where it is empty. */
type Emptiness = {
  reason: string | null
}

/** Objects that a report shows, each with `+` (new), `-` (gone) or `~` (defined otherwise) in front. */
type Differences = {
  objects: string[]
}

/** A list that is never empty. */
type Some = [string, ...string[]]

/** Rows that a finding counts. */
type Rows = {
  rows: number
}

/** What to paste to go on. */
type Next = {
  command: string
}

/** Where a rehearsal ran: on the target, in a transaction that was rolled back, or on a copy. */
type RehearsedOn = 'target' | 'copy'

/** What `prune` would do or did. */
type Pruning = {
  count: number
  /** Kind of thing, such as `session(s)`. */
  what: string
  /** What becomes of it, as `deleted with their messages`. */
  how: string
}

/**
 * The facts of every finding, by its code. `finding()` and `Failure` take them, the sentences in
 * `render/words/` are made from them, and a reader of a report narrows on `code` to get at them. None is ever
 * left out: what may be unknown is null.
 */
export interface Facts {
  // files
  NO_TRACKS: NoFacts
  DUPLICATE_VERSION: {
    version: string
    /** Path of the other file. */
    other: string
  }
  BAD_FILE_NAME: {
    /** The shape that the name should have. */
    wanted: string
  }
  BAD_HEADER: Reason
  EMPTY_FILE: Emptiness
  NOT_UTF8: NoFacts
  BAD_TRACK_INFO: Reason
  BAD_EXPECTED: Reason
  BAD_SETTING: {
    reason: string
    /** Names or values that would be right; empty where there is no list of them. */
    known: string[]
  }
  NO_TRACK_INFO: NoFacts
  FILE_EXISTS: NoFacts
  SEEN: { track: string }
  COPIED: {
    /** Folder, seen from where the command ran. */
    to: string
    files: number
    /** How many names were replaced. */
    names: number
  }
  NO_SESSIONS_TABLE: NoFacts
  NO_SUCH_SESSION: { table: string }
  DROP_BEFORE_CREATE: {
    table: string
    /** Path of the file that creates it. */
    creates: string
  }
  SWALLOWED_EXCEPTION: Excusable
  DEFINER_WITHOUT_SEARCH_PATH: { name: string } & Excusable
  POLICY_WITHOUT_TO: { policy: string; table: string } & Excusable
  POLICY_WITHOUT_CHECK: { policy: string; table: string } & Excusable
  BULK_WRITE: {
    table: string
    /** Whether it has a WHERE. */
    where: boolean
  } & Excusable
  RLS_BEFORE_POLICIES: { table: string } & Excusable
  CASCADING_DROP: WithSql & Excusable
  ENUM_VALUE_TOO_EARLY: { value: string } & Excusable
  SQUAWK: { rule: string; message: string; help: string | null } & Excusable
  BYTE_ORDER_MARK: NoFacts
  CR_IN_BODY: {
    /** Path of the file. */
    file: string
  }
  PSQL_META_COMMAND: {
    /** The line, or the statement's first one. */
    excerpt: string
  }
  SYNTAX: {
    /** Column of the line, from 1, in characters. */
    column: number
    /** The line itself. */
    excerpt: string
  } & Reason
  TRANSACTION_CONTROL: WithSql
  UNPROVABLE_STATEMENT: {
    sql: string
    /** True where it drops a column, whose values are archived in the transaction that drops it. */
    drops: boolean
  }
  NEEDS_NO_TRANSACTION: WithSql
  NAME_TOO_LONG: { name: string }
  BAD_BACKFILL: Reason
  MISSING_ROLLBACK: {
    /** Path of the file to write. */
    wanted: string
  }
  EMPTY_ROLLBACK: Emptiness
  ORPHAN_ROLLBACK: NoFacts
  MISSING_VERIFY: NoFacts
  PHASE_ORDER: {
    phase: string
    /** Path of the file before it. */
    before: string
    beforePhase: string
  }
  UNKNOWN_REFERENCE: {
    /** Key of the header. */
    key: string
    /** What it names. */
    names: string
  }
  BAD_CONFIG: Reason
  // history
  APPLIED_FILE_CHANGED: NoFacts
  APPLIED_FILE_REFORMATTED: NoFacts
  APPLIED_FILE_MISSING: {
    /** When it was applied, UTC. */
    at: string
  }
  OUT_OF_ORDER: {
    /** Path of the newest applied file. */
    after: string
  }
  UNFINISHED: {
    outcome: string
    direction: 'up' | 'down' | 'baseline'
    /** Statements that were finished. */
    reached: number
    /** When it was begun, UTC. */
    at: string
  }
  /** Versions of our own schema: the one in the database, the newest that this release knows. */
  NEWER_LEDGER: { found: number; known: number }
  LEDGER_ABSENT: NoFacts
  NOT_SAMPLED: Reason
  BAD_PIN: Reason
  PLAN_CHANGED: { changes: string[] }
  PLAN_OUTDATED: { changes: string[] }
  REHEARSED: {
    steps: number
    on: RehearsedOn
  }
  OLD_APP_CHANGES: {
    /** Moment, as `after 003_fill`. */
    after: string
    /** What the statement came to before the migration and at that moment: rows, or the server's fault. */
    before: string
    now: string
  }
  REHEARSED_HERE: NoFacts
  /** Numbers of migrations that are applied: on the copy, on the target. */
  REHEARSED_ELSEWHERE: { applied: number; target: number }
  REHEARSAL_STUCK: Reason
  REHEARSAL_DIFFERS: { on: RehearsedOn } & Differences
  // target
  NO_DATABASE_URL: NoFacts
  BAD_URL: Reason
  NO_SERVER: {
    /** Code of the system, the driver or the server, such as ENOTFOUND; null where the error has none. */
    code: string | null
  } & Reason
  WRONG_PASSWORD: Reason
  NO_SUCH_DATABASE: { server: string }
  CONNECTION_LOST: Reason
  SERVER_TOO_OLD: {
    /** Oldest major version that works. */
    oldest: string
  }
  SERVER_UNTESTED: NoFacts
  READ_ONLY_SERVER: { why: string }
  TRANSACTION_POOLER: NoFacts
  /**
   * A table that only its owner may alter or read, or a database where we may create no schema; `role` is
   * ours.
   */
  MISSING_PRIVILEGE: { role: string } & (
    | { wants: 'OWNERSHIP' | 'SELECT'; owner: string }
    | { wants: 'CREATE'; owner: null }
  )
  ROWS_HIDDEN: {
    owner: string
    /** True when row security holds for the owner too. */
    forced: boolean
    /** The role that we are. */
    role: string
  }
  MISSING_PREREQUISITE: NoFacts
  ALREADY_EXISTS: {
    /** Path of the file that would make it. */
    migration: string
    track: string
    /** Name of the migration. */
    name: string
  }
  BASELINE_UNPROVEN: {
    /** Objects, statements and rows that the catalog does not show. */
    missing: string[]
  }
  ANOTHER_RUN: {
    /** Its backend; null when it has none any more. */
    pid: number | null
    waitedSeconds: number
  }
  TRACK_UNCLEAR: {
    reason: string
    /** Candidates. */
    tracks: string[]
  }
  OTHER_TRACK: {
    /** Tracks that fit this database. */
    tracks: Some
  }
  EVENT_TRIGGERS: { triggers: string[] }
  PUBLISHED_TABLE: { publications: Some }
  FIRING_TRIGGERS: { triggers: string[] }
  OUTLOOK: { detail: string; check: string }
  BLOCKER_NOW: {
    /** Mode of its lock, as PostgreSQL names it. */
    mode: string
    who: string
  }
  SERVER_STRAINED: { reasons: string[] }
  INVALID_INDEX: NoFacts
  FITS: NoFacts
  // runs
  NOTHING_TO_DO: {
    /** How many migrations are applied. */
    applied: number
  }
  PENDING: {
    count: number
    /** Name of the first one. */
    first: string
  }
  STOPPED_BEFORE: {
    why: 'ends-old-app' | 'target' | 'phase' | 'no-backfill'
    /** What ends the old application, in the words of the file; null where it was stopped as asked. */
    because: string | null
    /** Migrations that are left. */
    left: number
    database: string
  } & Next
  CONSENT_NEEDED: {
    /** All hazards that `--allow` must name, given or not. */
    allow: string[]
    /** Those that were not given. */
    missing: string[]
    /** Name of the database, where `--confirm` must give it. */
    confirm: string | null
    because: string[]
  }
  LOCK_TIMEOUT: {
    attempts: number
    /** How long it was tried. */
    seconds: number
    sqlstate: string
    /** Transactions that stood in the way, in words; empty where nobody could be named. */
    blockers: string[]
    /** Their backends. */
    pids: string[]
  }
  SQL_ERROR: {
    sqlstate: string | null
    reason: string
    detail: string | null
    hint: string | null
    /** Column of the line, from 1, in characters; null with `excerpt` where the server gave no position. */
    column: number | null
    excerpt: string | null
    /** The server's CONTEXT. */
    context: string | null
  }
  /** Roles at the beginning and at the end of the file. */
  ROLE_CHANGED: { before: string; after: string }
  SETTINGS_LEAKED: { settings: string[] }
  FOREIGN_INVALID_INDEX: {
    /** Backend that is building it, else null. */
    builder: number | null
  }
  DIFFERENT_DEFINITION: { found: string }
  FENCED: NoFacts
  GATE: { check: string } & Rows
  INTERRUPTED: {
    /** What goes on; null for the same command again. */
    command: string | null
  }
  ROLLBACK_COST: {
    /** Rows that would be at risk; null where they could not be counted in passing. */
    atRisk: number | null
  } & Next
  QUARANTINED: { migration: string } & Rows
  WORK_LEFT: {
    /** How often the closing sweep went over the table. */
    sweeps: number
  } & Rows
  HELPED: Rows
  NO_ROWS: { migration: string }
  // checks
  CHECK_FAILED: Reason
  /**
   * `roles` are those that `role`, which is ours, may not become; none where something else was in the way.
   */
  PROBE_SKIPPED: Reason & ({ roles: Some; role: string } | { roles: []; role: null })
  POLICY_PER_ROW: {
    filter: string
    /** Node of the plan. */
    node: string
  }
  POLICY_SCANS: {
    /** What the scan filters by, else null. */
    filter: string | null
  } & Rows
  ACCEPTANCE_OVER: {
    reason: string
    /** Its last day. */
    until: string
  }
  ACCEPTANCE_UNUSED: {
    /** Its last day. */
    until: string
  }
  NO_ACCESS_FILE: NoFacts
  RECOUNTED: {
    units: number
    /** How many of them are not as the backfill left them. */
    differ: number
  }
  NOT_ACCOUNTED: Rows
  NOTHING_CAME_IN: NoFacts
  SEES_MORE: Rows
  SEES_LESS: Rows
  SAW_EVERYTHING: NoFacts
  NO_SIGHTS: NoFacts
  MUTANT_SURVIVED: WithSql
  MUTANTS: { caught: number; of: number }
  NOTHING_APPLIED: NoFacts
  NO_CHECKS_RUN: NoFacts
  // rollback and restore
  TARGET_NEEDED: { applied: string[] }
  UNKNOWN_MIGRATION: {
    track: string
    /** Migrations of the track. */
    names: string[]
  }
  AMBIGUOUS_MIGRATION: {
    /** Migrations that it could be. */
    names: string[]
  }
  DESTROYS_UNARCHIVED: {
    /** File and line of the statement. */
    at: string
    /** First line of the statement. */
    sql: string
    /** What it takes away, each with the reason. */
    takes: string[]
    /** What is missing: an archive, or consent by name. */
    wanted: 'archive' | 'consent'
    /** What to do instead. */
    instead: string
  }
  IRREVERSIBLE: {
    reason: string
    /** Migration that is undone together with it, else null. */
    undoneBy: string | null
  }
  LOSS: {
    /** Rows that would be lost without the archive: `edited` and `users` together, of a table. */
    atRisk: number
    /** Made by the migration and written since. */
    edited: number
    /** Made by users. */
    users: number
  } & Rows
  DEPENDANTS: { objects: string[] }
  ARCHIVED: Rows & Next
  NO_ARCHIVE: { known: string[] }
  ROLLED_BACK_EXACTLY: NoFacts
  ROLLBACK_DIFFERS: Differences
  UNTESTED_ROLLBACK: {
    result: 'drifted' | 'failed'
    /** What differs, or what was in the way. */
    objects: string[]
  }
  PRUNABLE: Pruning & Next
  PRUNED: Pruning
  ARCHIVE_CHANGED: {
    /** Rows that it was sealed with. */
    sealed: number
  } & Rows
  RESTORE_CONFLICT: {
    /** The first of them, with the reason. */
    first: string[]
  } & Rows
  RESTORED: Rows
  DRIFT: Differences
  // usage and the rest
  DEMO_NEXT: {
    /** Whether the rollback left the database as it was before. */
    identical: boolean
  }
  USAGE: {
    reason: string
    /** What would be right; empty where there is no list of it. */
    known: string[]
    /** What was probably meant, ready to type; else null. */
    meant: string | null
  }
  NO_EMBEDDED: { platform: string }
  EMBEDDED_FAILED: Reason
  UNEXPECTED: {
    /** Whose refusal it is: the operating system's, the server's; else a fault of ours. */
    by: 'rethread' | 'system' | 'server'
    /** Code of the system, SQLSTATE of the server; null where there is none. */
    code: string | null
  } & Reason
}

/** Codes whose finding a comment in the SQL can excuse. */
export type ExcusableCode = { [C in Code]: Facts[C] extends Excusable ? C : never }[Code]

/**
 * A fact worth a sentence: what (`code`), how loud (`level`), on what (`subject`), with which values
 * (`serverFacts`).
 */
export type FindingOf<C extends Code> = {
  [K in C]: { code: K; level: Level; subject: string; facts: Facts[K] }
}[C]

/** Any finding; narrowing on `code` types its facts. */
export type Finding = FindingOf<Code>

/** Where a code is known only as one of several, the facts must suit all of them. */
type FactsOf<C extends Code> = (C extends Code ? (facts: Facts[C]) => void : never) extends (
  facts: infer F,
) => void
  ? F
  : never

/** Arguments after code and subject: facts may be left out only where the code has none. */
export type WithFacts<C extends Code, More extends unknown[]> =
  FactsOf<C> extends NoFacts ? [facts?: NoFacts, ...more: More] : [facts: FactsOf<C>, ...more: More]
