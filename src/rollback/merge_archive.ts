import type { ArchiveRow } from '../archive/archive.sql.js'
import { tid } from '../backfill/batch_predicate.sql.js'
import { columnFacts, columnNames, heapsOf } from '../database/catalog.sql.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { faultText, isDataFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { Failure } from '../model/failure.js'
import { number, plural } from '../model/plural.js'
import type { Track } from '../model/project.js'
import { readHistory } from '../plan/history.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import { contentHash } from '../run/schema_snapshot.sql.js'
import { catchUpRows } from './after_merge.sql.js'
import { forgetNotes, misplacedRows } from './brought_back.sql.js'
import { columnMerge, tableMerge, type Unfit } from './fit_archive.js'
import { advanceSequences, columnAgain, holdOff, release, valuesIn } from './merged_table.sql.js'
import {
  type Conflict,
  changedMeanwhile,
  keyAt,
  leftRows,
  mergeTable,
  notBroughtBack,
  rowsIn,
  type Stretch,
  type TableMerge,
} from './restore.sql.js'
import { type ColumnMerge, columnConflicts, mergeColumn, otherValues } from './restore_values.sql.js'

/** Pages of an archive that one statement merges. */
const mergePages = 64

/**
 * Pages whose rows are caught up in one transaction. Fewer, because the rows are locked and the application
 * waits.
 */
const caughtUpPages = 8

/** The result of one part of a restore. */
export interface Merged {
  inserted: number
  updated: number
  /** Rows that a repeated migrate makes, and values of rows that were deleted since. */
  left: number
  conflicts: Conflict[]
  /** True if nothing was tried: the next restore begins with the whole archive. */
  untried?: true
}

/** Throws ARCHIVE_CHANGED if an archive differs from what was sealed. */
export async function refuseChanged(sql: Db, a: ArchiveRow): Promise<void> {
  if (a.hash === null) return
  const now = await contentHash(sql, a.storedAs, await columnNames(sql, a.storedAs))
  if (now.hash !== a.hash || now.rows !== a.rows)
    throw new Failure('ARCHIVE_CHANGED', a.storedAs, { rows: now.rows, sealed: a.rows })
}

/** Merges an archived table into the current one. */
export async function mergeRows(run: Run, track: Track, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  const { merge, wanted, gone, unfit, noKey } = await tableMerge(sql, track, a)
  if (noKey !== null) return unmerged(a, `${noKey}: ${plural(a.rows, 'row', 'are')} still in ${a.storedAs}`)
  const misplaced = await misplacedRows(sql, a.id)
  // a row with a key is looked for by it: what was deleted since the interruption comes back then
  if (misplaced > 0 && merge.key.length > 0) await forgetNotes(sql, a.id)
  else if (misplaced > 0)
    return unmerged(
      a,
      `${a.storedAs} was written again (VACUUM FULL, a dump) after a restore was broken off: nothing shows which ${misplaced} of its ${plural(a.rows, 'row', 'are')} back`,
    )
  const sum = { inserted: 0, updated: 0 }
  const refused = new Map<string, Conflict>()
  const changed = await changedMeanwhile(sql, merge)
  if (wanted.length === 0) {
    // a row may reference one that comes after it, so repeat until nothing is inserted
    const own = merge.parents.some(k => k.parent === a.relation)
    for (let before = -1; before !== sum.inserted && (own || before < 0); ) {
      before = sum.inserted
      refused.clear()
      for (const heap of await heapsOf(sql, a.storedAs))
        for (let page = 0; page < heap.pages; page += mergePages) {
          const stretch = { from: tid(page), to: tid(page + mergePages) }
          await oneByOneIfRefused(run, a, { source: heap.relation, stretch, refused }, async (tx, s) => {
            const done = await mergeTable(tx, merge, heap.relation, s)
            return () => {
              sum.inserted += done.inserted
              sum.updated += done.updated
            }
          })
        }
    }
    await advanceSequences(sql, a.relation)
  }
  const failed = reasonsByKey(refused)
  const missing = (await notBroughtBack(sql, merge)).filter(c => !failed.has(c.key))
  const missed = [...changed, ...missing, ...refused.values()]
  const none = `${wanted.join(', ')} must not be null and has no default: give it one, then restore again`
  const reasons = wanted.length === 0 ? missed : missed.map(({ key }) => ({ key, reason: none }))
  // without a key it is unknown which rows they are
  if (wanted.length > 0 && a.keyColumns.length === 0 && a.rows > 0)
    reasons.push({ key: plural(a.rows, 'row'), reason: none })
  for (const column of gone) {
    const values = await valuesIn(sql, a.storedAs, column)
    if (values > 0)
      reasons.push({
        key: `column ${column}`,
        reason: `it is gone: ${plural(values, 'value', 'are')} still in ${a.storedAs}`,
      })
  }
  for (const column of wanted.length > 0 ? [] : unfit)
    reasons.push(...(await unfitValues(sql, merge, column)))
  return { ...sum, left: await leftRows(sql, merge), conflicts: reasons }
}

