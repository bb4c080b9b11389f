import { archivesTable, sealBroken } from '../archive/archive.js'
import { type ArchiveRow, listArchives, markRestored, noteLeft } from '../archive/archive.sql.js'
import { relationExists, relationFacts } from '../database/catalog.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { parseStatements, relationsNamed } from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import { acts, type Track } from '../model/project.js'
import { emptyReport, finding, isFault, type Report, type Table, verdictOf } from '../model/report.js'
import { wantsHazards } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { readHistory } from '../plan/history.js'
import { inOwnRun, inRun } from '../run/in_run.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { schemaVersion } from '../run/schema_upgrades.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import { removeSuperseded } from './after_merge.sql.js'
import { columnMerge, tableMerge } from './fit_archive.js'
import { catchUp, type Merged, mergeRows, mergeValues, refuseChanged } from './merge_archive.js'
import { moveBack } from './move_back.js'
import { leftRows } from './restore.sql.js'
import { archivedThere, beginRestore, endRestore } from './restore_plan.sql.js'
import { columnConflicts } from './restore_values.sql.js'

/** Options of `restore`. */
export interface RestoreOptions {
  /** `latest`, or `r<run>` of a rollback. */
  archive: string
  consent: Consent
  leaseWaitMs: number
}

/** Lists the archives of the database, newest first. */
export async function archives(ctx: Context): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const { info } = await inspect(ctx, connection)
  await schemaVersion(connection.sql)
  return { ...emptyReport('restore', info), tables: [archivesTable(await listArchives(connection.sql))] }
}

/**
 * Restores an archive. Its states are stored in the database, so that the same command continues after an
 * interruption:
 *
 *   begun (`rethread.restores` has the migrations to apply again) -> migrated -> each archive merged
 *   (`restored`) -> verified -> done
 *
 * If the rollback dropped tables, the migrations are applied again first, as by `migrate` without options.
 * Then the archived rows are merged into the existing ones, by the rules of `mergeTable` and `mergeColumn`.
 * Finally the track's checks decide the verdict.
 */
export async function restore(ctx: Context, track: Track, options: RestoreOptions): Promise<Report> {
  const { chosen, report: begun, pending } = await prepareRestore(ctx, track, options)
  let report = begun
  if (report.verdict === 'refused') return report
  if (pending) {
    const migrated = await migrate(ctx, track, {
      ...bareMigrateOptions,
      consent: options.consent,
      leaseWaitMs: options.leaseWaitMs,
    })
    const isMerged = migrated.verdict === 'clean'
    // the archive no longer waits to be restored; what a rollback costs was counted before its rows come back
    const findings = migrated.findings.filter(
      f => f.code !== 'ARCHIVE_WAITING' && !(isMerged && f.code === 'ROLLBACK_COST'),
    )
    report = { ...migrated, findings, command: 'restore' }
    if (!isMerged) return report
  }
  const run = await openRun(ctx, 'restore', options.leaseWaitMs)
  // what is restored before an interruption stays
  return inRun(run, report, async () => {
    const rows = await mergeAll(run, track, chosen, report)
    report.tables.push({
      title: 'Restored',
      columns: [
        'object',
        'rows in the archive',
        'rows brought back',
        'rows set back',
        'conflicts',
        'left to the migration, or deleted since',
      ],
      rows,
    })
    await judgeEnd(ctx, track, report)
    report.verdict = verdictOf(report)
    if (report.verdict !== 'failed')
      report.findings.push(
        finding('RESTORED', `r${chosen[0]!.run}`, {
          rows: rows.reduce((n, r) => n + Number(r[2]) + Number(r[3]), 0),
        }),
      )
    if (report.verdict === 'clean' || report.verdict === 'attention')
      await endRestore(run.writer.sql, track.name, chosen[0]!.run)
  })
}

/** Chooses the archives, and stores what must be applied again before they can be merged. */
async function prepareRestore(
  ctx: Context,
  track: Track,
  options: RestoreOptions,
): Promise<{ chosen: ArchiveRow[]; report: Report; pending: boolean }> {
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('restore', (await inspect(ctx, connection)).info)
  // a role that may not read the archive is refused before it looks for one
  await schemaVersion(connection.sql)
  await sealBroken(ctx, connection, track.name, options.leaseWaitMs)
  const all = (await listArchives(connection.sql)).filter(a => a.track === track.name)
  const number = options.archive === 'latest' ? all[0]?.run : Number(/^r(\d+)$/.exec(options.archive)?.[1])
  const chosen = all.filter(a => a.run === number)
  if (chosen.length === 0)
    throw new Failure('NO_ARCHIVE', options.archive, { known: [...new Set(all.map(a => `r${a.run}`))] })
  const foreign = await judgeForeignCode(
    connection.sql,
    chosen.map(a => a.relation),
  )
  report.findings.push(...foreign.findings, ...wantsHazards(track.name, options.consent, foreign.hazards))
  report.verdict = verdictOf(report)
  if (report.verdict === 'refused') return { chosen, report, pending: false }
  const { plan } = await readHistory(connection, track, bareMigrateOptions)
  const pending = plan.steps.map(s => s.migration.name)
  const there = await archivedThere(connection.sql, chosen)
  // an interrupted migrate has created objects, but not yet their rows
  const broken = plan.steps.some(s => s.resumes !== null || s.migration.phase === 'backfill')
  const { leaseWaitMs } = options
  const wanted = await inOwnRun(ctx, { command: 'restore', leaseWaitMs }, run =>
    beginRestore(run.writer.sql, {
      run: run.id,
      track: track.name,
      archive: chosen[0]!.run,
      migrations: there.every(Boolean) && !broken ? [] : pending,
    }),
  )
  const again = !there.every(Boolean) || broken || wanted.some(name => pending.includes(name))
  return { chosen, report, pending: again && pending.length > 0 }
}

