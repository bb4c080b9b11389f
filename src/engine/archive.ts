import { Failure } from '../model/failure.js'
import type { Table } from '../model/report.js'
import {
  type ArchiveRow,
  addArchive,
  adoptArchives,
  attachCapture,
  attachments,
  copyValues,
  countRows,
  endCapture,
  isCapturing,
  listArchives,
  moveTable,
  sealArchive,
  startCapture,
} from '../sql/archive.js'
import { columnNames, heapsOf, primaryKey } from '../sql/catalog.js'
import { contentHash } from '../sql/fingerprint.js'
import { setLocal } from '../sql/session.js'
import { tid } from '../sql/slice.js'
import type { Db } from '../sql/types.js'
import { droppedTables, relationName, type Statement } from '../workspace/statements.js'
import type { Doomed } from './loss.js'
import { makePace, type Pace } from './pace.js'
import { withLockRetries } from './retry.js'
import type { Run } from './run.js'

/**
 * A stretch of an archive's copy may take so many times as long as a batch, and has at least so many pages.
 */
const copyPatience = 6
const leastPages = 64

/** PostgreSQL cuts longer names; the run's id comes first, so that names stay different. */
const storedName = (run: number, d: Doomed): string =>
  `rethread_archive.r${run}_${[d.table.split('.').at(-1), d.column].filter(Boolean).join('_')}`.slice(
    0,
    'rethread_archive.'.length + 63,
  )

/**
 * Copies a column's values that would be lost, online: a trigger first catches what is written from now on,
 * then the rows that stand there are copied in batches; the column is dropped later, in a transaction that
 * only detaches the trigger. A copy that was interrupted goes on. Returns the archive's id.
 */
export async function archiveColumn(run: Run, track: string, d: Doomed): Promise<number> {
  const { ctx, writer } = run
  const column = d.column!
  const key = await primaryKey(writer.sql, d.table)
  if (key.length === 0)
    throw new Failure('IRREVERSIBLE', d.table, {
      reason: 'a table without a primary key can not give its values back row by row',
    })
  const open = (await listArchives(writer.sql)).find(
    a => a.relation === d.table && a.column === column && a.state === 'capturing',
  )
  const storedAs = open?.storedAs ?? storedName(run.id, d)
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
      await startCapture(tx, made, d.table, column, key, storedAs)
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
    // each. The first and smallest tells what that is.
    let pace: Pace | null = null
    for (let page = 0; page < heap.pages; ) {
      const end = Math.min(page + Math.max(leastPages, pace?.pages() ?? 0), heap.pages)
      const start = ctx.clock.now()
      await copyValues(writer.sql, { relation: heap.relation, column, key, ours: d.ours, storedAs }, [
        tid(page),
        tid(end),
      ])
      const ms = ctx.clock.now() - start
      pace ??= makePace(Math.max(ctx.batchTargetMs * copyPatience, 4 * ms), leastPages, 8192)
      pace.note(ms, end - page)
      page = end
      // half of the time is the application's: nobody is in such a hurry that it should feel the copy
      await ctx.clock.sleep(ms, ctx.signal)
    }
  }
  return id
}

/**
 * Inside a rollback's transaction: moves the tables that its file would drop to the archive, detaches the
 * captures of its columns, and returns the statements that are left to run.
 */
export async function archiveInstead(
  run: Run,
  tx: Db,
  track: string,
  statements: Statement[],
  objects: Doomed[],
  captures: ReadonlyMap<string, number>,
): Promise<Statement[]> {
  const left: Statement[] = []
  for (const s of statements) {
    const moved = droppedTable(s)
    const d = moved === null ? undefined : objects.find(o => o.table === moved && o.column === null)
    if (d) await archiveTable(run, tx, track, d)
    else if (moved === null) {
      if (s.kind === 'AlterTableStmt') {
        const table = relationName(s.node.relation)
        for (const { AlterTableCmd: cmd } of s.node.cmds) {
          const capture = captures.get(`${table}.${cmd.name}`)
          if (cmd.subtype === 'AT_DropColumn' && capture !== undefined) await endCapture(tx, capture, table)
        }
      }
      left.push(s)
    } else left.push(s)
  }
  return left
}

/** The one table that a statement drops, else null. */
function droppedTable(statement: Statement): string | null {
  const [only, ...more] = droppedTables(statement)
  return more.length === 0 ? (only ?? null) : null
}

async function archiveTable(run: Run, tx: Db, track: string, d: Doomed): Promise<void> {
  const storedAs = storedName(run.id, d)
  const keyColumns = await primaryKey(tx, d.table)
  const manifest = await attachments(tx, d.table)
  await addArchive(tx, {
    run: run.id,
    track,
    migration: d.migration,
    relation: d.table,
    column: null,
    storedAs,
    keyColumns,
    ours: d.ours,
    state: 'capturing',
    manifest,
  })
  await moveTable(
    tx,
    d.table,
    storedAs,
    run.id,
    manifest.flatMap(m => (m.drop ? [m.drop] : [])),
  )
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
