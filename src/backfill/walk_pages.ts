import { heapsOf } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type FlushSize, setFlushSize } from '../database/connection.sql.js'
import { connect } from '../database/context.js'
import { isCanceled, isRetriable } from '../database/faults.js'
import { backfillSettings } from '../plan/firing_triggers.js'
import { batch, standalone } from './batch.js'
import { checkpoint, lastItem, readOnceMore } from './batch.sql.js'
import { batchPredicate } from './batch_predicate.sql.js'
import { type BatchSize, makeBatchSize } from './batch_size.js'
import { adviceNow, adviceText, flushSizeFor, restAfterBatch, restsFor } from './health_monitor.js'
import type { Job } from './job.js'
import { measuredPace } from './pace.js'
import { afterWindow, inWindow, nextBatch } from './range_cursor.js'
import {
  claimRange,
  freeRanges,
  isPaused,
  type Range,
  rangePages,
  rangesElsewhere,
} from './run_backfill.sql.js'
import { type Along, walkKeys } from './walk_keys.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** Most pages of a batch with light passes. Its window is read once per pass and should stay in cache. */
const maxBatchPages = 1024
/** How many times the target a batch that groups rows may take. It locks no rows in use. */
const forGroups = 1.5
/**
 * How long a batch of the first of several passes works, in milliseconds, before it waits for its WAL to be
 * flushed. The first change of a page after a checkpoint logs the whole page, and a commit of the application
 * waits until all earlier WAL is on disk. With 12 ms and a flush the application's p99 was 6.2 ms; with 60 ms
 * and no flush 8.7 ms. Without an application beside it, this would cost a sixth of the backfill's time.
 */
const firstPassMs = 12

/** Processes all ranges. Returns false if it was asked to stop. */
export async function allRanges(job: Job): Promise<boolean> {
  const halt = { now: false }
  const ended = await inLanes(job, connection =>
    work(job, connection, halt).catch(error => {
      // the others finish their batch and stop; the first error is reported
      halt.now = true
      throw error
    }),
  )
  return ended.every(Boolean)
}

/** Runs work on one connection for each worker. When all have ended, throws the first error. */
export async function inLanes<T>(job: Job, lane: (connection: Connection) => Promise<T>): Promise<T[]> {
  const connections: Connection[] = []
  try {
    const settings = await backfillSettings(job.run, job.migration, job.options.consent)
    for (let n = 0; n < job.options.workers; n++)
      connections.push(await connect(job.run.ctx, 'worker', settings))
    job.pids = new Set(connections.map(s => s.pid))
    const ended = await Promise.allSettled(connections.map(lane))
    return ended.map(e => {
      if (e.status === 'rejected') throw e.reason
      return e.value
    })
  } finally {
    await Promise.all(connections.map(s => s.close()))
  }
}

/** One worker: claims ranges until there are none. */
async function work(job: Job, connection: Connection, halt: { now: boolean }): Promise<boolean> {
  const target = job.run.ctx.batchTargetMs * (job.statement.groups ? forGroups : 1)
  // on a busy machine, rests of 20 ms would leave a batch 2 ms of work, and one group for each row
  const mostRestMs = job.statement.groups ? Number.POSITIVE_INFINITY : undefined
  const batchSize =
    job.passes > 1
      ? makeBatchSize(target, 1, maxBatchPages)
      : makeBatchSize(target, 1, rangePages, 1 / job.rowsPerPage, mostRestMs)
  let pieces: FlushSize | null = null
  for (;;) {
    await restAfterBatch(job, 0, () => halt.now)
    if (await mustStop(job, connection, halt)) return false
    const range = await claimRange(connection.sql, job.id)
    if (!range) {
      // another process may still work on its last range; if it ends early, that range can be claimed
      if (job.helper || (await rangesElsewhere(connection.sql, job.id)) === 0) return true
      await freeRanges(connection.sql, job.id, { run: job.run.id, pids: job.pids })
      await job.run.ctx.clock.sleep(100, job.run.ctx.signal)
      continue
    }
    if (pieces !== flushSizeFor(job)) {
      pieces = flushSizeFor(job)
      await setFlushSize(connection.sql, pieces)
    }
    const walked = job.keys
      ? await walkKeys(job, connection, range, along(job, connection, job.keys, halt))
      : await walkPages(job, connection, range, { batchSize, halt })
    if (!walked) return false
  }
}

/** What a walk along the key needs between its batches. Its batch size counts rows instead of pages. */
function along(job: Job, connection: Connection, columns: KeyColumn[], halt: { now: boolean }): Along {
  const batchSize = makeBatchSize(job.run.ctx.batchTargetMs, 200, 50_000)
  return {
    columns,
    batchSize,
    after: async (rows, ms) => {
      reportProgress(job, rows, ms, batchSize)
      await restAfterBatch(job, ms, () => halt.now)
      return mustStop(job, connection, halt)
    },
  }
}

async function mustStop(job: Job, connection: Connection, halt: { now: boolean }): Promise<boolean> {
  const { maxRows } = job.options
  if (
    halt.now ||
    job.failures.over ||
    job.run.ctx.signal.aborted ||
    (maxRows !== null && job.progress.rows >= maxRows)
  )
    return true
  return isPaused(connection.sql, job.migration.track)
}

/**
 * Walks one range window by window, each window in its passes, a dear pass in several batches; after a kill
 * the pass begins its window again, where what it has done is no longer pending. A single pass has no windows
 * but its batches, so that none is ever repeated. False when asked to stop.
 */