/** The values that a column could not take unchanged. */
async function unfitValues(sql: Db, merge: TableMerge | ColumnMerge, unfit: Unfit): Promise<Conflict[]> {
  const values = await otherValues(sql, merge, unfit)
  const reason = `${unfit.why}: other values than before (${number(values)}); those from before are still in ${merge.storedAs}`
  return values === 0 ? [] : [{ key: `column ${unfit.column}`, reason }]
}

/** Why rows were refused, by the key that reports name. */
const reasonsByKey = (refused: Map<string, Conflict>): Map<string, string> =>
  new Map([...refused.values()].map(c => [c.key, c.reason]))

/** The result for an archive of which nothing can be restored. */
const unmerged = (a: ArchiveRow, reason: string): Merged => ({
  inserted: 0,
  updated: 0,
  left: 0,
  untried: true,
  conflicts: a.rows > 0 ? [{ key: a.column === null ? a.relation : `column ${a.column}`, reason }] : [],
})

/**
 * Merges some pages. If the server refuses a row, merges row by row, so that the others are restored;
 * `refused` then has the refused ones by their place. `merge` returns what counts its result after the
 * commit.
 */
async function oneByOneIfRefused(
  run: Run,
  a: ArchiveRow,
  { source, stretch, refused }: { source: string; stretch: Stretch; refused: Map<string, Conflict> },
  merge: (tx: Db, stretch: Stretch) => Promise<() => void>,
): Promise<void> {
  const one = async (s: Stretch) => (await inTransaction(run, a.relation, tx => merge(tx, s)))()
  try {
    return await one(stretch)
  } catch (error) {
    if (!isDataFault(error)) throw error
  }
  for (const row of await rowsIn(run.writer.sql, source, stretch)) {
    try {
      await one({ row })
    } catch (error) {
      if (!isDataFault(error)) throw error
      const key = await keyAt(run.writer.sql, source, a.keyColumns, row)
      refused.set(`${source} ${row}`, { key, reason: faultText(error) })
    }
  }
}

/** Merges the values of an archived column into the current table. */
export async function mergeValues(run: Run, track: Track, a: ArchiveRow): Promise<Merged> {
  const { sql } = run.writer
  if (!(await columnFacts(sql, a.relation, a.column!))) {
    const type = (await columnFacts(sql, a.storedAs, a.column!))!.type
    const again = columnAgain(a.relation, a.column!, type)
    return unmerged(
      a,
      `no migration makes the column: ${plural(a.rows, 'value', 'are')} still in ${a.storedAs}; ${again}, then restore again`,
    )
  }
  if (a.keyColumns.length === 0)
    return unmerged(
      a,
      `${a.relation} had no primary key: ${plural(a.rows, 'value', 'are')} in ${a.storedAs}, beside the whole rows that had them`,
    )
  const { merge, unfit, noKey } = await columnMerge(sql, track, a)
  if (noKey !== null) return unmerged(a, `${noKey}: ${plural(a.rows, 'value', 'are')} still in ${a.storedAs}`)
  if (unfit?.isComputed)
    return { inserted: 0, updated: 0, left: 0, conflicts: await unfitValues(sql, merge, unfit) }
  const refused = new Map<string, Conflict>()
  let updated = 0
  for (const heap of await heapsOf(sql, a.storedAs))
    for (let page = 0; page < heap.pages; page += mergePages) {
      const stretch = { from: tid(page), to: tid(page + mergePages) }
      await oneByOneIfRefused(run, a, { source: heap.relation, stretch, refused }, async (tx, s) => {
        const done = await mergeColumn(tx, merge, s)
        return () => (updated += done)
      })
    }
  const { conflicts, left } = await columnConflicts(sql, merge)
  const failed = reasonsByKey(refused)
  const reasons = conflicts.map(c => ({ ...c, reason: failed.get(c.key) ?? unfit?.why ?? c.reason }))
  return { inserted: 0, updated, left, conflicts: reasons }
}

/**
 * Updates what rows derive from others, by the expressions in the files of applied migrations: a restored
 * session has its former time, and may have new messages since.
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

/**
 * Runs one short transaction with the application's triggers disabled, so that rows are restored unchanged.
 * Ctrl-C ends a restore between two of them; the same command merges the rest.
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
