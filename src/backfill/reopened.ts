import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { hasPending } from './pending.sql.js'
import { pendingSpecOf, rowKeyOf } from './pending_spec.js'

/** What was found when finished backfills were asked for rows to do again. */
export interface Reopened {
  /** Names of those that have some. */
  found: string[]
  /** Those that run once more: besides, every backfill after the first, for it may feed on what that one makes. */
  names: Set<string>
  /** Those that could not be answered in the given time. */
  unknown: string[]
}

/** Longest question in passing, in milliseconds: where an index answers it takes one. */
export const inPassingMs = 1000

/**
 * Asks each finished backfill of a track for one row that is to do again: a row that came since, or one whose
 * reason for being set aside is no longer true. Without an index that is a scan of the table up to the first
 * such row, so it has a time limit; 0 is none.
 */
export async function reopenedBackfills(
  connection: Connection,
  track: Track,
  applied: { has(name: string): boolean },
  timeoutMs: number = inPassingMs,
): Promise<Reopened> {
  const again: Reopened = { found: [], names: new Set(), unknown: [] }
  for (const m of track.migrations) {
    if (!m.backfill || !applied.has(m.name)) continue
    if (m.backfill.until !== null && applied.has(m.backfill.until)) continue
    const answer = await isToDoAgain(connection, track, m, timeoutMs)
    if (answer) again.found.push(m.name)
    if (answer || (again.found.length > 0 && m.phase === 'backfill')) again.names.add(m.name)
    else if (answer === null) again.unknown.push(m.name)
  }
  return again
}

async function isToDoAgain(
  connection: Connection,
  track: Track,
  m: Migration,
  timeoutMs: number,
): Promise<boolean | null> {
  const { alias } = await readBackfillStatement(m.file.text, m.file.path, m.backfill!)
  try {
    const key = await rowKeyOf(connection.sql, m.backfill!)
    const spec = pendingSpecOf(track, m, { alias, key, run: 0 })
    return await readAside(connection.sql, async tx => {
      await setLocal(tx, 0, timeoutMs)
      return hasPending(tx, spec)
    })
  } catch (error) {
    if (isSqlState(error, '57014')) return null
    // a later step has taken away what it names, and with it the rows
    if (isSqlState(error, '42P01', '42703', '42883', '3F000')) return false
    if (isRefused(error)) return null
    throw error
  }
}

/** What a report says of them. */
export const reopenedFindings = ({ found, unknown }: Reopened, stops = false): Finding[] => [
  ...found.map(name => finding('BACKFILL_REOPENED', name, { stops }, stops ? 'warn' : 'info')),
  ...unknown.map(name => finding('NOT_RECHECKED', name, { ms: inPassingMs })),
]