async function walkPages(
  job: Job,
  connection: Connection,
  range: Range,
  { batchSize, halt }: { batchSize: BatchSize; halt: { now: boolean } },
): Promise<boolean> {
  const { run, passes, rowsPerPage } = job
  const mostMs = longest(batchSize.targetMs)
  let at = range
  let from = at.cursorPage
  let bound = Number.POSITIVE_INFINITY
  let parted = { page: -1, items: 0 }
  for (let batches = 1; at.cursorPage < at.toPage; batches++) {
    const flushed = passes > 1 && at.pass === 0 && restsFor(job) > 0
    const most = Math.min(bound, batchSize.most(at.pass, flushed ? firstPassMs : undefined))
    const page = Math.floor(from)
    // also of light passes: a closing sweep, which has one pass, may have been killed within a page
    const parts = page < from || Math.min(most, batchSize.pages()) < 1
    if (parts && parted.page !== page)
      parted = { page, items: await lastItem(connection.sql, at.relation, page) }
    const { end, pages, windowEnd } = nextBatch(job, at, from, batchSize, most, parted.items)
    const passed = end >= windowEnd
    const last = passed && at.pass + 1 >= passes
    const next = last ? afterWindow(at, end) : inWindow(at, windowEnd, passed ? at.pass + 1 : at.pass)
    const start = run.ctx.clock.now()
    // the smallest piece takes what it takes
    const divisible = pages > (passes > 1 ? 1 : 1 / rowsPerPage)
    const done = await batch(job, connection, {
      at,
      pages: [from, end],
      next,
      batchSize,
      limits: { mostMs: divisible ? mostMs : null, flushed },
    })
    if (done && last && passes > 1) await readWindowAgain(connection, at, end)
    const ms = run.ctx.clock.now() - start
    batchSize.note(ms, pages, at.pass, done?.sleptMs)
    if (!done) bound = pages > 1 ? Math.floor(pages / 2) : pages / 2
    else {
      bound = Number.POSITIVE_INFINITY
      if (last) job.progress.pagesDone += windowEnd - at.cursorPage
      reportProgress(job, done.rows, ms, batchSize)
      at = { ...at, ...next }
      from = passed ? at.cursorPage : end
    }
    await restAfterBatch(job, ms, () => halt.now, done?.sleptMs)
    if (next.done && done) return true
    if (
      !done || batches % 8 === 0 ? await mustStop(job, connection, halt) : halt.now || run.ctx.signal.aborted
    )
      return false
  }
  // a range of no pages left: the heap shrank to nothing, or a checkpoint was at its end
  await connection.sql.begin(tx => checkpoint(tx, at, { ...afterWindow(at, at.toPage), rows: 0, ms: 0 }))
  return true
}

/** A read of a window after its last pass. */
async function readWindowAgain(connection: Connection, at: Range, end: number): Promise<void> {
  try {
    await readOnceMore(connection.sql, at.relation, at.cursorPage, end)
  } catch (error) {
    // it only helps: a lock in its way is not waited for
    if (!isRetriable(error) && !isCanceled(error)) throw error
  }
}

/** Longest batch, in milliseconds: the application waits for its rows no longer than for a lock. */
const longest = (targetMs: number): number => Math.max(80, 1.5 * targetMs)

/**
 * Processes one unit on all pages. The ranges stay as they are for the whole backfill later. Returns false if
 * it was stopped.
 */
export async function canary(job: Job): Promise<boolean> {
  const { run, migration, statement, options } = job
  const settings = await backfillSettings(run, migration, options.consent)
  const connection = await connect(run.ctx, 'worker', settings)
  try {
    if (job.keys) {
      return await walkKeys(job, connection, null, along(job, connection, job.keys, { now: false }))
    }
    const batchSize = makeBatchSize(run.ctx.batchTargetMs, 64, 1 << 20)
    const unit = { column: migration.backfill!.unit!, value: options.unit! }
    for (const heap of await heapsOf(connection.sql, migration.backfill!.table)) {
      for (let page = 0; page < heap.pages; ) {
        if (run.ctx.signal.aborted || job.failures.over) return false
        const end = Math.min(page + batchSize.pages(), heap.pages)
        const start = run.ctx.clock.now()
        const predicate = batchPredicate({
          alias: statement.alias,
          pages: [page, end],
          pass: 0,
          passes: 1,
          restEvery: null,
          unit,
        })
        const rows = await standalone(job, connection, heap.relation, { predicate, pages: [page, end] })
        batchSize.note(run.ctx.clock.now() - start, end - page)
        job.progress.pagesDone = end
        job.progress.pages = heap.pages
        reportProgress(job, rows, run.ctx.clock.now() - start, batchSize)
        page = end
      }
    }
    return true
  } finally {
    await connection.close()
  }
}

function reportProgress(job: Job, rows: number, batchMs: number, batchSize: BatchSize): void {
  const { progress, run, migration } = job
  const advice = adviceNow(job)
  progress.rows += rows
  const seconds = (run.ctx.clock.now() - progress.since) / 1000
  run.ctx.emit({
    type: 'batch',
    migration: migration.name,
    rows: progress.rowsBefore + progress.rows,
    ...measuredPace({ ...progress, seconds }),
    batchMs,
    pace: advice.level === 'go' && advice.unknown.length === 0 ? batchSize.word() : adviceText(advice),
  })
}
