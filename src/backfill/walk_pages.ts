import { heapsOf } from '../database/catalog.sql.js'
import type { Session } from '../database/connection.js'
import { type Pieces, setPieces } from '../database/connection.sql.js'
import { connect } from '../database/context.js'
import { isRetriable, isSqlState } from '../database/faults.js'
import { apart, batch, type Job } from './batch.js'
import { checkpoint, lastItem, readOnceMore } from './batch.sql.js'
import { itemsAPage, slicePredicate } from './batch_predicate.sql.js'
import { makePace, type Pace } from './batch_size.js'
import { breathe, piecesFor, restsFor, told } from './health_monitor.js'
import { claimRange, isPaused, type Range, rangePages, rangesElsewhere } from './run_backfill.sql.js'
import { type Along, walkKeys } from './walk_keys.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** Most pages of a batch of a light pass: its window is visited once a pass and should stay in cache. */
const maxBatchPages = 1024
/** How much longer than the target a batch that groups its rows may take: it locks no row in use. */
const forGroups = 1.5
/**
 * In how many batches at least a light pass covers its window. What a batch has left dead makes room once
 * every transaction has ended that was open when it committed, such as the batch of another worker: by the
 * next pass over the same pages, when other batches are in between. With one batch a pass, two workers kept
 * each other from finding room and the heap grew by 31%; with three it grew by 18%, with a quarter less WAL.
 */
const passBatches = 3
/**
 * How long a batch of the first of several passes works, in milliseconds, before it waits for the log.
 * Whoever changes a page first after a checkpoint logs all of it, and a commit of the application waits until
 * all that is before it in the log is on the disk. Beside 12 ms and a flush of our own its p99 was 6.2 ms,
 * beside 60 ms without a flush 8.7. Where nobody waits, it would cost a sixth of the backfill's time.
 */
const firstPassMs = 12

/** True when all ranges are done, false when somebody asked to stop. */
export async function allRanges(job: Job): Promise<boolean> {
  const halt = { now: false }
  const ended = await inLanes(job, session =>
    work(job, session, halt).catch(error => {
      // the others finish their batch and stop: the first fault is the one to tell
      halt.now = true
      throw error
    }),
  )
  return ended.every(Boolean)
}

/** Work on as many connections as there are workers; when all have ended, the first fault is thrown. */
export async function inLanes<T>(job: Job, lane: (session: Session) => Promise<T>): Promise<T[]> {
  const sessions: Session[] = []
  try {
    for (let n = 0; n < job.wish.workers; n++) sessions.push(await connect(job.run.ctx, 'worker'))
    job.pids = new Set(sessions.map(s => s.pid))
    const ended = await Promise.allSettled(sessions.map(lane))
    return ended.map(e => {
      if (e.status === 'rejected') throw e.reason
      return e.value
    })
  } finally {
    await Promise.all(sessions.map(s => s.close()))
  }
}

/** One worker: claims ranges until there are none. */
async function work(job: Job, session: Session, halt: { now: boolean }): Promise<boolean> {
  const target = job.run.ctx.batchTargetMs * (job.cut.groups ? forGroups : 1)
  // on a busy machine rests of 20 ms would leave a batch 2 ms of work, and a group for each of its rows
  const mostRestMs = job.cut.groups ? Number.POSITIVE_INFINITY : undefined
  const pace =
    job.passes > 1
      ? makePace(target, 1, maxBatchPages)
      : makePace(target, 1, rangePages, 1 / job.rowsPerPage, mostRestMs)
  let pieces: Pieces | null = null
  for (;;) {
    await breathe(job, 0, () => halt.now)
    if (await mustStop(job, session, halt)) return false
    const range = await claimRange(session.sql, job.id)
    if (!range) {
      // another machine may still be at work on its last range; when it dies, that range is ours to claim
      if (job.helper || (await rangesElsewhere(session.sql, job.id)) === 0) return true
      await job.run.ctx.clock.sleep(100, job.run.ctx.signal)
      continue
    }
    if (pieces !== piecesFor(job)) {
      pieces = piecesFor(job)
      await setPieces(session.sql, pieces)
    }
    const walked = job.keys
      ? await walkKeys(job, session, range, along(job, session, job.keys, halt))
      : await walk(job, session, range, { pace, halt })
    if (!walked) return false
  }
}

