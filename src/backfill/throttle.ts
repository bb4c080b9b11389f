import type { Vitals } from './health_monitor.sql.js'

/** Whether to continue, to rest more, or to wait; and the reasons, in a few words for the progress line. */
export interface Advice {
  level: 'go' | 'slow' | 'stop'
  /** How long to rest at least, as a multiple of the work. */
  rest: number
  reasons: string[]
  /** Signals that this role or server does not show. They do not count as healthy. */
  unknown: string[]
}

const second = 1
const megabyte = 2 ** 20

/**
 * The rate at which the server writes WAL, and the limit, in bytes per second. Null if unknown or not set.
 */
export interface WalRate {
  now: number | null
  limit: number | null
}

/**
 * Limits: above the first, slow down; above the second, wait. Sources: GitLab's 42 segments, Supabase's 4 GB
 * of WAL for slots.
 */
const limits = {
  replicaLag: [10 * second, 60 * second],
  slotBytes: [1024 * megabyte, 256 * megabyte],
  archiveGap: [42, 200],
  oldestSnapshot: [300 * second, Number.POSITIVE_INFINITY],
  waiters: [1, 5],
} as const

/**
 * How long to rest, as a multiple of the work. `beside`: while another session is active, whose commits wait
 * for the same core (docs/backfill.md, Beside an application). `amiss`: while a health signal is above its
 * limit.
 */
const rests = { beside: 1.5, amiss: 3 } as const

/** The advice if the signals cannot be read: continue slowly. */
export const unseen: Advice = { level: 'slow', rest: rests.amiss, reasons: [], unknown: ['health signals'] }

/** Pure: the advice for the observed signals. */
export function advise(now: Vitals, throttle: boolean | null, wal: WalRate): Advice {
  const reasons: string[] = []
  const unknown: string[] = []
  let level: Advice['level'] = 'go'
  let rest = 0
  const say = (to: 'slow' | 'stop', reason: string, pause: number = rests.amiss) => {
    if (level !== 'stop') level = to
    rest = Math.max(rest, pause)
    reasons.push(reason)
  }
  const over = (value: number, [slow, stop]: readonly [number, number], reason: string) => {
    if (value >= stop) say('stop', reason)
    else if (value >= slow) say('slow', reason)
  }
  over(now.waiters, limits.waiters, `${now.waiters} waiting behind us`)
  if (now.replicaLag !== null)
    over(now.replicaLag, limits.replicaLag, `replica lag ${now.replicaLag.toFixed(0)} s`)
  else if (now.replicas > 0) unknown.push('replica lag')
  if (now.slot === 'lost' || now.slot === 'unreserved') say('stop', `a slot is ${now.slot}`)
  else if (now.slot === 'extended') say('slow', 'a slot is extended')
  if (now.slotBytes !== null && now.slotBytes <= limits.slotBytes[0]) {
    say(
      now.slotBytes <= limits.slotBytes[1] ? 'stop' : 'slow',
      `slot head-room ${Math.round(now.slotBytes / megabyte)} MB`,
    )
  }
  if (now.archiveGap !== null)
    over(now.archiveGap, limits.archiveGap, `${now.archiveGap} segments to archive`)
  else if (now.archives) unknown.push('archive')
  if (wal.now !== null && wal.limit !== null)
    over(wal.now, [wal.limit, 2 * wal.limit], `${Math.round(wal.now / megabyte)} MB of WAL a second`)
  if (now.vacuum === 'wraparound') say('slow', 'autovacuum against wraparound')
  if (now.oldestSnapshot !== null)
    over(
      now.oldestSnapshot,
      limits.oldestSnapshot,
      `a snapshot of ${Math.round(now.oldestSnapshot)} s keeps dead rows`,
    )
  if (now.others !== 0) say('slow', `others at work: ${now.others ?? 'unknown'}`, rests.beside)
  if (throttle === true) say('stop', '--throttle-query says stop')
  if (throttle === null) {
    // if the throttle query has no answer, stop
    level = 'stop'
    rest = Math.max(rest, rests.amiss)
    unknown.push('--throttle-query')
  }
  return { level, rest, reasons, unknown }
}
