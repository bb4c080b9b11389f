import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import { aliasOf } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { causeOf } from './failed_rows.js'
import { hasPending, knownBytes } from './pending.sql.js'
import { readPendingSpec } from './pending_spec.js'
import { wasTakenAway } from './taken_away.js'

/** What was found when finished backfills were asked for rows to do again. */
export interface Reopened {
  /** Names of those that have some. */
  found: string[]
  /** Those that run once more: also every backfill after the first, which may feed on what that one makes. */
  names: Set<string>
  /** Those that could not be answered in the given time. */
  unknown: string[]
  /** Those of which the server refused the question, with its words: nobody knows whether they are done. */
  failed: { name: string; sqlstate: string; reason: string }[]
  /** Longest time that each of them was given, in milliseconds. */
  limitMs: number
}

/** Longest question in passing, in milliseconds: where an index answers it takes one. */
const inPassingMs = 1000
/** Without one it reads a table: so many bytes a millisecond, on hardware that nobody would call fast. */
const bytesPerMs = 32 * 1024
/** Nobody who runs a command with nothing to do waits longer for each question. */
const mostPassingMs = 60_000

/**
 * Asks each finished backfill of a track for one row that is to do again: a row that came since, or one whose
 * reason for being set aside is no longer true. Without an index that is a scan of the table up to the first
 * such row, so it has a time limit, which grows with the tables where none is given; 0 is none.
 */
export async function reopenedBackfills(
  connection: Connection,
  track: Track,
  applied: { has(name: string): boolean },
  timeoutMs?: number,
): Promise<Reopened> {
  const finished = track.migrations.filter(
    m => m.backfill && applied.has(m.name) && !(m.backfill.until && applied.has(m.backfill.until)),
  )
  const limitMs = timeoutMs ?? (await passingMs(connection, finished))
  const again: Reopened = { found: [], names: new Set(), unknown: [], failed: [], limitMs }
  const answers = await areToDoAgain(connection, { track, applied, timeoutMs: limitMs }, finished)
  for (const [i, m] of finished.entries()) {
    const answer = answers[i]!
    if (answer === 'yes') again.found.push(m.name)
    if (answer === 'yes' || (again.found.length > 0 && m.phase === 'backfill')) again.names.add(m.name)
    if (answer === 'unknown' && !again.names.has(m.name)) again.unknown.push(m.name)
    if (typeof answer === 'object') again.failed.push({ name: m.name, ...answer })
  }
  return again
}

/** How long a question may take that reads the largest of these backfills' tables from end to end. */
async function passingMs({ sql }: Connection, finished: Migration[]): Promise<number> {
  const bytes = await knownBytes(sql, [...new Set(finished.map(m => m.backfill!.table))])
  return Math.round(Math.min(inPassingMs + bytes / bytesPerMs, mostPassingMs))
}

type Answer = 'yes' | 'no' | 'unknown' | { sqlstate: string; reason: string }

/** All of them in one message; one by one where one of them has no answer. */
async function areToDoAgain(
  connection: Connection,
  asked: { track: Track; applied: { has(name: string): boolean }; timeoutMs: number },
  finished: Migration[],
): Promise<Answer[]> {
  if (finished.length === 0) return []
  const ask = (some: Migration[]): Promise<Answer[]> =>
    readAside(connection.sql, async tx => {
      await setLocal(tx, 0, asked.timeoutMs)
      const found = await Promise.all(
        some.map(async m => hasPending(tx, await readPendingSpec(tx, asked.track, m))),
      )
      return found.map(any => (any ? 'yes' : 'no'))
    })
  try {
    return await ask(finished)
  } catch (error) {
    if (!isRefused(error)) throw error
    if (finished.length === 1) return [await answerOf(connection, asked, finished[0]!, error)]
    const answers: Answer[] = []
    for (const m of finished) answers.push(...(await areToDoAgain(connection, asked, [m])))
    return answers
  }
}

/** Where a later step has taken away what a backfill names, its rows went with it. Nothing else is a "no". */
async function answerOf(
  { sql }: Connection,
  { track, applied }: { track: Track; applied: { has(name: string): boolean } },
  migration: Migration,
  error: unknown,
): Promise<Answer> {
  if (isSqlState(error, ...timeLimits)) return 'unknown'
  const alias = await aliasOf(migration.file.text, migration.file.path, migration.backfill!)
  if (await wasTakenAway(sql, error, { track, migration, applied, alias })) return 'no'
  return causeOf(error)
}

/** SQLSTATEs of a time limit, of the statement or of a lock. */
const timeLimits = ['57014', '55P03']

/** What a report says of them. */
export const reopenedFindings = (
  { found, unknown, failed, limitMs: ms }: Reopened,
  stops = false,
): Finding[] => [
  ...found.map(name => finding('BACKFILL_REOPENED', name, { stops }, stops ? 'warn' : 'info')),
  ...unknown.map(name => finding('NOT_RECHECKED', name, { ms })),
  ...failed.map(({ name, ...why }) => finding('RECHECK_FAILED', name, why)),
]
