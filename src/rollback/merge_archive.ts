import { type ArchiveRow, foreignKeys, type ParentKey } from '../archive/archive.sql.js'
import { tid } from '../backfill/batch_predicate.sql.js'
import { columnFacts, columnNames, heapsOf } from '../database/catalog.sql.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { isDataFault, serverFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { Failure } from '../model/failure.js'
import type { Track } from '../model/project.js'
import { readHistory } from '../plan/history.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import { contentHash } from '../run/schema_snapshot.sql.js'
import { declaredKeys } from './declared_keys.js'
import {
  advanceSequences,
  columnAgain,
  holdOff,
  mergedColumns,
  release,
  valuesIn,
} from './merged_table.sql.js'
import {
  type Conflict,
  catchUpRows,
  changedMeanwhile,
  columnConflicts,
  keyAt,
  leftRows,
  mergeColumn,
  mergeTable,
  notBroughtBack,
  rowsIn,
  type Stretch,
  type TableMerge,
} from './restore.sql.js'

/** Pages of an archive that are merged in one statement. */
const mergePages = 64

/** Pages whose rows catch up in one transaction, which locks them: fewer, because the application waits. */
const caughtUpPages = 8

/** What one part of a restore did. */
export interface Merged {
  inserted: number
  updated: number
  /** Rows that a repeated migrate makes, and values of rows that people deleted since. */
  left: number
  conflicts: Conflict[]
}

/** Refuses an archive that is not what was sealed. Throws ARCHIVE_CHANGED. */
export async function refuseChanged(sql: Db, a: ArchiveRow): Promise<void> {
  if (a.hash === null) return
  const now = await contentHash(sql, a.storedAs, await columnNames(sql, a.storedAs))
  if (now.hash !== a.hash || now.rows !== a.rows)
    throw new Failure('ARCHIVE_CHANGED', a.storedAs, { rows: now.rows, sealed: a.rows })
}

/** How an archived table is merged, and the columns that can't be. */
export async function tableMerge(
  sql: Db,
  track: Track,
  a: ArchiveRow,
): Promise<{ merge: TableMerge; wanted: string[]; gone: string[] }> {
  const archived = await columnNames(sql, a.storedAs)
  const present = await mergedColumns(sql, a.relation)
  const columns = present.filter(c => !c.generated && archived.includes(c.name))
  const rollback = track.migrations.find(m => m.name === a.migration)?.rollback
  const merge = {
    table: a.relation,
    storedAs: a.storedAs,
    columns: columns.map(c => c.name),
    writable: columns.filter(c => !c.always && !a.keyColumns.includes(c.name)).map(c => c.name),
    key: a.keyColumns,
    ours: a.ours,
    mirrored: rollback?.mirrored.find(o => o.object === a.relation)?.predicate ?? null,
    alike: rollback?.alike.find(o => o.object === a.relation)?.predicate ?? null,
    track: a.track,
    parents: await parentsOf(sql, track, a.relation),
    only: a.left,
  }
  return {
    merge,
    wanted: present.filter(c => c.wanted && !archived.includes(c.name)).map(c => c.name),
    gone: archived.filter(c => !present.some(p => p.name === c)),
  }
}

/** Foreign keys of a table: those that are there, and those that a later step of the track adds. */
async function parentsOf(sql: Db, track: Track, table: string): Promise<ParentKey[]> {
  const present = await foreignKeys(sql, table)
  const declared = await declaredKeys(sql, track, table)
  return [...present, ...declared.filter(d => !present.some(p => p.name === d.name))]
}

/** Merges an archived table into the present one. */
export async function mergeRows(run: Run, track: Track, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  const { merge, wanted, gone } = await tableMerge(sql, track, a)
  const sum = { inserted: 0, updated: 0 }
  const refused = new Map<string, string>()
  const changed = await changedMeanwhile(sql, merge)
  if (wanted.length === 0) {
    // a row may point at one that comes after it
    const own = merge.parents.some(k => k.parent === a.relation)
    for (let before = -1; before !== sum.inserted && (own || before < 0); ) {
      before = sum.inserted
      refused.clear()
      for (const heap of await heapsOf(sql, a.storedAs))
        for (let page = 0; page < heap.pages; page += mergePages) {
          const stretch = { from: tid(page), to: tid(page + mergePages) }
          const done = await oneByOneIfRefused(run, a.relation, stretch, heap.relation, refused, merge)
          sum.inserted += done.inserted
          sum.updated += done.updated
        }
    }
    await advanceSequences(sql, a.relation)
  }
  const missing = (await notBroughtBack(sql, merge)).filter(c => !refused.has(c.key))
  const conflicts = [...changed, ...missing, ...[...refused].map(([key, reason]) => ({ key, reason }))]
  const reasons = conflicts.map(({ key, reason }) => ({
    key,
    reason:
      wanted.length > 0
        ? `${wanted.join(', ')} must not be null and has no default: give it one, then restore again`
        : reason,
  }))
  for (const column of gone) {
    const values = await valuesIn(sql, a.storedAs, column)
    if (values > 0)
      reasons.push({
        key: `column ${column}`,
        reason: `it is gone: ${values} value(s) are still in ${a.storedAs}`,
      })
  }
  return { ...sum, left: await leftRows(sql, merge), conflicts: reasons }
}

