import { archivesTable } from '../archive/archive.js'
import { dropArchive, listArchives, oldArchives } from '../archive/archive.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { readTrackInfo, requireTrackInfo } from '../files/track_info.js'
import { UsageError } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, finding, type Report, tableOfCells, verdictOf } from '../model/report.js'
import { wants } from '../plan/consent.js'
import { withLockRetries } from '../run/lock_retry.js'
import { openRun } from '../run/open_run.js'
import { countIdle, idleByState, pruneSome } from './prune.sql.js'
import { requireTable } from './sessions.js'

/** What a person asked for. */
export interface PruneOptions {
  /** Sessions idle, or archives made, longer ago than so many days. */
  days: number
  apply: boolean
  /** Delete sessions with their messages, instead of giving them the state of archived ones. */
  remove: boolean
  consent: Consent
  leaseWaitMs: number
}

/**
 * The retention of sessions where nobody asks for one: the configured setting, else
 * the track's own, else null.
 */
export const defaultRetention = async (
  track: Track,
  settings: Record<string, string>,
): Promise<string | null> =>
  settings.retention ?? (await readTrackInfo(track)).info?.settings?.retention?.default ?? null

/** Days of a retention such as `90d`, `12w` or `365`. Throws UsageError. */
export function retentionDays(text: string | null): number {
  if (text === null)
    throw new UsageError('--older-than', 'it is needed: the track has no setting `retention`')
  const parts = /^(\d+)([dw]?)$/.exec(text)
  if (!parts || Number(parts[1]) < 1)
    throw new UsageError(`--older-than ${text}`, 'it wants days or weeks, such as 90d or 12w')
  return Number(parts[1]) * (parts[2] === 'w' ? 7 : 1)
}

/** Sessions of one transaction: short enough that nobody waits. */
const pruneAtOnce = 200

/** Archives or deletes sessions that nobody has used for so long; a dry run unless told to apply. */
export async function prune(ctx: Context, track: Track, options: PruneOptions): Promise<Report> {
  const info = await requireTrackInfo(track)
  const state = info.sessions.archivedStatus ?? null
  if (!options.remove && state === null)
    throw new UsageError(
      'prune',
      `the sessions of ${track.name} have no state for archived ones: --delete takes them away`,
    )
  const report = emptyReport('prune')
  const how = options.remove ? 'deleted with their messages' : `set to ${state}`
  {
    await using connection = await connect(ctx, 'reader')
    const target = await inspect(ctx, connection)
    report.target = target.info
    await requireTable(connection.sql, info.sessions.table)
    const count = await countIdle(connection.sql, info, options.days, options.remove)
    report.tables.push(
      tableOfCells(
        `Sessions idle for more than ${options.days} days`,
        await idleByState(connection.sql, info, options.days, options.remove),
      ),
    )
    if (!options.apply || count === 0) {
      const flags = options.remove ? ` --delete --allow DELETES_DATA --confirm ${target.info.database}` : ''
      report.findings.push(
        finding('PRUNABLE', info.sessions.table, {
          count,
          what: 'session(s)',
          how,
          command: `rethread prune --track ${track.name} --older-than ${options.days}d --apply${flags}`,
        }),
      )
      return report
    }
    if (options.remove)
      report.findings.push(
        ...wants(track.name, options.consent, ['DELETES_DATA'], target.info.database, [
          `DELETES_DATA: deletes ${count} session(s) with their messages`,
        ]),
      )
    if (report.findings.length > 0) return { ...report, verdict: verdictOf(report) }
  }
  const run = await openRun(ctx, 'prune', options.leaseWaitMs)
  let done = 0
  try {
    for (let more = true; more && !ctx.signal.aborted; ) {
      await withLockRetries(run, info.sessions.table, timeout =>
        run.writer.sql.begin(async tx => {
          await setLocal(tx, timeout, 30_000)
          const n = await pruneSome(tx, info, options.days, options.remove, pruneAtOnce)
          done += n
          more = n === pruneAtOnce
        }),
      )
    }
    report.findings.push(finding('PRUNED', info.sessions.table, { count: done, what: 'session(s)', how }))
    if (ctx.signal.aborted) {
      report.findings.push(finding('INTERRUPTED', info.sessions.table, { command: null }))
      report.verdict = 'interrupted'
    }
    return report
  } finally {
    await run.close(report.verdict)
  }
}

/** Drops archives past their retention; a dry run unless told to apply. */
export async function pruneArchives(ctx: Context, track: Track, options: PruneOptions): Promise<Report> {
  const report = emptyReport('prune')
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  const any = (await listArchives(connection.sql)).length > 0
  const old = any ? (await oldArchives(connection.sql, options.days)).filter(a => a.track === track.name) : []
  report.tables.push(archivesTable(old))
  const facts = { count: old.length, what: 'archive(s)', how: 'dropped for good' }
  if (!options.apply || old.length === 0) {
    const command = `rethread prune --archives --track ${track.name} --older-than ${options.days}d --apply --allow DELETES_DATA --confirm ${target.info.database}`
    report.findings.push(finding('PRUNABLE', 'rethread_archive', { ...facts, command }))
    return report
  }
  report.findings.push(
    ...wants(track.name, options.consent, ['DELETES_DATA'], target.info.database, [
      `DELETES_DATA: drops ${old.length} archive(s) for good`,
    ]),
  )
  if (report.findings.length > 0) return { ...report, verdict: verdictOf(report) }
  const run = await openRun(ctx, 'prune', options.leaseWaitMs)
  try {
    for (const a of old)
      await withLockRetries(run, a.storedAs, timeout =>
        run.writer.sql.begin(async tx => {
          await setLocal(tx, timeout, 30_000)
          await dropArchive(tx, a)
        }),
      )
    report.findings.push(finding('PRUNED', 'rethread_archive', facts))
    return report
  } finally {
    await run.close(report.verdict)
  }
}
