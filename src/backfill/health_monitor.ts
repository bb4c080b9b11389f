import type { Connection } from '../database/connection.js'
import type { FlushSize } from '../database/connection.sql.js'
import { isCanceled, isLost, isRefused, isTransient, serverFault } from '../database/faults.js'
import { Failure } from '../model/failure.js'
import { beside } from '../run/beside.js'
import { throttled, type Vitals, vitals } from './health_monitor.sql.js'
import type { Job } from './job.js'
import { measuredPace } from './pace.js'
import { notePace } from './run_backfill.sql.js'
import { type Advice, advise, unseen, type WalRate } from './throttle.js'

/** Interval between two looks at the signals, in milliseconds. */
const checkEveryMs = 1000

/** The advice before the first look. */
export const noAdvice: Advice = { level: 'go', rest: 0, reasons: [], unknown: [] }

/** Reads the health signals on the monitor's connection while a backfill runs, and updates the advice. */
export async function monitorHealth(job: Job): Promise<{ stop(): Promise<void> }> {
  const { ctx } = job.run
  const done = new AbortController()
  const wal = walMeter(job)
  const sayBroken = breaks(job)
  const brake = throttleOf(job)
  const see = async () => {
    sayBroken()
    try {
      job.advice = await readAdvice(job, wal, brake)
      const seconds = (ctx.clock.now() - job.progress.since) / 1000
      await notePace(
        job.run.monitor.sql,
        job.id,
        job.advice.level === 'go' ? null : adviceText(job.advice),
        measuredPace({ ...job.progress, seconds }),
      )
    } catch (error) {
      // a lost connection is replaced when the run connects again
      if (!isLost(error) && !isRefused(error)) throw error
      job.advice = unseen
    }
  }
  // before the first batch, so that a signal that says stop applies from the start
  await see()
  if (job.fault) throw job.fault
  const looking = async () => {
    while (!done.signal.aborted) {
      await ctx.clock.sleep(checkEveryMs, done.signal)
      if (!done.signal.aborted) await see()
    }
  }
  const watching = beside(looking())
  return {
    stop: async () => {
      done.abort()
      await watching.end()
      // the connection may have been lost since the last look
      sayBroken()
    },
  }
}

/** Monitor connections whose loss was reported. Several backfills share one. */
const saidBroken = new WeakSet<Connection>()

/**
 * Returns a function that reports the loss of the monitor's connection, also if it has been replaced since.
 */
function breaks({ run }: Job): () => void {
  let { monitor } = run
  return () => {
    if ((monitor.lost || run.monitor !== monitor) && !saidBroken.has(monitor)) {
      saidBroken.add(monitor)
      run.ctx.emit({
        type: 'reconnect',
        attempt: 0,
        reason: `the monitor’s; until then ${adviceText(unseen)}`,
      })
    }
    monitor = run.monitor
  }
}

/** Returns a function that computes the rate of WAL between two calls. */
function walMeter({ run: { ctx } }: Job): (position: number) => WalRate {
  let last: { position: number; at: number } | null = null
  return position => {
    const at = ctx.clock.now()
    const now = last && at > last.at ? ((position - last.position) / (at - last.at)) * 1000 : null
    last = { position, at }
    return { now, limit: ctx.walBytesPerSecond }
  }
}

async function readAdvice(
  job: Job,
  wal: ReturnType<typeof walMeter>,
  brake: () => Promise<boolean | null>,
): Promise<Advice> {
  const { sql } = job.run.monitor
  const now: Vitals = await vitals(sql, job.migration.backfill!.table, [...job.pids])
  return advise(now, await brake(), wal(now.wal))
}

/** How long a throttle query may stay without an answer, in milliseconds. The backfill waits meanwhile. */
const mostUnansweredMs = 30_000

/**
 * Returns a function that runs the throttle query; null means no answer. If the server refuses the query, or
 * there is no answer for too long, the job fails: a throttle that was requested must not be ignored.
 */
function throttleOf(job: Job): () => Promise<boolean | null> {
  const { throttleQuery } = job.options
  if (throttleQuery === null) return async () => false
  const { clock } = job.run.ctx
  let answered = clock.now()
  return async () => {
    try {
      const answer = await throttled(job.run.monitor.sql, throttleQuery)
      answered = clock.now()
      return answer
    } catch (error) {
      if (!isRefused(error)) throw error
      if (!(isTransient(error) || isCanceled(error)) || clock.now() - answered > mostUnansweredMs) {
        const { message, code } = serverFault(error)!
        job.fault = new Failure('THROTTLE_FAILED', job.migration.name, { reason: message, sqlstate: code })
      }
      return null
    }
  }
}

/** The current advice. If the monitor's connection is lost, it is `unseen`. */
export const adviceNow = ({ run, advice }: Job): Advice => (run.monitor.lost ? unseen : advice)

/** The advice for the progress line. */
export const adviceText = (advice: Advice): string =>
  [
    advice.level,
    advice.reasons.join(', '),
    advice.unknown.length > 0 ? `unknown: ${advice.unknown.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join(': ')

/** How long to rest, as a multiple of the work: the larger of `--nice` and what the signals require. */
export const restsFor = (job: Job): number => Math.max(adviceNow(job).rest, job.options.nice)

/** How evicted pages are flushed: in small portions while the application is active. */
export const flushSizeFor = (job: Job): FlushSize => (restsFor(job) > 0 ? 'small' : 'large')

/** How often it is said that all wait, and for what, in milliseconds. */
const sayEveryMs = 10_000

/** Says what all workers wait for; one of them does. */
function sayWaiting(job: Job, waitedMs: number): void {
  const { ctx } = job.run
  const now = ctx.clock.now()
  if (job.saidWaiting !== null && now - job.saidWaiting < sayEveryMs) return
  job.saidWaiting = now
  const { reasons, unknown } = adviceNow(job)
  ctx.emit({
    type: 'wait',
    on: 'server',
    subject: [...reasons, ...unknown.map(signal => `unknown: ${signal}`)].join(', '),
    attempt: 1 + Math.floor(waitedMs / checkEveryMs),
    nextMs: checkEveryMs,
    blockers: [],
  })
}

/**
 * Rests for the time that a batch has not rested itself, and as long as a signal says stop. Throws
 * THROTTLE_FAILED.
 */
export async function restAfterBatch(
  job: Job,
  batchMs: number,
  halted: () => boolean,
  sleptMs = 0,
): Promise<void> {
  const { ctx } = job.run
  const left = (batchMs - sleptMs) * restsFor(job) - sleptMs
  if (left > 0) await ctx.clock.sleep(left, ctx.signal)
  const stopped = ctx.clock.now()
  while (adviceNow(job).level === 'stop' && !job.fault && !ctx.signal.aborted && !halted()) {
    sayWaiting(job, ctx.clock.now() - stopped)
    await ctx.clock.sleep(checkEveryMs / 4, ctx.signal)
  }
  if (job.fault) throw job.fault
}
