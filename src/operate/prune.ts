import { archivesTable, sealArchives, sealBroken } from '../archive/archive.js'
import { dropArchive, listArchives, oldArchives } from '../archive/archive.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { readTrackInfo, requireTrackInfo } from '../files/track_info.js'
import { UsageError } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import { plural } from '../model/plural.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, finding, type Report, type Table, tableOfCells, verdictOf } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { wants } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { inRun } from '../run/in_run.js'
import { withLockRetries } from '../run/lock_retry.js'
import { openRun } from '../run/open_run.js'
import { type Follows, followsOf } from './delete_sessions.js'
import { countIdle, idleByState, type PruneCount, type PruneHow, type Retention } from './prune.sql.js'
import { pruneAll } from './prune_batches.js'
import { requireSessions } from './sessions.js'

/** Options of `prune`. */
export interface PruneOptions {
  /** Prune sessions that were last used, or archives that were made, before this number of days ago. */
  days: number
  apply: boolean
  /** What to do with sessions: archive, mark as deleted, or delete. */
  how: PruneHow
  consent: Consent
  leaseWaitMs: number
}

/** The default retention of sessions: the configured setting, else the track's, else null. */
export const defaultRetention = async (
  track: Track,
  settings: Record<string, string>,
): Promise<string | null> =>
  settings.retention ?? (await readTrackInfo(track)).info?.settings?.retention?.default ?? null

/** The longest retention, in days: a hundred years. The server has no times beyond some millions of days. */
const mostDays = 36_525

/** The days of a retention such as `90d`, `12w` or `365`. Throws UsageError. */
export function retentionDays(text: string | null): number {
  if (text === null)
    throw new UsageError('--older-than', 'it is needed: the track has no setting `retention`')
  const parts = /^(\d+)([dw]?)$/.exec(text)
  if (!parts || Number(parts[1]) < 1)
    throw new UsageError(`--older-than ${text}`, 'it takes days or weeks, such as 90d or 12w')
  const days = Number(parts[1]) * (parts[2] === 'w' ? 7 : 1)
  if (days > mostDays) throw new UsageError(`--older-than ${text}`, 'it takes at most a hundred years')
  return days
}

/** Throws UsageError if the track's sessions lack the column that this way of pruning needs. */
function refuseHow(track: Track, { sessions: s }: TrackInfo, how: PruneHow): void {
  if (how === 'archived' && !(s.status && s.archivedStatus))
    throw new UsageError(
      'prune',
      `the sessions of ${track.name} have no state for archived ones: --delete takes them away`,
    )
  if (how === 'marked' && !s.deleted)
    throw new UsageError(
      'prune --soft',
      `the sessions of ${track.name} have no column that marks them as deleted (\`deleted\` in track.json)`,
    )
}

/** What happens to the sessions, in words. */
const wordOf = ({ sessions: s }: TrackInfo, how: PruneHow): string =>
  how === 'archived'
    ? `set to ${s.archivedStatus}`
    : how === 'marked'
      ? `marked as deleted (${s.deleted})`
      : 'deleted, with what follows them'

/** The sessions that stay, by reason. */
const keptTable = (count: PruneCount, keepers: string[]): Table => ({
  title: 'Kept',
  columns: ['sessions', 'because'],
  rows: [
    [count.all - count.idle - count.inUse - count.settled - count.kept, 'they are newer than the retention'],
    [count.inUse, 'a message is newer than their own time'],
    [count.settled, 'they were pruned before'],
    [count.kept, `rows of ${keepers.join(', ')} point at them`],
  ].filter(([n]) => Number(n) > 0) as Table['rows'],
})

/**
 * Archives, marks or deletes unused sessions. The time of a session is the newest of its own and its
 * messages' times. A dry run unless `apply` is set. Deleted rows are stored in the archive, as in a rollback.
 */
export async function prune(ctx: Context, track: Track, options: PruneOptions): Promise<Report> {
  const info = await requireTrackInfo(track)
  const { how } = options
  refuseHow(track, info, how)
  const report = emptyReport('prune')
  const planned = await planPrune(ctx, track, { info, options, report })
  if (!planned) return report
  const run = await openRun(ctx, 'prune', options.leaseWaitMs)
  return inRun(run, report, async () => {
    let count = 0
    const reportPruned = () =>
      report.findings.push(
        finding('PRUNED', info.sessions.table, { count, what: 'session', how: wordOf(info, how) }),
      )
    const work = pruneAll(run, track, { ...planned, note: n => (count += n) })
    const stay = await whileReporting(work, () => count > 0, reportPruned)
    report.findings.push(...stay)
    if (stay.length > 0) report.verdict = 'attention'
    noteInterrupted(ctx, info.sessions.table, report)
    const sealed = how === 'deleted' && !run.writer.lost ? await sealArchives(run, track.name) : []
    if (sealed.length > 0) {
      report.tables.push(archivesTable(sealed))
      report.findings.push(
        finding('ARCHIVED', `r${run.id}`, {
          rows: sealed.reduce((n, a) => n + a.rows, 0),
          command: `rethread restore r${run.id} --track ${shellWord(track.name)}`,
        }),
      )
    }
  })
}

/** The sessions to prune, and what is deleted with them. */
interface PlannedPrune {
  retention: Retention
  follows: Follows
}

