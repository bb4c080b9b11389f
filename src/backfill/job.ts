import type { BackfillStatement } from '../files/backfill_statement.js'
import type { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import type { Run } from '../run/run.js'
import type { KeptSpec } from './pending.sql.js'
import type { Advice } from './throttle.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** Options of a backfill. */
export interface BackfillOptions {
  /**
   * Process only rows of this unit (a workspace), as a canary. The backfill stays unfinished. Null for all.
   */
  unit: string | null
  /** Stop after about this number of rows; null for all. */
  maxRows: number | null
  workers: number
  /** How long to rest, as a multiple of the work. 1 means half of the time. */
  nice: number
  /** The user's throttle query. True or a number above zero means stop for now. */
  throttleQuery: string | null
  consent: Consent
  /** True if it was finished and has new pending rows. */
  reopened?: boolean
}

/** The failed rows of one invocation, shared by its workers. `failed_rows.ts` has the states of a row. */
export interface RowFailures {
  /** Keys of rows that failed since the last success after a pause. */
  keys: Set<string>
  /** If more rows fail, the run stops. */
  limit: number
  /** True if the run is to stop. */
  over: boolean
  /** When pauses began, in milliseconds of the clock; null before the first pause. */
  pausedSince: number | null
  pauses: number
}

/** One invocation of a backfill, with everything that it uses. */
export interface Job {
  run: Run
  migration: Migration
  id: number
  statement: BackfillStatement
  passes: number
  /** Estimated rows per page. A batch below one page is a number of rows. */
  rowsPerPage: number
  /** The key to walk along, for a table without pages of its own; else null. */
  keys: KeyColumn[] | null
  options: BackfillOptions
  pending: KeptSpec
  /** Failed rows of this invocation, shared by its workers. */
  failures: RowFailures
  progress: Progress
  /** The current advice of the health signals, shared by the workers. */
  advice: Advice
  /** When a wait for the health signals was last reported; null before the first time. */
  saidWaiting: number | null
  /** An error with which the workers end after their batch, for example of the throttle query; else null. */
  fault: Failure | null
  /** Process ids of the workers' backends. */
  pids: Set<number>
  /** True for a helper: another invocation has the lease and finishes the backfill. */
  helper: boolean
}

/** Progress of a backfill, for the progress line. */
interface Progress {
  /** Rows written by this invocation. */
  rows: number
  /** Rows written by the invocations that it continues. */
  rowsBefore: number
  pagesDone: number
  /** Pages that were done when this invocation began. */
  pagesBefore: number
  pages: number
  since: number
}
