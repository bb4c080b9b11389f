import { tid } from '../backfill/batch_predicate.sql.js'
import { type BatchSize, makeBatchSize } from '../backfill/batch_size.js'
import { columnNames, heapsOf, relationExists } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import type { Context } from '../database/context.js'
import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { Failure } from '../model/failure.js'
import type { Table } from '../model/report.js'
import { namesIn } from '../model/table_name.js'
import { inOwnRun } from '../run/in_run.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import { contentHash } from '../run/schema_snapshot.sql.js'
import {
  type ArchiveRow,
  addArchive,
  adoptArchives,
  countRows,
  hasUnsealed,
  listArchives,
  sealArchive,
} from './archive.sql.js'
import { attachCapture, copyValues, endCapture, isCapturing, startCapture } from './capture.sql.js'
import type { ObjectAtRisk } from './loss_report.js'

/**
 * Batches of the copy may take this multiple of the batch target, and have at least `leastCopyPages` pages.
 */
const copyPatience = 6
const leastCopyPages = 64

/**
 * A free name in the archive's schema, of plain letters. PostgreSQL truncates names to 63 bytes, so the run's
 * id is first, to keep names different.
 */
export async function storedName(sql: Db, run: number, name: string, more: string | null): Promise<string> {
  const plain = [name, more]
    .filter(Boolean)
    .join('_')
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')
  for (let n = 1; ; n++) {
    const stored = `rethread_archive.${`r${run}_${n > 1 ? `${n}_` : ''}${plain}`.slice(0, 63)}`
    if (!(await relationExists(sql, stored))) return stored
  }
}

/**
 * Copies the values of a column that would be lost, while the application runs. A trigger first captures new
 * writes; then existing rows are copied in batches. Later, the transaction that drops the column only has to
 * detach the trigger. An interrupted copy is continued. If the table has no primary key, whole rows are kept,
 * some of them twice, because a value cannot be assigned to a row. Returns the archive's id.
 */
export async function archiveColumn(run: Run, track: string, d: ObjectAtRisk): Promise<number> {
  const { ctx, writer } = run
  const column = d.column!
  const key = await primaryKey(writer.sql, d.table)
  const kept = key.length > 0 ? [...key, column] : await columnNames(writer.sql, d.table)
  const open = (await listArchives(writer.sql)).find(
    a => a.relation === d.table && a.column === column && a.state === 'capturing',
  )
  const storedAs = open?.storedAs ?? (await storedName(writer.sql, run.id, namesIn(d.table)!.at(-1)!, column))
  const id =
    open?.id ??
    (await writer.sql.begin(async tx => {
      const made = await addArchive(tx, {
        run: run.id,
        track,
        migration: d.migration,
        relation: d.table,
        column,
        storedAs,
        keyColumns: key,
        ours: d.ours,
        state: 'capturing',
      })
      await startCapture(tx, made, { table: d.table, column, key, kept, storedAs })
      return made
    }))
  if (!(await isCapturing(writer.sql, id, d.table))) {
    await withLockRetries(run, d.table, timeout =>
      writer.sql.begin(async tx => {
        await setLocal(tx, timeout, 0)
        await attachCapture(tx, id, d.table, column)
      }),
    )
  }
  for (const heap of await heapsOf(writer.sql, d.table)) {
    // it writes nothing that others use, so batches may be longer: evaluating `ours` has a fixed cost for
    // each. The first and smallest batch measures it.
    let batchSize: BatchSize | null = null
    for (let page = 0; page < heap.pages; ) {
      const end = Math.min(page + Math.max(leastCopyPages, batchSize?.pages() ?? 0), heap.pages)
      const start = ctx.clock.now()
      await copyValues(writer.sql, { relation: heap.relation, column, kept, ours: d.ours, storedAs }, [
        tid(page),
        tid(end),
      ])
      const ms = ctx.clock.now() - start
      batchSize ??= makeBatchSize(Math.max(ctx.batchTargetMs * copyPatience, 4 * ms), leastCopyPages, 8192)
      batchSize.note(ms, end - page)
      page = end
      // rest half of the time, so that the application does not notice the copy
      await ctx.clock.sleep(ms, ctx.signal)
    }
  }
  return id
}

/** Count and hash of the current content of an archive. */
const archivedContent = async (sql: Db, storedAs: string): Promise<{ rows: number; hash: string }> =>
  contentHash(sql, storedAs, await columnNames(sql, storedAs))

const openArchives = async (run: Run, track: string): Promise<ArchiveRow[]> =>
  (await listArchives(run.writer.sql)).filter(a => a.track === track && a.state === 'capturing')

/**
 * Counts and hashes what a rollback has archived, in any number of runs, after its locks are released: nobody
 * writes it any more. All of it is assigned to this run.
 */
export async function sealArchives(run: Run, track: string): Promise<ArchiveRow[]> {
  const { sql } = run.writer
  await adoptArchives(sql, track, run.id)
  const sealed: ArchiveRow[] = []
  for (const a of await openArchives(run, track)) {
    const seal = await archivedContent(sql, a.storedAs)
    await sealArchive(sql, a.id, seal)
    sealed.push({ ...a, rows: seal.rows, state: 'kept' })
  }
  return sealed
}

/**
 * Closes the archives of an interrupted rollback that is not continued: detaches captures, and seals what was
 * archived so that it can be restored together.
 */
export async function closeArchives(run: Run, track: string): Promise<void> {
  const { sql } = run.writer
  const open = await openArchives(run, track)
  if (open.length === 0) return
  await adoptArchives(sql, track, Math.max(...open.map(a => a.run)))
  for (const a of open) {
    if (a.column !== null)
      await withLockRetries(run, a.relation, timeout =>
        sql.begin(async tx => {
          await setLocal(tx, timeout, 0)
          await endCapture(tx, a.id, a.relation)
        }),
      )
    // a copy of a column may be incomplete
    const seal =
      a.column === null
        ? await archivedContent(sql, a.storedAs)
        : { rows: await countRows(sql, a.storedAs), hash: null }
    await sealArchive(sql, a.id, seal)
  }
}

/**
 * Seals the archives of a rollback that was killed before it sealed them; the next command does this. Returns
 * true if there were any. Leaves them alone while another run is active.
 */
export async function sealBroken(
  ctx: Context,
  connection: Connection,
  track: string,
  leaseWaitMs: number,
): Promise<boolean> {
  if (!(await hasUnsealed(connection.sql, track))) return false
  try {
    await inOwnRun(ctx, { command: 'seal', leaseWaitMs }, run => closeArchives(run, track))
    return true
  } catch (error) {
    if (error instanceof Failure && error.finding.code === 'ANOTHER_RUN') return false
    throw error
  }
}

/** Archives as a table of a report. */
export const archivesTable = (rows: ArchiveRow[]): Table => ({
  title: 'Archives',
  columns: ['archive', 'of', 'rows', 'at (UTC)', 'state', 'stored as'],
  rows: rows.map(a => [
    `r${a.run}`,
    a.column ? `${a.relation}.${a.column}` : a.relation,
    a.rows,
    a.at,
    a.state,
    a.storedAs,
  ]),
})