/** What a walk along the key needs between its batches; the window counts rows. */
function along(job: Job, session: Session, columns: KeyColumn[], halt: { now: boolean }): Along {
  const pace = makePace(job.run.ctx.batchTargetMs, 200, 50_000)
  return {
    columns,
    pace,
    after: async (rows, ms) => {
      tell(job, rows, ms, pace)
      await breathe(job, ms, () => halt.now)
      return mustStop(job, session, halt)
    },
  }
}

async function mustStop(job: Job, session: Session, halt: { now: boolean }): Promise<boolean> {
  const { maxRows } = job.wish
  if (halt.now || job.run.ctx.signal.aborted || (maxRows !== null && job.progress.rows >= maxRows))
    return true
  return isPaused(session.sql, job.migration.track)
}

/**
 * Walks one range window by window, each window in its passes, a dear pass in several batches; after a kill
 * the pass begins its window again, where what it has done is no longer pending. A single pass has no windows
 * but its batches, so that none is ever repeated. False when asked to stop.
 */
async function walk(
  job: Job,
  session: Session,
  range: Range,
  { pace, halt }: { pace: Pace; halt: { now: boolean } },
): Promise<boolean> {
  const { run, passes, rowsPerPage } = job
  const mostMs = longest(pace.targetMs)
  let at = range
  let from = at.cursorPage
  let bound = Number.POSITIVE_INFINITY
  let parted = { page: -1, items: 0 }
  for (let batches = 1; at.cursorPage < at.toPage; batches++) {
    const flushed = passes > 1 && at.pass === 0 && restsFor(job) > 0
    const most = Math.min(bound, pace.most(at.pass, flushed ? firstPassMs : undefined))
    const page = Math.floor(from)
    // also of light passes: a closing sweep, which has one pass, may have been killed within a page
    const parts = page < from || Math.min(most, pace.pages()) < 1
    if (parts && parted.page !== page)
      parted = { page, items: await lastItem(session.sql, at.relation, page) }
    const { end, pages, windowEnd } = nextBatch(job, at, from, pace, most, parted.items)
    const passed = end >= windowEnd
    const last = passed && at.pass + 1 >= passes
    const next = {
      cursorPage: last ? end : at.cursorPage,
      cursorKey: null,
      pass: last ? 0 : passed ? at.pass + 1 : at.pass,
      windowPages: last ? 0 : windowEnd - at.cursorPage,
      done: last && end >= at.toPage,
    }
    const start = run.ctx.clock.now()
    // the smallest piece takes what it takes
    const divisible = pages > (passes > 1 ? 1 : 1 / rowsPerPage)
    const done = await batch(job, session, {
      at,
      pages: [from, end],
      next,
      pace,
      limits: { mostMs: divisible ? mostMs : null, flushed },
    })
    if (done && last && passes > 1)
      await readOnceMore(session.sql, at.relation, at.cursorPage, end).catch(error => {
        // it only helps: a lock in its way is not waited for
        if (!isRetriable(error) && !isSqlState(error, '57014')) throw error
      })
    const ms = run.ctx.clock.now() - start
    pace.note(ms, pages, at.pass, done?.sleptMs)
    if (!done) bound = pages > 1 ? Math.floor(pages / 2) : pages / 2
    else {
      bound = Number.POSITIVE_INFINITY
      if (last) job.progress.pagesDone += windowEnd - at.cursorPage
      tell(job, done.rows, ms, pace)
      at = { ...at, ...next }
      from = passed ? at.cursorPage : end
    }
    await breathe(job, ms, () => halt.now, done?.sleptMs)
    if (next.done && done) return true
    if (!done || batches % 8 === 0 ? await mustStop(job, session, halt) : halt.now || run.ctx.signal.aborted)
      return false
  }
  // a range of no pages left: the heap shrank to nothing, or a checkpoint stood at its end
  await session.sql.begin(tx =>
    checkpoint(tx, at, {
      cursorPage: at.toPage,
      cursorKey: null,
      pass: 0,
      windowPages: 0,
      done: true,
      rows: 0,
      ms: 0,
    }),
  )
  return true
}

/** Longest batch, in milliseconds: the application waits for its rows no longer than for a lock. */
const longest = (targetMs: number): number => Math.max(80, 1.5 * targetMs)

