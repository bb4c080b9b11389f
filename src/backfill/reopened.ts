import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import type { Context } from '../database/context.js'
import { knownBytes } from '../database/family.sql.js'
import { isRefused, isSqlState } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import { aliasOf } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { causeOf } from './failed_rows.js'
import { hasPending } from './pending.sql.js'
import { readPendingSpec } from './pending_spec.js'
import { wasTakenAway } from './taken_away.js'

/** The finished backfills that have pending rows again. */
export interface Reopened {
  /** Names of those that have some. */
  found: string[]
  /**
   * Names of those that run again. These include every backfill after the first, because it may use what that
   * one writes.
   */
  names: Set<string>
  /** Those whose query exceeded its time limit, in milliseconds. */
  unknown: { name: string; ms: number }[]
  /** Those whose query failed, with the server's error: it is unknown whether they are finished. */
  failed: { name: string; sqlstate: string; reason: string }[]
}

/** Time limit of a query for which the others have left less, in milliseconds. */
const leastMs = 100
/** Shortest time limit by the size of tables, in milliseconds. With an index a query takes about one. */
const inPassingMs = 3000
/** Bytes that a query without an index reads per millisecond, on slow hardware. */
const bytesPerMs = 32 * 1024
/** Longest time limit, in milliseconds, because a command with nothing to do waits for each query. */
const mostPassingMs = 60_000

/**
 * Looks in each finished backfill of a track for one pending row: a new one, or one that lost the reason for
 * its quarantine. Without an index this scans the table up to the first such row, so each query has a time
 * limit. If none is given, it grows with the size of the tables; 0 means none.
 */
export async function reopenedBackfills(
  connection: Connection,
  track: Track,
  applied: { has(name: string): boolean },
  timeoutMs?: number,
): Promise<Reopened> {
  const finished = finishedBackfills(track, applied)
  const ms = timeoutMs ?? (await passingMs(connection, finished))
  const answers = await areToDoAgain(connection, { track, applied, timeoutMs: ms }, finished)
  return reopened(finished.map((migration, i) => ({ migration, answer: answers[i]!, ms })))
}

/**
 * The same within a time for all queries together, in milliseconds: each has what the ones before it have
 * left. Where one takes all of it, the others hardly matter: the answer is not complete.
 */
export async function reopenedWithin(
  ctx: Context,
  connection: Connection,
  track: Track,
  applied: { has(name: string): boolean },
  totalMs: number,
): Promise<Reopened> {
  const finished = finishedBackfills(track, applied)
  const asked: AskedBackfill[] = []
  const start = ctx.clock.now()
  for (const migration of finished) {
    const ms = Math.max(leastMs, Math.round(totalMs - (ctx.clock.now() - start)))
    const [answer] = await areToDoAgain(connection, { track, applied, timeoutMs: ms }, [migration])
    asked.push({ migration, answer: answer!, ms })
  }
  return reopened(asked)
}

/** A finished backfill, what its query said, and the time limit that it had, in milliseconds. */
interface AskedBackfill {
  migration: Migration
  answer: Answer
  ms: number
}

const finishedBackfills = (track: Track, applied: { has(name: string): boolean }): Migration[] =>
  track.migrations.filter(
    m => m.backfill && applied.has(m.name) && !(m.backfill.until && applied.has(m.backfill.until)),
  )

function reopened(asked: AskedBackfill[]): Reopened {
  const again: Reopened = { found: [], names: new Set(), unknown: [], failed: [] }
  for (const { migration: m, answer, ms } of asked) {
    if (answer === 'yes') again.found.push(m.name)
    if (answer === 'yes' || (again.found.length > 0 && m.phase === 'backfill')) again.names.add(m.name)
    if (answer === 'unknown' && !again.names.has(m.name)) again.unknown.push({ name: m.name, ms })
    if (typeof answer === 'object') again.failed.push({ name: m.name, ...answer })
  }
  return again
}

/**
 * The time limit for a query that reads the largest of these backfills' tables completely, in milliseconds.
 */
async function passingMs({ sql }: Connection, finished: Migration[]): Promise<number> {
  const bytes = await knownBytes(sql, [...new Set(finished.map(m => m.backfill!.table))])
  return Math.round(Math.min(inPassingMs + bytes / bytesPerMs, mostPassingMs))
}

type Answer = 'yes' | 'no' | 'unknown' | { sqlstate: string; reason: string }

/** Runs all queries in one message; if one fails, each separately. */
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

/** The answer for a query that failed. It is "no" only if a later step dropped what the backfill names. */
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

/** SQLSTATEs of a statement timeout and a lock timeout. */
const timeLimits = ['57014', '55P03']

/** The findings about reopened backfills. */
export const reopenedFindings = ({ found, unknown, failed }: Reopened, stops = false): Finding[] => [
  ...found.map(name => finding('BACKFILL_REOPENED', name, { stops }, stops ? 'warn' : 'info')),
  ...unknown.map(({ name, ms }) => finding('NOT_RECHECKED', name, { ms })),
  ...failed.map(({ name, ...why }) => finding('RECHECK_FAILED', name, why)),
]
