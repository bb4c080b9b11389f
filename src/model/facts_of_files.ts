import type {
  Differences,
  Emptiness,
  Excusable,
  NoFacts,
  Reason,
  RehearsedOn,
  Some,
  WithSql,
} from './fact_shapes.js'

/** Facts of the findings about files, the ledger's history and the target, by code. */
export interface FactsOfFiles {
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
  DROP_BEFORE_CREATE: {
    table: string
    /** Path of the file that creates it. */
    creates: string
  }
  SWALLOWED_EXCEPTION: Excusable
  /** The part of a backfill's WITH that reads its table, and that table. */
  WITH_READS_TABLE: Excusable & { part: string; table: string }
  DEFINER_WITHOUT_SEARCH_PATH: { name: string; sets: boolean } & Excusable
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
    /** True where this run has gone on with it to its end. */
    goneOn: boolean
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
  NEW_APP_FAILS: {
    /** Line of the statement in its file, from 1. */
    line: number
    sqlstate: string
    reason: string
    /** Moment, as `after 003_fill`. */
    after: string
  }
  /** Steps that were not rehearsed, whose schema the statements did not meet. */
  NEW_APP_EARLY: { steps: string[] }
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
  TLS_FAILED: {
    /** The sslmode that was asked for. */
    mode: string
  } & Reason
  WRONG_PASSWORD: Reason
  NO_SUCH_DATABASE: { server: string }
  CONNECTION_LOST: Reason
  OUT_OF_RESOURCES: Reason & {
    /** Of class 53, such as 53100 of a full disk, or 58030. */
    sqlstate: string
  }
  SERVER_TOO_OLD: {
    /** Oldest major version that works. */
    oldest: string
  }
  SERVER_UNTESTED: NoFacts
  READ_ONLY_SERVER: {
    why: string
    /** Where it began to refuse writes during the run. */
    since?: 'run'
  }
  TRANSACTION_POOLER: NoFacts
  /** `most`: sessions that the tool could get at least one of less than it needs. */
  POOL_USED_UP: { most: number }
  /** `instead`: the role that would do; `statements`: SQL that gives it what it lacks. */
  RUNS_AS_SUPERUSER: { track: string; instead: string; statements: string[] }
  /** `grants`: what others may do with it, as `PRIVILEGE to role`. */
  FOREIGN_OBJECT: { kind: string; name: string; owner: string; role: string; grants: string[] }
  /** A table of another role or its ledger, or a database where we may create no schema; `role` is ours. */
  MISSING_PRIVILEGE: { role: string } & (
    | { wants: 'OWNERSHIP' | 'SELECT' | 'REFERENCES' | 'USAGE' | 'LEDGER'; owner: string }
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
  /** The type that a column has, and the types of which one is needed. */
  WRONG_TYPE: { found: string; wanted: Some }
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
    /** The command that copies the nearest one, where none fits; null where none is near. */
    command: string | null
  }
  OTHER_TRACK: {
    /** Tracks that fit this database. */
    tracks: Some
  }
  EVENT_TRIGGERS: { triggers: string[] }
  NAME_TAKEN: {
    /** File that would give the name. */
    migration: string
    /** Statement that frees it. */
    rename: string
  }
  /** Publications of a table whose rows they can't tell apart, and the file that changes rows. */
  NO_REPLICA_IDENTITY: {
    publications: string[]
    /** True where it has one, which a column list or a row filter of the publications does not fit. */
    clashes: boolean
    migration: string
  }
  /** A constraint that was never validated, as the server prints it. */
  ROWS_VIOLATE: { constraint: string; definition: string; migration: string }
  /** Why nobody knows yet whether rows violate the constraint. */
  ROWS_NOT_LOOKED_AT: { constraint: string; definition: string; migration: string; reason: string }
  /** What the file does that the server does not do with a partitioned table. */
  PARTITIONED_TABLE: { migration: string; sql: string; reason: string }
  /** Tables that would get the file's column too. */
  INHERITED_TABLE: { children: string[]; migration: string }
  /** Columns that a table has, has had, and would get, and how many numbers PostgreSQL gives out for them. */
  COLUMNS_USED_UP: { columns: number; dropped: number; added: number; most: number; migration: string }
  REWRITTEN_BY_RULE: {
    rule: string
    event: 'INSERT' | 'UPDATE' | 'DELETE'
    /** False where it only adds to the statement, which the server refuses for its WITH or ON CONFLICT. */
    instead: boolean
    migration: string
  }
  /** A statement of a function that works with the columns of the table as they are; the file adds one. */
  COUNTS_COLUMNS: { table: string; sql: string; migration: string }
  /** The statement at which an event trigger raised. */
  EVENT_TRIGGER_RAISES: { sql: string; sqlstate: string; reason: string }
  WOULD_FAIL: { sql: string; sqlstate: string; reason: string }
  /** A statement that could not be tried, and another one before it that it may need, which was left out. */
  NOT_TRIED: { sql: string; sqlstate: string; reason: string; leftOut: string }
  NOT_REHEARSED: Reason
  /** The migration after which nobody knows who sees which rows; null where it is not known now either. */
  VISIBILITY_UNKNOWN: { migration: string | null; reason: string }
  SAME_VISIBILITY: NoFacts
  PUBLISHED_TABLE: { publications: Some }
  /** `code`: what the table runs, with its function and whose it is; `role` is ours. */
  FOREIGN_CODE: { code: string[]; role: string }
  /** A trigger of the application with its function, and what that names without a schema. */
  TRIGGER_NEEDS_PATH: { trigger: string; function: string; names: string[] }
  /** The first line of a text whose table shows only when it runs. */
  CHANGES_UNKNOWN_ROWS: { sql: string }
  FIRING_TRIGGERS: {
    /** Each with its function. */
    triggers: string[]
    /** Rows of the table, about; null where nobody has counted. */
    rows: number | null
    /** True where the backfill holds them off. */
    held: boolean
    migration: string
  }
  OUTLOOK: { detail: string; check: string }
  FITS: NoFacts
}
