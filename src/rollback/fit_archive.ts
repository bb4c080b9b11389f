import { type ArchiveRow, foreignKeys, type ParentKey } from '../archive/archive.sql.js'
import type { Db } from '../database/types.js'
import type { Track } from '../model/project.js'
import { declaredKeys } from './declared_keys.js'
import { isAssigned, type MergedColumn, mergedColumns, noConflictClause } from './merged_table.sql.js'
import type { Fitted, TableMerge } from './restore.sql.js'
import type { ColumnMerge } from './restore_values.sql.js'

/** A column of both tables that may not accept its archived values, and why. */
export interface Unfit {
  column: string
  /** The archived type, and the current one. */
  from: string
  to: string
  why: string
  /** True if it is generated, so that nobody may write it. */
  isComputed: boolean
}

/** How an archived table is merged, and what of it cannot be. */
export interface FittedTable {
  merge: TableMerge
  /** New columns that are NOT NULL and have no default. */
  wanted: string[]
  /** Archived columns that no longer exist. */
  gone: string[]
  unfit: Unfit[]
  /** Why rows cannot be identified; null if the key exists as before. */
  noKey: string | null
}

/** How to merge an archived table into the current one, whose columns may have changed. */
export async function tableMerge(sql: Db, track: Track, a: ArchiveRow): Promise<FittedTable> {
  const archived = await mergedColumns(sql, a.storedAs)
  const present = await mergedColumns(sql, a.relation)
  const pairs = pairsOf(archived, present)
  const columns = pairs.filter(p => !p.to.generated)
  const rollback = track.migrations.find(m => m.name === a.migration)?.rollback
  const merge = {
    archive: a.id,
    table: a.relation,
    storedAs: a.storedAs,
    columns: columns.map(c => c.name),
    writable: columns.filter(c => !c.to.always && !a.keyColumns.includes(c.name)).map(c => c.name),
    key: a.keyColumns,
    ours: a.ours,
    mirrored: rollback?.mirrored.find(o => o.object === a.relation)?.predicate ?? null,
    alike: rollback?.alike.find(o => o.object === a.relation)?.predicate ?? null,
    track: a.track,
    parents: await parentsOf(sql, track, a.relation),
    only: a.left,
    ...(await fitted(sql, columns)),
    conflicts: await noConflictClause(sql, a.relation),
  }
  return {
    merge,
    wanted: present.filter(c => c.wanted && !pairs.some(p => p.name === c.name)).map(c => c.name),
    gone: archived.filter(c => !c.generated && !present.some(p => p.name === c.name)).map(c => c.name),
    unfit: pairs.flatMap(p => unfit(p, a.keyColumns)),
    noKey: noKey(pairs, a.keyColumns),
  }
}

/** How to merge an archived column; null if the table has no column with its name. */
export async function columnMerge(
  sql: Db,
  track: Track,
  a: ArchiveRow,
): Promise<{ merge: ColumnMerge; unfit: Unfit | null; noKey: string | null }> {
  const pairs = pairsOf(await mergedColumns(sql, a.storedAs), await mergedColumns(sql, a.relation))
  const column = pairs.filter(p => p.name === a.column)
  const merge = {
    table: a.relation,
    column: a.column!,
    storedAs: a.storedAs,
    key: a.keyColumns,
    ours: a.ours,
    parents: (await parentsOf(sql, track, a.relation)).filter(p => p.columns.includes(a.column!)),
    only: a.left,
    initial: column[0]?.to.default ?? null,
    ...(await fitted(sql, column)),
  }
  return { merge, unfit: column.flatMap(p => unfit(p, []))[0] ?? null, noKey: noKey(pairs, a.keyColumns) }
}

/** A column in the archive and in the current table. */
interface Pair {
  name: string
  from: MergedColumn
  to: MergedColumn
}

const pairsOf = (archived: MergedColumn[], present: MergedColumn[]): Pair[] =>
  present.flatMap(to => {
    const from = archived.find(c => c.name === to.name)
    return from ? [{ name: to.name, from, to }] : []
  })

/** The conversions that archived values need for the current columns. */
async function fitted(sql: Db, pairs: Pair[]): Promise<Fitted> {
  const fit: Fitted = { casts: {}, defaults: {}, needs: [] }
  for (const { name, from, to } of pairs) {
    if (from.type !== to.type && !(await isAssigned(sql, from.type, to.type))) fit.casts[name] = to.type
    if (!to.notNull || from.notNull) continue
    if (to.default === null) fit.needs.push(name)
    else fit.defaults[name] = `(${to.default})::${to.type}`
  }
  return fit
}

function unfit({ name: column, from, to }: Pair, key: string[]): Unfit[] {
  const types = { column, from: from.type, to: to.type }
  if (to.generated && !from.generated) return [{ ...types, isComputed: true, why: 'it is generated now' }]
  if (to.always && !key.includes(column))
    return [{ ...types, isComputed: true, why: 'the server gives its numbers' }]
  const why = `it is ${to.type} now, and was ${from.type}`
  return from.type === to.type || to.generated ? [] : [{ ...types, isComputed: false, why }]
}

/** Without its key a row cannot be found, and might be restored twice. Returns the reason, else null. */
function noKey(pairs: Pair[], key: string[]): string | null {
  for (const column of key) {
    const pair = pairs.find(p => p.name === column)
    if (!pair) return `column ${column} of its key is gone`
    if (pair.from.type !== pair.to.type)
      return `column ${column} of its key is ${pair.to.type} now, and was ${pair.from.type}`
  }
  return null
}

/** Foreign keys of a table: the current ones, and those that a later step of the track adds. */
async function parentsOf(sql: Db, track: Track, table: string): Promise<ParentKey[]> {
  const present = await foreignKeys(sql, table)
  const declared = await declaredKeys(sql, track, table)
  return [...present, ...declared.filter(d => !present.some(p => p.name === d.name))]
}