/** Merges a stretch; where the server refuses one of its rows, row by row, so that the others come back. */
async function oneByOneIfRefused(
  run: Run,
  table: string,
  stretch: Stretch,
  source: string,
  refused: Map<string, string>,
  merge: TableMerge,
): Promise<{ inserted: number; updated: number }> {
  const one = (s: Stretch) => inTransaction(run, table, tx => mergeTable(tx, merge, source, s))
  try {
    return await one(stretch)
  } catch (error) {
    if (!isDataFault(error)) throw error
  }
  const sum = { inserted: 0, updated: 0 }
  for (const row of await rowsIn(run.writer.sql, source, stretch)) {
    try {
      const done = await one({ row })
      sum.inserted += done.inserted
      sum.updated += done.updated
    } catch (error) {
      if (!isDataFault(error)) throw error
      const fault = serverFault(error)!
      refused.set(await keyAt(run.writer.sql, source, merge.key, row), `${fault.code}: ${fault.message}`)
    }
  }
  return sum
}

/** Merges the values of an archived column into the present table. */
export async function mergeValues(run: Run, track: Track, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  if (!(await columnFacts(sql, a.relation, a.column!))) {
    const type = (await columnFacts(sql, a.storedAs, a.column!))!.type
    const again = columnAgain(a.relation, a.column!, type)
    const reason = `no migration makes the column: ${a.rows} value(s) are still in ${a.storedAs}; ${again}, then restore again`
    return {
      inserted: 0,
      updated: 0,
      left: 0,
      conflicts: a.rows > 0 ? [{ key: `column ${a.column}`, reason }] : [],
    }
  }
  if (a.keyColumns.length === 0) {
    const reason = `${a.relation} had no primary key: ${a.rows} value(s) are in ${a.storedAs}, beside the whole rows that had them`
    const conflicts = (a.rows ?? 0) > 0 ? [{ key: `column ${a.column}`, reason }] : []
    return { inserted: 0, updated: 0, left: 0, conflicts }
  }
  const merge = await columnMerge(sql, track, a)
  let updated = 0
  for (const heap of await heapsOf(sql, a.storedAs))
    for (let page = 0; page < heap.pages; page += mergePages) {
      const stretch = { from: tid(page), to: tid(page + mergePages) }
      updated += await inTransaction(run, a.relation, tx => mergeColumn(tx, merge, stretch))
    }
  return { inserted: 0, updated, ...(await columnConflicts(sql, merge)) }
}

/**
 * Brings what rows derive from others into step, where the files of applied migrations say how: a session
 * comes back with the time that it had, and somebody may have written in it since.
 */
export async function catchUp(run: Run, track: Track): Promise<void> {
  const { plan } = await readHistory(run.writer, track, bareMigrateOptions)
  for (const { object, predicate } of plan.applied.flatMap(m => m.rollback?.catchUp ?? []))
    for (const heap of await heapsOf(run.writer.sql, object))
      for (let page = 0; page < heap.pages; page += caughtUpPages) {
        const stretch = { from: tid(page), to: tid(page + caughtUpPages) }
        await inTransaction(run, object, tx => catchUpRows(tx, heap.relation, predicate, stretch))
      }
}

/** How an archived column is merged. */
export const columnMerge = async (sql: Db, track: Track, a: ArchiveRow) => ({
  table: a.relation,
  column: a.column!,
  storedAs: a.storedAs,
  key: a.keyColumns,
  ours: a.ours,
  parents: (await parentsOf(sql, track, a.relation)).filter(p => p.columns.includes(a.column!)),
  only: a.left,
})

/**
 * One short transaction, with the application's triggers held off: the rows come back as they were. Ctrl-C
 * ends a restore between two of them; the same command merges the rest.
 */
async function inTransaction<T>(run: Run, table: string, work: (tx: Db) => Promise<T>): Promise<T> {
  if (run.ctx.signal.aborted) throw new Failure('INTERRUPTED', table, { command: 'the same command' })
  const { value } = await withLockRetries(run, table, timeout =>
    run.writer.sql.begin(async tx => {
      await setLocal(tx, timeout, 0)
      await setParameter(tx, 'rethread.restoring', 'on')
      const held = await holdOff(tx, table)
      const done = await work(tx)
      await release(tx, held)
      return done
    }),
  )
  return value as T
}
