import type { Differences, Next, NoFacts, Pruning, Reason, Rows, Some } from './fact_shapes.js'

/** Facts of the findings about runs and rollbacks, by code. */
export interface FactsOfRuns {
  SESSION_CUT_OFF: {
    /** The setting of the role, the database or the server. */
    setting: string
    role: string
    database: string
  } & Reason
  // runs
  NOTHING_TO_DO: {
    /** How many migrations are applied. */
    applied: number
  }
  PENDING: {
    count: number
    /** Name of the first migration. */
    first: string
  }
  STOPPED_BEFORE: {
    why: 'ends-old-app' | 'target' | 'phase' | 'no-backfill'
    /**
     * Why the old application does not survive, in the words of the file; null if the run stopped as
     * requested.
     */
    because: string | null
    /** How many migrations are left. */
    left: number
    /** How many rows they remove from their tables, if they can be counted now. */
    takesOut?: number
    database: string
  } & Next
  CONSENT_NEEDED: {
    /** All hazards that `--allow` must name. */
    allow: string[]
    /** Those that are missing. */
    missing: string[]
    /** Name of the database if `--confirm` must give it; else null. */
    confirm: string | null
    because: string[]
    /** How many rows QUARANTINES_ROWS would be for, if more than the consent allows. */
    rows?: number
  }
  LOCK_TIMEOUT: {
    attempts: number
    /** How long it was tried, in seconds. */
    seconds: number
    sqlstate: string
    /** Descriptions of the transactions in the way. Empty if they are unknown. */
    blockers: string[]
    /** The process ids of their backends. */
    pids: string[]
    /** The identifiers of those that are prepared transactions, which have no backend. */
    prepared: string[]
  }
  SQL_ERROR: {
    sqlstate: string | null
    reason: string
    detail: string | null
    hint: string | null
    /** Column in the line, from 1, in characters. Null, as is `excerpt`, if the server gave no position. */
    column: number | null
    excerpt: string | null
    /** The CONTEXT of the server's error. */
    context: string | null
  }
  TRIGGERS_RAISE: {
    /** The statement that the application would send. */
    statement: 'INSERT' | 'UPDATE' | 'DELETE'
    sqlstate: string
    reason: string
    /** First line of the CONTEXT of the server's error. */
    context: string | null
    triggers: string[]
  }
  LEFT_IN_PLACE: {
    /** The step that failed. */
    failed: string
    /** Migrations that are applied. */
    migrations: string[]
    /** Their triggers on tables that existed before, such as `fill on public.chats`. */
    triggers: string[]
    /** The command that undoes all of it; null if a rollback is missing. */
    command: string | null
  }
  /** The current role at the beginning and at the end of the file. */
  ROLE_CHANGED: { before: string; after: string }
  SETTINGS_LEAKED: { settings: string[] }
  FOREIGN_INVALID_INDEX: {
    /** The backend that is building it, else null. */
    builder: number | null
  }
  DIFFERENT_DEFINITION: { found: string }
  FENCED: NoFacts
  GATE: { check: string } & Rows
  /** The server's error for the query of `--throttle-query`. */
  THROTTLE_FAILED: { reason: string; sqlstate: string }
  INTERRUPTED: {
    /** The command that continues; null for the same command again. */
    command: string | null
  }
  ROLLBACK_COST: {
    /** How many rows would be at risk; null if counting them would take too long. */
    atRisk: number | null
  } & Next
  QUARANTINED: {
    migration: string
    /** True if the rows have been removed from their table. */
    takenOut: boolean
    /** True if the file itself copies parts of rows. Then it is the number of parts. */
    parts: boolean
  } & Rows
  ROWS_FAILED: {
    migration: string
    /** Null if the statement raised no error but left the rows pending. */
    sqlstate: string | null
    /** Keys of the first of these rows. */
    keys: string[]
    /** True if the run stopped because too many rows failed. */
    stoppedEarly: boolean
  } & Rows &
    Reason
  ROWS_REFERENCED: {
    migration: string
    /** The foreign keys, each with its table. */
    by: Some
  } & Rows
  BACKFILL_REOPENED: {
    /** True if the run stops for it. False if the backfill is one of the run's steps. */
    stops: boolean
  }
  NOT_RECHECKED: {
    /** The time limit of the search, in milliseconds. */
    ms: number
  }
  RECHECK_FAILED: {
    sqlstate: string
  } & Reason
  RELEASED: Rows
  QUARANTINE_EMPTY: NoFacts
  ASSIGNED: {
    /** The workspace that the rows were assigned to. */
    unit: string
  } & Rows
  NO_SUCH_ROW: Reason
  WORK_LEFT: {
    /** How many times the closing sweep read the table. */
    sweeps: number
  } & Rows
  HELPED: Rows
  NO_ROWS: { migration: string }
  // rollback and restore
  TARGET_NEEDED: { applied: string[] }
  UNKNOWN_MIGRATION: {
    track: string
    /** Names of the track's migrations. */
    names: string[]
  }
  AMBIGUOUS_MIGRATION: {
    /** The candidates. */
    names: string[]
  }
  DESTROYS_UNARCHIVED: {
    /** File and line of the statement. */
    at: string
    /** First line of the statement. */
    sql: string
    /** What it deletes, each with the reason. */
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
    /** The rollback command that goes as far as necessary, or as far as possible. */
    command: string
  }
  NO_WAY_BACK: {
    /** File and line of the statement that restores rows. */
    at: string
    sqlstate: string
  } & Reason
  LEFT_ASIDE: {
    /** The first of them, with the reason. */
    first: string[]
    migration: string
  } & Rows
  LOSS: {
    /**
     * Rows of a table that would be lost without the archive: the sum of `edited` and `users`. All are null
     * for a statement that deletes rows, which are not counted before it runs.
     */
    atRisk: number | null
    /** Rows that the migration made and that were changed since. */
    edited: number | null
    /** Rows that users made. */
    users: number | null
    rows: number | null
  }
  DEPENDANTS: { objects: string[] }
  ARCHIVED: Rows & Next
  NO_ARCHIVE: { known: string[] }
  ROLLED_BACK_EXACTLY: NoFacts
  ROLLBACK_DIFFERS: Differences
  UNTESTED_ROLLBACK: {
    result: 'drifted' | 'failed' | 'untried'
    /** What differs, what prevented the test, or the applied migrations, which were not tested. */
    objects: string[]
  }
  PRUNABLE: Pruning & Next
  PRUNED: Pruning
  ARCHIVE_CHANGED: {
    /** How many rows the archive was sealed with. */
    sealed: number
  } & Rows
  RESTORE_CONFLICT: {
    /** The first of them, with the reason. */
    first: string[]
  } & Rows
  RESTORED: Rows
  RESTORE_UNPROVEN: {
    /** Checks that found something or could not run. */
    checks: string[]
  }
  DRIFT: Differences
  DRIFT_UNKNOWN: Reason
  BLOCKER_NOW: {
    /** The mode of its lock, as PostgreSQL names it. */
    mode: string
    who: string
    /** The identifier of a prepared transaction; null for any other. */
    prepared: string | null
  }
  SERVER_STRAINED: { reasons: string[] }
  INVALID_INDEX: NoFacts
}
