import type { BackfillStatement } from '../files/backfill_statement.js'
import type { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import type { Run } from '../run/run.js'
import type { PendingSpec } from './pending.sql.js'
import type { Advice } from './throttle.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** What a person asked for. */
export interface BackfillOptions {
  /** Only rows of this unit (a workspace): a canary. The backfill stays open. */
  unit: string | null
  /** Stop after about so many rows; null for all. */
  maxRows: number | null
  workers: number
  /** How long to rest, as a multiple of the work: 1 is half duty. */
  nice: number
  /** The user's own query: true or above zero means stop for now. */
  throttleQuery: string | null
  consent: Consent
  /** It was done, and has rows to do again. */
  reopened?: boolean
}

/**
 * The rows of one invocation that failed, shared by its workers; `failed_rows.ts` has the states of a row.
 */
export interface RowFailures {
  /** Keys of the rows that failed, since a row last succeeded after a pause. */
  keys: Set<string>
  /** More than these stop the run. */
  limit: number
  /** True when the run is to stop. */
  over: boolean
  /** When pausing began, in milliseconds of the clock; null before the first pause. */
  pausedSince: number | null
  pauses: number
}

/** One invocation of one backfill, and what it works with. */
export interface Job {
  run: Run
  migration: Migration
  id: number
  statement: BackfillStatement
  passes: number
  /** About how many rows a page has: what a page that takes too long is divided by. */
  rowsPerPage: number
  /** The key to walk along, for a table without pages of its own; else null. */
  keys: KeyColumn[] | null
  options: BackfillOptions
  pending: PendingSpec
  /** Rows that failed in this invocation; shared by the workers. */
  failures: RowFailures
  progress: Progress
  /** What the health signals say now; shared by the workers. */
  advice: Advice
  /** When it was last said that all wait for what a health signal says; null before the first time. */
  saidWaiting: number | null
  /** What the workers are to end with after their batch: a throttle query that cannot be asked. */
  fault: Failure | null
  /** Backends of the workers. */
  pids: Set<number>
  /** True for a helper: another invocation holds the lease and will close the backfill. */
  helper: boolean
}

/** How far a backfill came, for the live line. */
interface Progress {
  /** Written by this invocation. */
  rows: number
  /** Written before it, by those that it goes on from. */
  rowsBefore: number
  pagesDone: number
  /** Those that were done when this invocation began. */
  pagesBefore: number
  pages: number
  since: number
}