/** Where the next batch of at most so many pages ends, and its window. `items`: of a page in parts. */
function nextBatch(
  { passes, rowsPerPage }: Job,
  at: Range,
  from: number,
  pace: Pace,
  most: number,
  items: number,
): { end: number; pages: number; windowEnd: number } {
  if (passes === 1) {
    const only = piece(from, at.toPage, Math.min(pace.pages(), most), rowsPerPage, items)
    return { ...only, windowEnd: only.end }
  }
  const begun = at.pass > 0 || from > at.cursorPage
  const windowEnd = begun
    ? Math.min(at.cursorPage + at.windowPages, at.toPage)
    : piece(from, at.toPage, passBatches * pace.pages(), rowsPerPage, items).end
  const share = Math.ceil((windowEnd - at.cursorPage) / passBatches)
  return { ...piece(from, windowEnd, Math.min(most, share), rowsPerPage, items, 0.1), windowEnd }
}

/**
 * The next piece of a heap, of about so many pages: whole ones, or rows of one. It ends at a position, no
 * further than `end`; `pages` is how much of pages it has, by their rows.
 */
function piece(
  from: number,
  end: number,
  wanted: number,
  rowsPerPage: number,
  items: number,
  over = 0.5,
): { end: number; pages: number } {
  if (wanted >= 1 && Number.isInteger(from)) {
    const pages = evenly(end - from, wanted, over)
    return { end: from + pages, pages }
  }
  const page = Math.floor(from)
  const item = (from - page) * itemsAPage
  const left = Math.max(1, items + 1 - item)
  const rows = evenly(left, Math.max(1, wanted * rowsPerPage), over)
  // the last piece goes to the end of the page, also where it has got more rows meanwhile
  return { end: rows < left ? page + (item + rows) / itemsAPage : page + 1, pages: rows / rowsPerPage }
}

/**
 * What is left in pieces of about the wanted size: no small rest, which would cost as many batches as a whole
 * one. `over` is how much of a piece they may share among them.
 */
const evenly = (left: number, wanted: number, over: number): number =>
  Math.ceil(left / Math.max(1, Math.ceil(left / wanted - over)))

/** Only one unit, all its pages; the ranges stay as they are, so the whole backfill comes later. */
export async function canary(job: Job): Promise<void> {
  const { run, migration, cut, wish } = job
  const session = await connect(run.ctx, 'worker')
  try {
    if (job.keys) {
      await walkKeys(job, session, null, along(job, session, job.keys, { now: false }))
      return
    }
    const pace = makePace(run.ctx.batchTargetMs, 64, 1 << 20)
    const unit = { column: migration.backfill!.unit!, value: wish.unit! }
    for (const heap of await heapsOf(session.sql, migration.backfill!.table)) {
      for (let page = 0; page < heap.pages && !run.ctx.signal.aborted; ) {
        const end = Math.min(page + pace.pages(), heap.pages)
        const start = run.ctx.clock.now()
        const predicate = slicePredicate({
          alias: cut.alias,
          pages: [page, end],
          pass: 0,
          passes: 1,
          restEvery: null,
          unit,
        })
        const { rows } = await apart(job, session, heap.relation, { predicate, args: [] })
        pace.note(run.ctx.clock.now() - start, end - page)
        job.progress.pagesDone = end
        job.progress.pages = heap.pages
        tell(job, rows, run.ctx.clock.now() - start, pace)
        page = end
      }
    }
  } finally {
    await session.close()
  }
}

function tell(job: Job, rows: number, batchMs: number, pace: Pace): void {
  const { progress, run, migration } = job
  progress.rows += rows
  const seconds = (run.ctx.clock.now() - progress.since) / 1000
  const fraction = progress.pages === 0 ? 1 : Math.min(1, progress.pagesDone / progress.pages)
  const eta = fraction > 0.01 ? (seconds / fraction) * (1 - fraction) : null
  run.ctx.emit({
    type: 'batch',
    migration: migration.name,
    rows: progress.rows,
    fraction,
    rowsPerSecond: seconds > 0 ? Math.round(progress.rows / seconds) : 0,
    etaSeconds: eta,
    batchMs,
    pace: job.advice.level === 'go' && job.advice.unknown.length === 0 ? pace.word() : told(job.advice),
  })
}
