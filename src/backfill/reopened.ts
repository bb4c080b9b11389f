import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { hasPending } from './pending.sql.js'
import { pendingSpecOf, rowKeyOf } from './pending_spec.js'

/** What was found when finished backfills were asked for rows to do again. */
export interface Reopened {
  /** Names of those that have some. */
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
  const found: Reopened = { names: new Set(), unknown: [] }
  for (const m of track.migrations) {
    if (!m.backfill || !applied.has(m.name)) continue
    if (m.backfill.until !== null && applied.has(m.backfill.until)) continue
    const again = await isToDoAgain(connection, track, m, timeoutMs)
    if (again === null) found.unknown.push(m.name)
    else if (again) found.names.add(m.name)
  }
  return found
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
    const ask = async (tx: Connection['sql']) => {
      await setLocal(tx, 0, timeoutMs)
      return hasPending(tx, spec)
    }
    return (await connection.sql.begin(tx => ask(tx as never))) as boolean
  } catch (error) {
    if (isSqlState(error, '57014')) return null
    // a later step has taken away what it names, and with it the rows
    if (isSqlState(error, '42P01', '42703', '42883', '3F000')) return false
    if (isRefused(error)) return null
    throw error
  }
}

/** What a report says of them. */
export const reopenedFindings = ({ names, unknown }: Reopened, stops = false): Finding[] => [
  ...[...names].map(name => finding('BACKFILL_REOPENED', name, { stops }, stops ? 'warn' : 'info')),
  ...unknown.map(name => finding('NOT_RECHECKED', name, { ms: inPassingMs })),
]
