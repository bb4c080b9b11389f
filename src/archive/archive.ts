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
 * A stretch of an archive's copy may take so many times as long as a batch, and has at least so many pages.
 */
const copyPatience = 6
const leastCopyPages = 64

/**
 * A free name in the archive's schema, of plain letters. PostgreSQL cuts longer ones than 63 bytes; the run's
 * id comes first, so that names stay different.
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
 * Copies a column's values that would be lost, online: a trigger first catches what is written from now on,
 * then the rows that are there are copied in batches; the column is dropped later, in a transaction that
 * only detaches the trigger. A copy that was interrupted goes on. Of a table without a primary key the whole
 * rows are kept, some of them twice: nobody can say whose a value is. Returns the archive's id.
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
    // it reads, and writes where nobody looks: longer stretches, because what `ours` costs, it costs for
    // each. The first and smallest shows what that is.
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
      // half of the time is the application's: nobody is in such a hurry that it should feel the copy
      await ctx.clock.sleep(ms, ctx.signal)
    }
  }
  return id
}

/** Count and hash of what an archive holds now. */
const archivedContent = async (sql: Db, storedAs: string): Promise<{ rows: number; hash: string }> =>
  contentHash(sql, storedAs, await columnNames(sql, storedAs))

const openArchives = async (run: Run, track: string): Promise<ArchiveRow[]> =>
  (await listArchives(run.writer.sql)).filter(a => a.track === track && a.state === 'capturing')

/**
 * Counts and hashes what a rollback has archived, in however many runs, after its locks are gone: nothing
 * writes there any more. All of it belongs to this run from now on.
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
 * Ends what a rollback has left open that was broken off and is not gone on with: captures are detached, and
 * what it has archived is sealed, to be brought back as one.
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
    // a column's copy may be a part of it
    const seal =
      a.column === null
        ? await archivedContent(sql, a.storedAs)
        : { rows: await countRows(sql, a.storedAs), hash: null }
    await sealArchive(sql, a.id, seal)
  }
}

/**
 * Seals what a rollback has archived that was killed before it came to that: the next command does it. True
 * where there was something to seal. Leaves it to another run that is at work.
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
