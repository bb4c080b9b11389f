import { archivesTable, closeArchives } from '../archive/archive.js'
import { type ArchiveRow, foreignKeys, listArchives, markRestored } from '../archive/archive.sql.js'
import { tid } from '../backfill/batch_predicate.sql.js'
import { columnFacts, columnNames, heapsOf, relationFacts } from '../database/catalog.sql.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { Failure, findingsOf } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import type { Track } from '../model/project.js'
import { emptyReport, finding, type Report, verdictOf } from '../model/report.js'
import { withLockRetries } from '../run/lock_retry.js'
import { openRun } from '../run/open_run.js'
import type { Run } from '../run/run.js'
import { contentHash } from '../run/schema_snapshot.sql.js'
import {
  columnConflicts,
  type Merged,
  mergeColumn,
  mergeTable,
  removeSuperseded,
  tableConflicts,
} from './restore.sql.js'

/** What a person asked for. */
export interface RestoreOptions {
  /** `latest`, or `r<run>` of a rollback. */
  archive: string
  consent: Consent
  leaseWaitMs: number
}

/** Pages of an archive that are merged in one statement. */
const mergePages = 64

/** The archives of the database, newest first. */
export async function archives(ctx: Context): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const { info } = await inspect(ctx, connection)
  return { ...emptyReport('restore', info), tables: [archivesTable(await listArchives(connection.sql))] }
}

/**
 * Brings an archive back. Where the rollback took the tables away, the migrations are applied again first,
 * as the bare `migrate` would; then the archived rows are merged into what stands, by the rules of
 * `mergeTable` and `mergeColumn`.
 */
export async function restore(ctx: Context, track: Track, options: RestoreOptions): Promise<Report> {
  let chosen: ArchiveRow[]
  let ready: boolean
  let report: Report
  {
    await using connection = await connect(ctx, 'reader')
    report = emptyReport('restore', (await inspect(ctx, connection)).info)
    const mine = async () => (await listArchives(connection.sql)).filter(a => a.track === track.name)
    let all = await mine()
    if (all.some(a => a.state === 'capturing')) {
      await closeBroken(ctx, track, options.leaseWaitMs)
      all = await mine()
    }
    const run = options.archive === 'latest' ? all[0]?.run : Number(/^r(\d+)$/.exec(options.archive)?.[1])
    chosen = all.filter(a => a.run === run)
    if (chosen.length === 0)
      throw new Failure('NO_ARCHIVE', options.archive, { known: [...new Set(all.map(a => `r${a.run}`))] })
    const there = await Promise.all(
      chosen.map(async a =>
        a.column
          ? (await columnFacts(connection.sql, a.relation, a.column)) !== null
          : (await relationFacts(connection.sql, [a.relation])).length > 0,
      ),
    )
    ready = there.every(Boolean)
  }
  if (!ready) {
    const migrated = await migrate(ctx, track, {
      ...bareMigrateOptions,
      consent: options.consent,
      leaseWaitMs: options.leaseWaitMs,
    })
    report = { ...migrated, command: 'restore' }
    if (migrated.verdict !== 'clean') return report
  }
  const run = await openRun(ctx, 'restore', options.leaseWaitMs)
  try {
    // tables before columns: a value may point at a row that comes back
    const ordered = [...chosen.filter(a => a.column === null), ...chosen.filter(a => a.column !== null)]
    const rows: Report['tables'][number]['rows'] = []
    for (const a of ordered) {
      const merged = await merge(run, a)
      await markRestored(run.writer.sql, a.id)
      rows.push([
        a.column ? `${a.relation}.${a.column}` : a.relation,
        a.rows,
        merged.inserted,
        merged.updated,
        merged.conflicts.length,
      ])
      if (merged.conflicts.length > 0) {
        report.findings.push(
          finding('RESTORE_CONFLICT', a.relation, {
            rows: merged.conflicts.length,
            first: merged.conflicts.slice(0, 10).map(c => `${c.key}: ${c.reason}`),
          }),
        )
      }
    }
    for (const a of chosen.filter(a => a.column === null)) {
      const superseded = track.migrations.find(m => m.name === a.migration)?.rollback?.superseded
      if (superseded)
        await removeSuperseded(
          run.writer.sql,
          {
            table: a.relation,
            storedAs: a.storedAs,
            columns: [],
            key: a.keyColumns,
            ours: a.ours,
            track: a.track,
            parents: [],
          },
          superseded,
        )
    }
    report.tables.push({
      title: 'Restored',
      columns: ['object', 'rows in the archive', 'rows brought back', 'rows set back', 'conflicts'],
      rows,
    })
    report.findings.push(
      finding('RESTORED', `r${chosen[0]!.run}`, {
        rows: rows.reduce((n, r) => n + Number(r[2]) + Number(r[3]), 0),
      }),
    )
    report.verdict = verdictOf(report)
    return report
  } catch (error) {
    report.findings.push(...findingsOf(error))
    report.verdict = verdictOf(report)
    // what was brought back so far stays; Ctrl-C is no error
    if (report.verdict === 'interrupted') return report
    throw error
  } finally {
    await run.close(report.verdict)
  }
}

