import type { Event } from '../model/event.js'
import { duration, number } from '../render/words/numbers.js'

/** Where many databases are at work, these would hide which of them waits, is slow, or has ended. */
const ofOneDatabase: readonly Event['type'][] = ['step-start', 'step-done', 'rollback-cost', 'narrate']

/** An event as a plain line, with its database if it is one of many; null where it only moves the bar. */
export function progressLine(event: Event, verbose: boolean): string | null {
  if (event.target === undefined) return eventLine(event, verbose)
  if (!verbose && ofOneDatabase.includes(event.type)) return null
  return eventLine(event, verbose)?.replace(/^ */gm, `[${event.target}] `) ?? null
}

function eventLine(event: Event, verbose: boolean): string | null {
  switch (event.type) {
    case 'run':
      return verbose ? `  run ${event.run}` : null
    case 'step-start':
      return `${event.direction === 'down' ? '←' : '→'} [${event.index}/${event.of}] ${event.migration}: ${event.title}`
    case 'step-done':
      return `  done in ${duration(event.durationMs)}${event.rows === null ? '' : `, ${number(event.rows)} rows`}${event.skipped ? `, ${event.skipped} statement(s) already there` : ''}`
    case 'rollback-cost':
      return `  way back (${event.atRisk ?? 'unknown'} rows at risk): ${event.command}`
    case 'statement':
      return verbose || event.skipped
        ? `  [${event.index}/${event.of}] ${event.text}${event.skipped ? ` (${event.skipped})` : ''}`
        : null
    case 'wait': {
      const who = event.blockers[0]
      const by = who ? `: pid ${who.pid} ${who.application} ${who.state} ${who.seconds} s` : ''
      const what = {
        lease: 'another run',
        lock: `a lock on ${event.subject}`,
        server: `the server: ${event.subject}`,
      }
      return `  waiting for ${what[event.on]} (attempt ${event.attempt}, next in ${duration(event.nextMs)})${by}`
    }
    case 'index':
      return `  ${event.name}: ${event.phase}${event.total > 0 ? ` ${Math.round((100 * event.done) / event.total)}%` : ''}${event.waitingFor ? `, waits for pid ${event.waitingFor}` : ''}`
    case 'batch':
      return `  ${event.migration}: ${Math.floor(event.fraction * 100)}%  ${number(event.rows)} rows  ${number(event.rowsPerSecond)} rows/s  ETA ${event.etaSeconds === null ? '?' : duration(event.etaSeconds * 1000)}  batch ${duration(event.batchMs)} (${event.pace})`
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
