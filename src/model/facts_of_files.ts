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
  FILE_TOO_LARGE: { characters: number; most: number }
  BAD_TRACK_INFO: Reason
  BAD_EXPECTED: Reason
  BAD_SETTING: {
    reason: string
    /** Valid names or values; empty if there is no list of them. */
    known: string[]
  }
  NO_TRACK_INFO: NoFacts
  FILE_EXISTS: NoFacts
  SEEN: { track: string }
  COPIED: {
    /** The folder, relative to the working directory. */
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
    /** The line, or the first line of the statement. */
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
    /** True if it drops a column. The values are archived in the same transaction. */
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
    /** The name that the key's value refers to. */
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
    /** How many of its statements were finished. */
    reached: number
    /** When it began, in UTC. */
    at: string
    /** True if this run has completed it. */
    goneOn: boolean
  }
  /** Versions of rethread's schema: in the database, and the newest that this release knows. */
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
    /** The point in the migration, such as `after 003_fill`. */
    after: string
    /** The result of the statement before the migration and at that point: rows, or the server's error. */
    before: string
    now: string
  }
  NEW_APP_FAILS: {
    /** Line of the statement in its file, from 1. */
    line: number
    sqlstate: string
    reason: string
    /** The point in the migration, such as `after 003_fill`. */
    after: string
  }
  /** Steps that were not rehearsed, so the statements ran without their changes. */
  NEW_APP_EARLY: { steps: string[] }
  REHEARSED_HERE: NoFacts
  /** How many migrations are applied on the copy and on the target. */
  REHEARSED_ELSEWHERE: { applied: number; target: number }
  REHEARSAL_STUCK: Reason
  REHEARSAL_DIFFERS: { on: RehearsedOn } & Differences
  // target
  NO_DATABASE_URL: NoFacts
  BAD_URL: Reason
  NO_SERVER: {
    /** Code of the system, the driver or the server, such as ENOTFOUND; null if the error has none. */
    code: string | null
  } & Reason
  TLS_FAILED: {
    /** The requested sslmode. */
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
    /** `run` if it began to refuse writes during the run. */
    since?: 'run'
  }
  TRANSACTION_POOLER: NoFacts
  /** `most`: the highest number of sessions that the tool could open. It is less than the tool needs. */
  POOL_USED_UP: { most: number }
  /** `instead`: the role to use; `statements`: SQL that grants it what it lacks. */
  RUNS_AS_SUPERUSER: { track: string; instead: string; statements: string[] }
  /** `grants`: the rights of other roles on it, as `PRIVILEGE to role`. */
  FOREIGN_OBJECT: { kind: string; name: string; owner: string; role: string; grants: string[] }
  /** It is another role's table or ledger, or a database without CREATE. `role` is the current role. */
  MISSING_PRIVILEGE: { role: string } & (
    | { wants: 'OWNERSHIP' | 'SELECT' | 'REFERENCES' | 'USAGE' | 'LEDGER'; owner: string }
    | { wants: 'CREATE'; owner: null }
    /** `by`: the function of a trigger, or the rule, that a backfill fires, which writes the table. */
    | { wants: 'INSERT' | 'UPDATE' | 'DELETE'; owner: string; by: string }
  )
  ROWS_HIDDEN: {
    owner: string
    /** True if row security applies to the owner too. */
    forced: boolean
    /** The current role. */
    role: string
  }
  MISSING_PREREQUISITE: NoFacts
  ALREADY_EXISTS: {
    /** Path of the file that would create it. */
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
    /** Its backend; null if it has none any more. */
    pid: number | null
    waitedSeconds: number
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
  /** A published table without usable replica identity, and the file that changes its rows. */
  NO_REPLICA_IDENTITY: {
    publications: string[]
    /** True if it has an identity that a column list or row filter of a publication does not fit. */
    clashes: boolean
    migration: string
  }
  /** A NOT VALID constraint, as the server prints it. */
  ROWS_VIOLATE: { constraint: string; definition: string; migration: string }
  /** Why it is unknown whether rows violate the constraint. */
  ROWS_NOT_LOOKED_AT: { constraint: string; definition: string; migration: string; reason: string }
  /** The statement that PostgreSQL does not support on a partitioned table. */
  PARTITIONED_TABLE: { migration: string; sql: string; reason: string }
  /** Child tables that would get the column too. */
  INHERITED_TABLE: { children: string[]; migration: string }
  /** Current, dropped and new columns of a table, and PostgreSQL's limit. */
  COLUMNS_USED_UP: { columns: number; dropped: number; added: number; most: number; migration: string }
  REWRITTEN_BY_RULE: {
    rule: string
    event: 'INSERT' | 'UPDATE' | 'DELETE'
    /** False if the rule adds to the statement. The server then refuses WITH and ON CONFLICT. */
    instead: boolean
    migration: string
  }
  /** A statement of a function that depends on the number of columns, and the file that adds one. */
  COUNTS_COLUMNS: { table: string; sql: string; migration: string }
  /** The statement for which an event trigger raised an error. */
  EVENT_TRIGGER_RAISES: { sql: string; sqlstate: string; reason: string }
  WOULD_FAIL: { sql: string; sqlstate: string; reason: string }
  /** A statement that could not be tried, and an earlier one that was left out and may be needed. */
  NOT_TRIED: { sql: string; sqlstate: string; reason: string; leftOut: string }
  NOT_REHEARSED: Reason
  /** The migration after which visibility is unknown; null if it is unknown already now. */
  VISIBILITY_UNKNOWN: { migration: string | null; reason: string }
  SAME_VISIBILITY: NoFacts
  PUBLISHED_TABLE: { publications: Some }
  /** `code`: what the table runs, with its function and owner; `role`: the current role. */
  FOREIGN_CODE: { code: string[]; role: string }
  /** A trigger of the application, its function, and the unqualified names in it with their schemas. */
  TRIGGER_NEEDS_PATH: { trigger: string; function: string; names: string[]; path: string[] }
  /** The first line of a statement whose table is only known when it runs. */
  CHANGES_UNKNOWN_ROWS: { sql: string }
  FIRING_TRIGGERS: {
    /** Each with its function. */
    triggers: string[]
    /** Estimated rows of the table; null if it was never analyzed. */
    rows: number | null
    /** True if the backfill holds them off. */
    held: boolean
    migration: string
  }
  OUTLOOK: { detail: string; check: string }
  FITS: NoFacts
}
