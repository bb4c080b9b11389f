import type { Differences, Next, NoFacts, Pruning, Reason, Rows, Some } from './fact_shapes.js'

/** Facts of the findings about runs and rollbacks, by code. */
export interface FactsOfRuns {
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
    /** Rows that they take out of their tables, as far as they can be counted now. */
    takesOut?: number
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
    /** Rows that QUARANTINES_ROWS would be for, where they are more than the consent was for. */
    rows?: number
  }
  LOCK_TIMEOUT: {
    attempts: number
    /** How long it was tried. */
    seconds: number
    sqlstate: string
    /** Transactions that were in the way, in words; empty where nobody could be named. */
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
  TRIGGERS_RAISE: {
    /** What the application would have sent. */
    statement: 'INSERT' | 'UPDATE' | 'DELETE'
    sqlstate: string
    reason: string
    /** First line of the server's CONTEXT. */
    context: string | null
    triggers: string[]
  }
  LEFT_IN_PLACE: {
    /** The step that failed. */
    failed: string
    /** Migrations that are applied. */
    migrations: string[]
    /** Triggers of theirs on tables that were there before, such as `fill on public.chats`. */
    triggers: string[]
    /** Takes all of it away; null where no way back is written. */
    command: string | null
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
  /** What the server says of the query of `--throttle-query`. */
  THROTTLE_FAILED: { reason: string; sqlstate: string }
  INTERRUPTED: {
    /** What goes on; null for the same command again. */
    command: string | null
  }
  ROLLBACK_COST: {
    /** Rows that would be at risk; null where they could not be counted in passing. */
    atRisk: number | null
  } & Next
  QUARANTINED: {
    migration: string
    /** True when the rows are no longer in their table. */
    takenOut: boolean
    /** True where the file copies parts of rows by itself: their number, not that of rows. */
    parts: boolean
  } & Rows
  ROWS_FAILED: {
    migration: string
    /** Null where the statement raised no error and left the rows to do. */
    sqlstate: string | null
    /** Keys of the first of them. */
    keys: string[]
    /** True when the run stopped because too many rows failed. */
    stoppedEarly: boolean
  } & Rows &
    Reason
  ROWS_REFERENCED: {
    migration: string
    /** Foreign keys, each with its table. */
    by: Some
  } & Rows
  BACKFILL_REOPENED: {
    /** True where the run stops for it; otherwise the backfill is one of its steps. */
    stops: boolean
  }
  NOT_RECHECKED: {
    /** How long it was looked for. */
    ms: number
  }
  RECHECK_FAILED: {
    sqlstate: string
  } & Reason
  RELEASED: Rows
  QUARANTINE_EMPTY: NoFacts
  ASSIGNED: {
    /** The workspace that the rows were given. */
    unit: string
  } & Rows
  NO_SUCH_ROW: Reason
  WORK_LEFT: {
    /** How often the closing sweep went over the table. */
    sweeps: number
  } & Rows
  HELPED: Rows
  NO_ROWS: { migration: string }
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
    /** The rollback that goes as far as it must, or no further than it can. */
    command: string
  }
  NO_WAY_BACK: {
    /** File and line of the statement that puts rows back. */
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
     * Rows that would be lost without the archive: `edited` and `users` together, of a table; null with the
     * others where a statement deletes rows, which nobody counts before it runs.
     */
    atRisk: number | null
    /** Made by the migration and written since. */
    edited: number | null
    /** Made by users. */
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
    /** What differs, what was in the way, or which migrations are applied and so were not tried. */
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
  RESTORE_UNPROVEN: {
    /** Checks that found something, or could not look. */
    checks: string[]
  }
  DRIFT: Differences
  DRIFT_UNKNOWN: Reason
  BLOCKER_NOW: {
    /** Mode of its lock, as PostgreSQL names it. */
    mode: string
    who: string
  }
  SERVER_STRAINED: { reasons: string[] }
  INVALID_INDEX: NoFacts
}
