import type { Next, NoFacts, Rows, Some } from './fact_shapes.js'

/** Facts of the findings for pipelines and operators, by code. */
export interface FactsOfStatus {
  FILES_HOLD: {
    /** Files that were read. */
    files: number
  }
  FAIL_ON: {
    /** Codes of findings, hazards, or names of migrations: what counts. */
    names: Some
  }
  AT_WORK: {
    /** Number of the run; null where its session does not say it. */
    run: number | null
    pid: number | null
    /** When it began, in UTC; null where that is not known. */
    since: string | null
    /** Seconds since it last said that it lives. */
    heartbeatSeconds: number | null
  }
  RUN_KILLED: {
    run: number | null
    /** Seconds since it last said that it lived; null where it never did. */
    silentSeconds: number | null
  }
  NOBODY_AT_WORK: NoFacts
  HOW_FAR: {
    applied: number
    /** Migrations of the track. */
    of: number
    /** The backfill that is under way or was begun; null where there is none. */
    backfill: string | null
    /** Of that backfill. */
    percent: number | null
    rowsPerSecond: number | null
    etaSeconds: number | null
  }
  NOT_DRIFTED: NoFacts
  ARCHIVE_WAITING: {
    /** Rows that people had made or changed; null where that is not known. */
    made: number | null
    /** When the rollback was, in UTC. */
    at: string
  } & Rows &
    Next
  NEXT_STEP: Next
}
