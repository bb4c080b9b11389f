import type { Event } from '../model/event.js'
import { number, plural } from '../model/plural.js'
import { quotedText } from '../model/table_name.js'
import { duration } from '../render/words/numbers.js'

type Batch = Event & { type: 'batch' }

/** The progress of a backfill, in words. `reason` is why it is slow. */
const batchParts = (event: Batch) => ({
  percent: `${Math.floor(event.fraction * 100)}%`,
  rows: plural(event.rows, 'row'),
  rate: `${number(event.rowsPerSecond)} rows/s`,
  eta: `ETA ${event.etaSeconds === null ? '?' : duration(event.etaSeconds * 1000)}`,
  batch: `batch ${duration(event.batchMs)}`,
  reason: `(${event.pace})`,
})

/** Width of the bar in the live line, and the smallest terminal width for it. */
const barWidth = 12
const leastForBar = 70

/**
 * The progress of a backfill in one line of at most `width` columns. If it is too long, parts are left out.
 */
export function liveLine(event: Batch, width: number): string {
  const { percent, rows, rate, eta, batch, reason } = batchParts(event)
  const full = Math.round(event.fraction * barWidth)
  const bar = width < leastForBar ? [] : [`[${'#'.repeat(full)}${'-'.repeat(barWidth - full)}]`]
  const start = `  ${[...bar, percent].join(' ')}`
  const usual = event.batchMs > 0 ? [rows, rate, eta, batch] : [rows, rate, eta]
  // the reason is more important than the duration of a batch
  const choices = [[...usual, reason], [rows, rate, eta, reason], [rows, rate, eta], [rows, eta], [eta], []]
  const fitting = choices.map(parts => [start, ...parts].join('  '))
  const roomForReason = width - fitting[2]!.length - 2
  if (fitting[1]!.length > width && roomForReason > 12) {
    const words = reason.slice(0, roomForReason - 4)
    return `${fitting[2]}  ${words.slice(0, Math.max(words.lastIndexOf(' '), 1))} ...)`
  }
  return fitting.find(line => line.length <= width) ?? start.slice(0, width)
}

/** Events that are not shown if many databases are active, because they would hide the important ones. */
const ofOneDatabase: readonly Event['type'][] = ['step-start', 'step-done', 'rollback-cost', 'narrate']

/** An event as a plain line, with its database if there are many. Null if it only updates the live line. */
export function progressLine(event: Event, verbose: boolean): string | null {
  if (event.target === undefined) return eventLine(event, verbose)
  if (!verbose && ofOneDatabase.includes(event.type)) return null
  return eventLine(event, verbose)?.replace(/^ */gm, `[${event.target}] `) ?? null
}

const waitsFor = ({ waitingFor, prepared }: Extract<Event, { type: 'index' }>): string =>
  prepared !== null
    ? `, waits for a prepared transaction: rollback prepared ${quotedText(prepared)} ends it`
    : waitingFor
      ? `, waits for pid ${waitingFor}`
      : ''

function eventLine(event: Event, verbose: boolean): string | null {
  switch (event.type) {
    case 'run':
      return verbose ? `  run ${event.run}` : null
    case 'step-start':
      return `${event.direction === 'down' ? '←' : '→'} [${event.index}/${event.of}] ${event.migration}: ${event.title}`
    case 'step-done':
      return `  done in ${duration(event.durationMs)}${event.rows === null ? '' : `, ${plural(event.rows, 'row')}`}${event.skipped ? `, ${plural(event.skipped, 'statement')} already there` : ''}`
    case 'rollback-cost':
      return `  rollback (${event.atRisk === null ? 'unknown' : number(event.atRisk)} rows at risk): ${event.command}`
    case 'statement':
      return verbose || event.skipped
        ? `  [${event.index}/${event.of}] ${event.text}${event.skipped ? ` (${event.skipped})` : ''}`
        : null
    case 'wait': {
      const who = event.blockers[0]
      const name = who?.prepared == null ? `pid ${who?.pid}` : quotedText(who.prepared)
      const by = who ? `: ${name} ${who.application} ${who.state} ${who.seconds} s` : ''
      const what = {
        lease: 'another run',
        lock: `a lock on ${event.subject}`,
        server: `the server: ${event.subject}`,
      }
      return `  waiting for ${what[event.on]} (attempt ${event.attempt}, next in ${duration(event.nextMs)})${by}`
    }
    case 'index':
      return `  ${event.name}: ${event.phase}${event.total > 0 ? ` ${Math.round((100 * event.done) / event.total)}%` : ''}${waitsFor(event)}`
    case 'batch': {
      const { percent, rows, rate, eta, batch, reason } = batchParts(event)
      return `  ${event.migration}: ${[percent, rows, rate, eta, `${batch} ${reason}`].join('  ')}`
    }
    case 'check':
      return verbose ? `  [${event.index}/${event.of}] check ${event.check}` : null
    case 'notice':
      return verbose ? `  notice: ${event.text}` : null
    case 'reconnect':
      return `  connection lost, connecting again${event.attempt ? ` (attempt ${event.attempt})` : ''}: ${event.reason}`
    case 'narrate':
      return event.text
    case 'target-start':
      return verbose ? 'begins' : null
    case 'target-done':
      return `${event.verdict} after ${duration(event.seconds * 1000)} (${event.index} of ${event.of})`
  }
}

/** What a run has done so far, from its events, for a person who ends it at once. */
export class InPlace {
  private done = 0
  private of = 0
  private open: string | null = null
  private rows: number | null = null
  private runs = false
  private many = false

  note(event: Event): void {
    if (event.target !== undefined) this.many = true
    if (event.type === 'run') this.runs = true
    if (event.type === 'step-start') {
      this.of = event.of
      this.open = event.migration
      this.rows = null
    }
    if (event.type === 'batch') this.rows = event.rows
    if (event.type === 'step-done') {
      this.done++
      this.open = null
    }
  }

  /** What is in place, and how to continue. */
  text(): string {
    if (this.many)
      return 'Stopped at once. Each database keeps what was committed there; the same command continues.'
    if (!this.runs) return 'Stopped at once. Nothing was changed.'
    const parts = [`Stopped at once. In place: ${this.done} of ${plural(this.of, 'step')}.`]
    if (this.open !== null)
      parts.push(
        this.rows === null
          ? `\`${this.open}\` was under way: the server takes back what was not committed.`
          : `Of \`${this.open}\`, ${plural(this.rows, 'row')} are committed; the batch that was under way is taken back.`,
      )
    parts.push('The same command continues from there; rethread status shows it.')
    return parts.join(' ')
  }
}
