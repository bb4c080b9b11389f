import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import type { Check, Track } from '../model/project.js'
import { type Finding, finding, type Table } from '../model/report.js'
import { lookAhead } from '../plan/look_ahead.js'
import type { Ahead } from '../plan/names_taken.js'
import { gateRows, runCheck } from './run_check.js'

/** Runs checks on today's data. What they find is reported as OUTLOOK, not as a fault. */
export async function foretell(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string> = new Set(),
): Promise<Finding[]> {
  const found: Finding[] = []
  for (const check of checks) {
    const { result } = await runCheck(ctx, connection, check, applied)
    const level = check.level === 'info' ? 'info' : 'warn'
    for (const row of result.found)
      found.push(finding('OUTLOOK', row.object, { detail: row.detail, check: check.name }, level))
  }
  return found
}

/**
 * Listings of a track that apply before a migration, as tables. If the server reports an error, the table
 * shows it.
 */
export async function foretellTables(
  ctx: Context,
  connection: Connection,
  checks: Check[],
  applied: ReadonlySet<string>,
): Promise<Table[]> {
  const found: Table[] = []
  for (const check of checks.filter(c => c.kind === 'listing' && c.until !== null)) {
    const { result, tables } = await runCheck(ctx, connection, check, applied)
    found.push(...tables.filter(t => t.rows.length > 0))
    if (result.outcome === 'failed')
      found.push({ title: check.title, columns: ['not counted'], rows: [[result.reason]] })
  }
  return found
}

/** Whether a check is a gate of the first migration of a track: it says before anything what is wrong. */
export const isFirstGate = (track: Track, check: Check): boolean =>
  check.kind === 'check' && check.after === null && check.gate === track.migrations[0]?.name

/** All that would stop a run later: what is in the way of its files, and the gates of the first of them. */
export const foreseeStops = async (
  ctx: Context,
  connection: Connection,
  track: Track,
  ahead: Ahead,
): Promise<Finding[]> => [
  ...(await lookAhead(ctx, connection, track, ahead)),
  ...(await firstGates(connection, track, ahead)),
]

/**
 * GATE for each such check that found something, where the track has not begun. Nothing is asked of a
 * database in which it could not begin.
 */
async function firstGates(
  connection: Connection,
  track: Track,
  { pending, obstacles }: Ahead,
): Promise<Finding[]> {
  const [first] = track.migrations
  if (!first || !pending.includes(first) || obstacles.some(f => f.level === 'refused')) return []
  const closed = await gateRows(connection, track, first.name, check => isFirstGate(track, check))
  return closed.map(({ check, rows }) => finding('GATE', first.name, { check, rows }, 'refused'))
}
