import { heapsOf } from '../database/catalog.sql.js'
import { type BackfillStatement, readBackfillStatement } from '../files/backfill_statement.js'
import { Failure } from '../model/failure.js'
import type { Migration } from '../model/project.js'
import { keptAs } from '../run/kept_rows.sql.js'
import type { Run } from '../run/run.js'
import { newestRow } from './backfill_results.js'
import { noFailures } from './failed_rows.js'
import { noAdvice } from './health_monitor.js'
import type { BackfillOptions, Job } from './job.js'
import { isSetAside, type KeptSpec } from './pending.sql.js'
import { pendingSpecOf, referencesOf, rowKeyOf, withinUnit } from './pending_spec.js'
import { leastRangePages, passesFor } from './range_cursor.js'
import { type BackfillRow, openBackfill } from './run_backfill.sql.js'
import { requireUnit } from './unit_value.js'
import { type KeyColumn, lacksPages } from './walk_keys.sql.js'

/** Rows of a page of a table that was never analyzed: a guess on which only the size of a batch depends. */
const unknownRowsPerPage = 100

/** One invocation that may begin, and all rows of its backfill that are to do, whatever unit is asked for. */
interface OpenedJob {
  job: Job
  every: KeptSpec
}

/** Opens a backfill, or takes it up where it stopped. Throws where its file or its table cannot be walked. */
export async function openJob(
  run: Run,
  migration: Migration,
  options: BackfillOptions,
  helper: boolean,
): Promise<OpenedJob> {
  const { sql } = run.writer
  const spec = migration.backfill!
  const whole = await readBackfillStatement(migration.file.text, migration.file.path, spec)
  if (options.unit !== null) requireUnit(migration)
  const key = await rowKeyOf(sql, spec)
  const keys = (await lacksPages(sql, spec.table)) ? walkable(migration, key) : null
  const { id, rowsPerPage } = await openRanges(run, migration, { whole, keys, options })
  const track = run.ctx.tracks().find(t => t.name === migration.track)
  const references = await referencesOf(sql, migration)
  const { alias } = whole
  const every = {
    ...pendingSpecOf(track, migration, { alias, key, run: run.id, references }),
    kept: await keptAs(sql, spec.table, alias),
  }
  const pending = options.unit === null ? every : withinUnit(every, spec.unit!, options.unit)
  const row = await newestRow(run, migration)
  const job: Job = {
    run,
    migration,
    id,
    statement: sparing(whole, pending),
    passes: row.passes,
    rowsPerPage: Math.ceil(rowsPerPage) || unknownRowsPerPage,
    keys,
    options,
    pending,
    failures: noFailures(run.ctx.maxFailedRows),
    progress: progressFrom(row, run.ctx.clock.now()),
    advice: noAdvice,
    fault: null,
    saidWaiting: null,
    pids: new Set(),
    helper,
  }
  return { job, every }
}

/** The key, where a walk can follow it. Throws BAD_BACKFILL where the table has none. */
function walkable({ backfill, file }: Migration, key: KeyColumn[]): KeyColumn[] {
  if (key.length > 0) return key
  throw new Failure('BAD_BACKFILL', file.path, {
    reason: `\`${backfill!.table}\` has no pages of its own to walk and no primary key: name the columns that tell its rows apart in the header, \`--! key: id\``,
  })
}

/** Makes the ranges of a backfill that begins; one that goes on has them. */
async function openRanges(
  run: Run,
  migration: Migration,
  { whole, keys, options }: { whole: BackfillStatement; keys: KeyColumn[] | null; options: BackfillOptions },
): Promise<{ id: number; rowsPerPage: number }> {
  const { sql } = run.writer
  const { table } = migration.backfill!
  const heaps = keys ? [{ relation: table, pages: 1, rowsPerPage: 0 }] : await heapsOf(sql, table)
  const rowsPerPage = Math.max(0, ...heaps.map(h => h.rowsPerPage))
  const passes = passesFor(whole.updatesTable, rowsPerPage, Math.max(0, ...heaps.map(h => h.pages)))
  const id = await openBackfill(
    sql,
    {
      track: migration.track,
      migration: migration.name,
      passes,
      reopened: options.reopened ?? false,
    },
    heaps,
    leastRangePages(whole, passes),
  )
  return { id, rowsPerPage }
}

/** A statement that deletes takes only what is set aside, whatever the file's own condition says. */
const sparing = (whole: BackfillStatement, pending: KeptSpec): BackfillStatement =>
  pending.removes && whole.deletesTable
    ? { ...whole, restrict: part => whole.restrict(`${part} and ${isSetAside(pending)}`) }
    : whole

const progressFrom = (row: BackfillRow, now: number): Job['progress'] => ({
  rows: 0,
  rowsBefore: row.rows,
  pagesDone: row.pagesDone,
  pagesBefore: row.pagesDone,
  pages: row.pages,
  since: now,
})