/** A rollback that was broken off has left archives without a seal. */
async function closeBroken(ctx: Context, track: Track, leaseWaitMs: number): Promise<void> {
  const run = await openRun(ctx, 'restore', leaseWaitMs)
  try {
    await closeArchives(run, track.name)
  } finally {
    await run.close('clean')
  }
}

async function merge(run: Run, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  const archived = await columnNames(sql, a.storedAs)
  if (a.hash !== null) {
    const now = await contentHash(sql, a.storedAs, archived)
    if (now.hash !== a.hash || now.rows !== a.rows)
      throw new Failure('ARCHIVE_CHANGED', a.storedAs, { rows: now.rows, sealed: a.rows })
  }
  const parents = await foreignKeys(sql, a.relation)
  if (a.column === null) {
    const present = new Set(await columnNames(sql, a.relation))
    const columns = archived.filter(c => present.has(c))
    const spec = {
      table: a.relation,
      storedAs: a.storedAs,
      columns,
      key: a.keyColumns,
      ours: a.ours,
      track: a.track,
      parents,
    }
    const sum = { inserted: 0, updated: 0 }
    // a stretch at a time: short transactions, and a restore that was broken off is simply run again
    for (const heap of await heapsOf(sql, a.storedAs)) {
      for (let page = 0; page < heap.pages; page += mergePages) {
        goOn(run, a.relation)
        const stretch: [string, string] = [tid(page), tid(page + mergePages)]
        const { value } = await withLockRetries(run, a.relation, timeout =>
          sql.begin(async tx => {
            await setLocal(tx, timeout, 0)
            await setParameter(tx, 'rethread.restoring', 'on')
            return mergeTable(tx, spec, heap.relation, stretch)
          }),
        )
        sum.inserted += value.inserted
        sum.updated += value.updated
      }
    }
    return { ...sum, conflicts: await tableConflicts(sql, spec) }
  }
  const spec = {
    table: a.relation,
    column: a.column,
    storedAs: a.storedAs,
    key: a.keyColumns,
    ours: a.ours,
    parents,
  }
  let updated = 0
  for (const heap of await heapsOf(sql, a.storedAs)) {
    for (let page = 0; page < heap.pages; page += mergePages) {
      goOn(run, a.relation)
      updated += await mergeColumn(sql, spec, [tid(page), tid(page + mergePages)])
    }
  }
  return { inserted: 0, updated, conflicts: await columnConflicts(sql, spec) }
}

/** Ctrl-C ends a restore between two stretches; the same command merges the rest. */
function goOn({ ctx }: Run, relation: string): void {
  if (ctx.signal.aborted) throw new Failure('INTERRUPTED', relation, { command: 'the same command' })
}
