import type { Next, NoFacts, Rows, Some } from './fact_shapes.js'

/** Facts of the findings for pipelines and operators, by code. */
export interface FactsOfStatus {
  FILES_HOLD: {
    /** Files that were read. */
    files: number
  }
  FAIL_ON: {
    /** The codes of findings, hazards or names of migrations that count. */
    names: Some
  }
  AT_WORK: {
    /** Number of the run; null if its session does not show it. */
    run: number | null
    pid: number | null
    /** When it began, in UTC; null if unknown. */
    since: string | null
    /** Seconds since its last heartbeat; null if unknown. */
    heartbeatSeconds: number | null
  }
  RUN_KILLED: {
    run: number | null
    /** Seconds since its last heartbeat; null if it never had one. */
    silentSeconds: number | null
  }
  NOBODY_AT_WORK: NoFacts
  HOW_FAR: {
    applied: number
    /** How many migrations the track has. */
    of: number
    /** The backfill that runs or was begun; null if there is none. */
    backfill: string | null
    /** Progress of that backfill. */
    percent: number | null
    rowsPerSecond: number | null
    etaSeconds: number | null
  }
  NOT_DRIFTED: NoFacts
  ARCHIVE_WAITING: {
    /** Rows that users had made or changed; null if unknown. */
    made: number | null
    /** When the rollback ran, in UTC. */
    at: string
  } & Rows &
    Next
  NEXT_STEP: Next
}