/**
 * Merges the archives that are not restored yet, tables before columns: a value may reference a restored row.
 */
async function mergeAll(
  run: Run,
  track: Track,
  chosen: ArchiveRow[],
  report: Report,
): Promise<Table['rows']> {
  const { sql } = run.writer
  const merged = new Map<number, Merged>()
  const tables = chosen.filter(a => a.column === null)
  const gone = await goneTables(run, tables)
  const made = new Set((await objectsOf(track)).tables)
  const lost = gone.filter(a => a.state !== 'restored' && !a.deleted && !made.has(a.relation))
  for (const a of lost) await refuseChanged(sql, a)
  if (lost.length > 0)
    for (const [id, conflicts] of await moveBack(run, lost)) {
      const a = lost.find(x => x.id === id)!
      const back = !conflicts.some(c => c.key === a.relation)
      merged.set(id, { inserted: back ? a.rows : 0, updated: 0, left: 0, conflicts })
      if (back) await markRestored(sql, id)
    }
  for (const a of [...tables, ...chosen.filter(x => x.column !== null)]) {
    if (merged.has(a.id)) continue
    if (gone.includes(a)) {
      const reason = made.has(a.relation)
        ? 'the migration that makes it is not applied: apply it, then restore again'
        : 'it was moved back, and is gone again'
      merged.set(a.id, { inserted: 0, updated: 0, left: 0, conflicts: [{ key: a.relation, reason }] })
      continue
    }
    merged.set(a.id, await mergeOne(run, track, a))
  }
  for (const a of tables) {
    const superseded = track.migrations.find(m => m.name === a.migration)?.rollback?.superseded
    if (!superseded || gone.includes(a)) continue
    const { merge, noKey } = await tableMerge(sql, track, a)
    if (noKey === null) await removeSuperseded(sql, merge, superseded)
  }
  await catchUp(run, track)
  return [...merged].map(([id, m]) => {
    const a = chosen.find(x => x.id === id)!
    if (m.conflicts.length > 0) {
      const first = m.conflicts.slice(0, 10).map(c => `${c.key}: ${c.reason}`)
      report.findings.push(finding('RESTORE_CONFLICT', a.relation, { rows: m.conflicts.length, first }))
      if (report.verdict === 'clean') report.verdict = 'attention'
    }
    const name = a.column ? `${a.relation}.${a.column}` : a.relation
    return [name, a.rows, m.inserted, m.updated, m.conflicts.length, m.left]
  })
}

/** Merges one archive. A restored one is only compared, so that rows deleted since are not restored again. */
async function mergeOne(run: Run, track: Track, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  if (!(await relationExists(sql, a.storedAs))) {
    const conflicts =
      a.state === 'restored' ? [] : [{ key: a.storedAs, reason: 'somebody dropped this archive' }]
    return { inserted: 0, updated: 0, left: 0, conflicts }
  }
  await refuseChanged(sql, a)
  if (a.state === 'restored') {
    const left =
      a.column === null
        ? await leftRows(sql, (await tableMerge(sql, track, a)).merge)
        : (await columnConflicts(sql, (await columnMerge(sql, track, a)).merge)).left
    return { inserted: 0, updated: 0, left, conflicts: [] }
  }
  const merged = a.column === null ? await mergeRows(run, track, a) : await mergeValues(run, track, a)
  // conflicts can be tried again later; values without a key can never be assigned to rows
  if (merged.conflicts.length === 0 || (a.column !== null && a.keyColumns.length === 0))
    await markRestored(sql, a.id)
  else if (!merged.untried && a.keyColumns.length > 0)
    await noteLeft(
      sql,
      a.id,
      merged.conflicts.map(c => c.key),
    )
  return merged
}

/** Archives whose table does not exist. */
async function goneTables(run: Run, tables: ArchiveRow[]): Promise<ArchiveRow[]> {
  const there = await relationFacts(
    run.writer.sql,
    tables.map(a => a.relation),
  )
  return tables.filter(a => !there.some(t => t.name === a.relation))
}

/**
 * Runs the track's checks of rows; a restore is not clean if they find something. Checks that only read the
 * catalog are left out, because they do not concern restored rows.
 */
async function judgeEnd(ctx: Context, track: Track, report: Report): Promise<void> {
  const only: string[] = []
  for (const c of track.checks.filter(x => x.kind === 'check' && !acts(x) && !x.shared && !x.deep)) {
    const read = relationsNamed(await parseStatements(c.file.text))
    if ([...read].some(name => !name.startsWith('pg_catalog.'))) only.push(c.name)
  }
  if (only.length === 0) return
  const verified = await verify(ctx, track, { ...plainVerifyOptions, only })
  report.checks = verified.checks
  report.findings.push(...verified.findings.filter(f => f.code !== 'NO_CHECKS_RUN'))
  const checks = verified.checks.filter(isFault).map(c => c.check)
  if (checks.length > 0) report.findings.push(finding('RESTORE_UNPROVEN', track.name, { checks }))
}