/**
 * Counts what would be pruned, adds it to the report, and requests the necessary consent. Returns null if
 * nothing is to be done now.
 */
async function planPrune(
  ctx: Context,
  track: Track,
  { info, options, report }: { info: TrackInfo; options: PruneOptions; report: Report },
): Promise<PlannedPrune | null> {
  const { how, days } = options
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  const { database } = target.info
  const { table } = info.sessions
  await requireSessions(connection.sql, info, options.consent)
  const follows = how === 'deleted' ? await followsOf(connection.sql, info) : { follows: [], keepers: [] }
  const retention = { info, days, how, keepers: follows.keepers }
  const count = await countIdle(connection.sql, retention)
  report.tables.push(
    tableOfCells(`Sessions idle for more than ${days} days`, await idleByState(connection.sql, retention)),
    keptTable(
      count,
      follows.keepers.map(k => k.table),
    ),
  )
  const foreign = await judgeForeignCode(connection.sql, [table, ...follows.follows.map(f => f.table)])
  report.findings.push(...foreign.findings)
  const reasons = [
    ...(how === 'deleted'
      ? [['DELETES_DATA', `deletes ${plural(count.idle, 'session')} with ${followText(follows)}`]]
      : []),
    ...(count.idle > count.all / 2 ? [['PRUNES_MOST', `takes ${count.idle} of ${count.all} sessions`]] : []),
    ...foreign.hazards.map(h => [h.code, h.detail]),
  ]
  const hazards = [...new Set(reasons.map(([code]) => code!))]
  if (!options.apply || count.idle === 0) {
    // a prune that was killed after its last batch has left its archive unsealed
    if (options.apply) await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
    const flags = [
      how === 'deleted' ? ' --delete' : how === 'marked' ? ' --soft' : '',
      hazards.length > 0 ? ` --allow ${hazards.join(',')}` : '',
      how === 'deleted' ? ` --confirm ${shellWord(database)}` : '',
    ].join('')
    const command = `rethread prune --track ${shellWord(track.name)} --older-than ${days}d --apply${flags}`
    const facts = { count: count.idle, what: 'session', how: wordOf(info, how), command }
    report.findings.push(finding('PRUNABLE', table, facts))
    return null
  }
  const because = reasons.map(([code, detail]) => `${code}: ${detail}`)
  const confirm = how === 'deleted' ? database : null
  report.findings.push(...wants(track.name, options.consent, { hazards, database: confirm, because }))
  report.verdict = verdictOf(report)
  return report.verdict === 'clean' ? { retention, follows } : null
}

/** The tables whose rows or values are deleted with the sessions, as text. */
const followText = ({ follows }: Follows): string =>
  follows
    .slice(0, -1)
    .map(f => (f.columns ? `values of ${f.table}` : `rows of ${f.table}`))
    .join(', ') || 'nothing else'

/** Drops archives that are older than their retention. A dry run unless `apply` is set. */
export async function pruneArchives(ctx: Context, track: Track, options: PruneOptions): Promise<Report> {
  const report = emptyReport('prune')
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  report.target = target.info
  const any = (await listArchives(connection.sql)).length > 0
  const old = any ? (await oldArchives(connection.sql, options.days)).filter(a => a.track === track.name) : []
  report.tables.push(archivesTable(old))
  const facts = { count: old.length, what: 'archive', how: 'dropped for good' }
  if (!options.apply || old.length === 0) {
    const command = `rethread prune --archives --track ${shellWord(track.name)} --older-than ${options.days}d --apply --allow DELETES_DATA --confirm ${shellWord(target.info.database)}`
    report.findings.push(finding('PRUNABLE', 'rethread_archive', { ...facts, command }))
    return report
  }
  report.findings.push(
    ...wants(track.name, options.consent, {
      hazards: ['DELETES_DATA'],
      database: target.info.database,
      because: [`DELETES_DATA: drops ${plural(old.length, 'archive')} for good`],
    }),
  )
  if (report.findings.length > 0) return { ...report, verdict: verdictOf(report) }
  const run = await openRun(ctx, 'prune', options.leaseWaitMs)
  return await inRun(run, report, async () => {
    let count = 0
    const dropAll = async () => {
      for (const a of old) {
        if (ctx.signal.aborted) return
        await withLockRetries(run, a.storedAs, timeout =>
          run.writer.sql.begin(async tx => {
            await setLocal(tx, timeout, 30_000)
            await dropArchive(tx, a)
          }),
        )
        count++
      }
    }
    await whileReporting(
      dropAll(),
      () => count > 0,
      () => report.findings.push(finding('PRUNED', 'rethread_archive', { ...facts, count })),
    )
    noteInterrupted(ctx, 'rethread_archive', report)
  })
}

/** Runs work and reports what was done, also if an error has ended it. */
async function whileReporting<T>(work: Promise<T>, isAny: () => boolean, report: () => void): Promise<T> {
  try {
    const done = await work
    report()
    return done
  } catch (error) {
    if (isAny()) report()
    throw error
  }
}

/** If the run was asked to stop, reports that not everything may be pruned. */
function noteInterrupted(ctx: Context, subject: string, report: Report): void {
  if (!ctx.signal.aborted) return
  report.findings.push(finding('INTERRUPTED', subject, { command: null }))
  report.verdict = verdictOf(report)
}
