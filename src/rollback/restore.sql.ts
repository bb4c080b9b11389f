import type { ParentKey } from '../archive/archive.sql.js'
import { batchXids } from '../backfill/batch.sql.js'
import { keyText } from '../database/row_key.sql.js'
import { type Db, ident, literal, writeTextArray } from '../database/types.js'
import { isNoted, isNotedNow, noteRows, refuseLeftOut } from './brought_back.sql.js'

/** Rows that were left unchanged, with the reason. */
export interface Conflict {
  key: string
  reason: string
}

/** The conversions of archived values for the current columns, by column. */
export interface Fitted {
  /** Types that the server does not convert by itself: values are converted through text. */
  casts: Record<string, string>
  /** The SQL that replaces null in a NOT NULL column. */
  defaults: Record<string, string>
  /** NOT NULL columns for which nothing can replace null. */
  needs: string[]
}

/** An archived table and the current one. */
export interface TableMerge extends Fitted {
  /**
   * Its id in the list of archives. Null for rows that are restored in one transaction, which notes nothing.
   */
  archive: number | null
  table: string
  storedAs: string
  /** Columns of both tables, without generated ones. */
  columns: string[]
  /** Of these: the columns that an UPDATE may write. */
  writable: string[]
  key: string[]
  /** A predicate, without alias, for rows that a migrate makes itself. */
  ours: string | null
  /** A predicate for rows that another table also holds, edits included. */
  mirrored: string | null
  /** Columns, as SQL, in which a mirrored row must be equal to what was archived. */
  alike: string | null
  track: string
  parents: ParentKey[]
  /** Keys that an earlier restore could not restore; null for all rows. */
  only: string[] | null
  /** Whether the current table refuses ON CONFLICT, and its deferrable keys. */
  conflicts: { refused: boolean; late: string[] }
}

/** SQL of the key of an archived row as one text. */
export const archivedKey = (key: string[]): string => keyText(key.map(c => `a.${ident(c)}`))
/** SQL that is true if two rows have the same key. */
export const sameKey = (key: string[], a: string, b: string) =>
  key.map(c => `${a}.${ident(c)} = ${b}.${ident(c)}`).join(' and ')

/** Evaluates a predicate without alias on the row `alias`. */
export const holds = (alias: string, predicate: string | null): string =>
  predicate === null ? 'false' : `exists (select from (select ${alias}.*) as own where ${predicate})`

const parentOf = (k: ParentKey): string => `exists (
  select from ${k.parent} p where ${k.columns.map((c, i) => `p.${ident(k.parentColumns[i]!)} = a.${ident(c)}`).join(' and ')})`

/** SQL that is true if a row references nothing, or if its parent exists. */
export const hasParent = (k: ParentKey): string =>
  `(${k.columns.map(c => `a.${ident(c)} is null`).join(' or ')} or ${parentOf(k)})`

/**
 * True for a foreign key that would have set the column to null or its default when the parent was deleted.
 */
const clears = (k: ParentKey): boolean => k.onDelete === 'n' || k.onDelete === 'd'

/** Foreign keys whose parent must exist. For the others the value is lost instead. */
const needed = (m: { parents: ParentKey[] }): ParentKey[] => m.parents.filter(k => !clears(k))
const parentsThere = (m: { parents: ParentKey[] }): string => needed(m).map(hasParent).join(' and ') || 'true'

/** An archived value, as it can be restored now. */
function archivedValue(m: TableMerge, column: string): string {
  const type = m.casts[column]
  return withDefault(m, column, type ? `(${valueLeft(m, column)})::text::${type}` : valueLeft(m, column))
}
const archivedValues = (m: TableMerge, columns: string[]) => columns.map(c => archivedValue(m, c)).join(', ')

/** The same as text, which every type allows. */
const archivedText = (m: TableMerge, column: string): string =>
  withDefault(m, column, `(${valueLeft(m, column)})::text`, '::text')

/** The value itself; null if its parent no longer exists. */
function valueLeft(m: TableMerge, column: string): string {
  const value = `a.${ident(column)}`
  const cleared = m.parents.filter(k => clears(k) && k.columns.includes(column))
  return cleared.length === 0 ? value : `case when ${cleared.map(hasParent).join(' and ')} then ${value} end`
}

/** An archived value, or its replacement if it is null and the column is NOT NULL. */
export const withDefault = (m: Fitted, column: string, value: string, as = ''): string =>
  m.defaults[column] ? `coalesce(${value}, (${m.defaults[column]})${as})` : value

/** SQL that is true if a row has all values that the current table requires. */
const isComplete = (m: TableMerge): string =>
  m.needs.map(c => `(${archivedText(m, c)}) is not null`).join(' and ') || 'true'

/**
 * SQL that is true if the current row differs. It compares text, because some types have no equality
 * operator.
 */
const presentDiffers = (m: TableMerge, columns: string[]): string =>
  columns.map(c => `t.${ident(c)}::text is distinct from ${archivedText(m, c)}`).join(' or ') || 'false'

const madeByBatch = (alias: string): string => `${alias}.xmin::text::bigint in ${batchXids}`

/**
 * What a repeated migrate makes itself from the current data: unchanged rows of a backfill, and rows that
 * another table also holds. If their source was deleted, that was intended.
 */
export const leftToMigrate = (m: TableMerge): string =>
  `(${holds('a', m.mirrored)} or ${holds('a', m.ours)} and ${madeByBatch('a')})`

/** True for a mirrored row that migrate made again and that was not edited in the other table since. */
const isAlike = (m: TableMerge): string =>
  m.alike === null
    ? 'false'
    : ['a', 't']
        .map(alias => `(select row(${m.alike})::text from (select ${alias}.*) as own)`)
        .join(' is not distinct from ')

/** After an earlier restore: the rows that it left. The others may have been deleted since. */
export const inScope = (m: { key: string[]; only: string[] | null }): string =>
  m.only === null
    ? 'true'
    : `${archivedKey(m.key)} in (select jsonb_array_elements_text(${literal(JSON.stringify(m.only))}))`

/** True for a row that no broken-off restore has restored. If it is gone or changed since, people did it. */
const isNotBack = (m: TableMerge): string => (m.archive === null ? 'true' : `not ${isNoted(m.archive)}`)

/** Which rows of a table: those of some pages, one row, or several. */
export type Stretch = { from: string; to: string } | { row: string } | { rows: string[] }
/** A predicate for the rows of a stretch. */
export function inStretch(s: Stretch): string {
  if ('row' in s) return `a.ctid = '${s.row}'::tid`
  if ('rows' in s) return `a.ctid = any (${literal(writeTextArray(s.rows))}::tid[])`
  return `a.ctid >= '${s.from}'::tid and a.ctid < '${s.to}'::tid`
}

/**
 * Merges some pages of an archived table into the current one. Rows that a repeated migrate makes are left to
 * it. Another missing row is restored, unless its parent is missing. A row that users had edited before the
 * rollback replaces an unchanged row of a backfill. A row that was changed since stays. Repeating it changes
 * nothing.
 */
export async function mergeTable(
  sql: Db,
  m: TableMerge,
  source: string,
  stretch: Stretch,
): Promise<{ inserted: number; updated: number }> {
  const { refused, late } = m.conflicts
  // otherwise a conflict with an existing row would only be found at the commit
  if (late.length > 0) await sql.unsafe(`set constraints ${late.join(', ')} immediate`)
  const insert = `insert into ${m.table} (${m.columns.map(ident).join(', ')}) overriding system value
     select ${archivedValues(m, m.columns)} from only ${source} a where ${inStretch(stretch)}`
  const may = `not ${leftToMigrate(m)} and ${parentsThere(m)} and ${isComplete(m)}`
  if (m.key.length === 0 && m.archive !== null) {
    const where = `${inStretch(stretch)} and ${may}`
    const noted = await noteRows(sql, { archive: m.archive, source, where }, [m.track])
    const { count } = await sql.unsafe(`${insert} and ${isNotedNow(m.archive)}`)
    if (count < noted) await refuseLeftOut(sql)
    return { inserted: count, updated: 0 }
  }
  const isNew =
    refused && m.key.length > 0
      ? `not exists (select from ${m.table} t where ${sameKey(m.key, 't', 'a')})`
      : 'true'
  const inserted = await sql.unsafe(
    `${insert} and ${inScope(m)} and ${isNotBack(m)} and ${may} and ${isNew} ${refused ? '' : 'on conflict do nothing'}`,
    [m.track],
  )
  if (m.key.length === 0) return { inserted: inserted.count, updated: 0 }
  const updated = await setBack(sql, m, source, stretch)
  if (m.archive !== null) {
    const where = `${inStretch(stretch)} and exists (
      select from ${m.table} t where ${sameKey(m.key, 't', 'a')}
        and (t.xmin = pg_current_xact_id()::xid or not (${presentDiffers(m, m.writable)})))`
    await noteRows(sql, { archive: m.archive, source, where }, [])
  }
  return { inserted: inserted.count, updated }
}

/** Gives unchanged rows of a backfill the values that users had given them before the rollback. */
async function setBack(sql: Db, m: TableMerge, source: string, stretch: Stretch): Promise<number> {
  if (m.writable.length === 0) return 0
  const updated = await sql.unsafe(
    `update ${m.table} t set ${m.writable.map(c => `${ident(c)} = ${archivedValue(m, c)}`).join(', ')}
     from only ${source} a
     where ${inStretch(stretch)} and ${sameKey(m.key, 't', 'a')} and (${presentDiffers(m, m.writable)})
       and ${inScope(m)} and (not ${leftToMigrate(m)} or ${isAlike(m)}) and ${parentsThere(m)} and ${isComplete(m)}
       and not ${madeByBatch('a')} and ${madeByBatch('t')}`,
    [m.track],
  )
  return updated.count
}

/** The ctids of the rows in a stretch, to merge them one by one. */
export async function rowsIn(sql: Db, source: string, stretch: Stretch): Promise<string[]> {
  const rows = await sql.unsafe<{ row: string }[]>(
    `select a.ctid::text as row from only ${source} a where ${inStretch(stretch)} order by a.ctid`,
  )
  return rows.map(r => r.row)
}

/** The key of an archived row for reports. Without a key, the beginning of the row. */
export async function keyAt(sql: Db, source: string, key: string[], row: string): Promise<string> {
  const [found] = await sql.unsafe<{ key: string }[]>(
    `select ${key.length === 0 ? 'left((a.*)::text, 100)' : archivedKey(key)} as key from only ${source} a where a.ctid = '${row}'::tid`,
  )
  return found!.key
}

/** How many archived rows are left to the migration. */
export async function leftRows(sql: Db, m: TableMerge): Promise<number> {
  const [counted] = await sql.unsafe<{ left: number }[]>(
    `select count(*)::float8 as left from ${m.storedAs} a where ${leftToMigrate(m)}`,
    [m.track],
  )
  return counted!.left
}

/**
 * Archived rows whose current row stays, because it was changed since the rollback. Call it before the merge:
 * afterwards a restored row may differ in what a trigger of the track derives.
 */
export async function changedMeanwhile(sql: Db, m: TableMerge): Promise<Conflict[]> {
  if (m.key.length === 0) return []
  const rows = await sql.unsafe<Conflict[]>(
    `select ${archivedKey(m.key)} as key,
       case when not ${madeByBatch('t')} then 'it was changed after the rollback' ${reasonsOf(m)} end as reason
     from ${m.storedAs} a join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where ${inScope(m)} and ${isNotBack(m)} and not ${leftToMigrate(m)} and not ${madeByBatch('a')}
       and (${presentDiffers(m, m.writable)}) and not (${madeByBatch('t')} and ${parentsThere(m)} and ${isComplete(m)})
     order by 1`,
    [m.track],
  )
  return [...rows]
}

/** Archived rows that are missing, with the reason. Call it after the merge. */
export async function notBroughtBack(sql: Db, m: TableMerge): Promise<Conflict[]> {
  const taken = 'another row has values that only one may have'
  if (m.key.length === 0) return incompleteRows(sql, m)
  const rows = await sql.unsafe<Conflict[]>(
    `select ${archivedKey(m.key)} as key, case ${reasonsOf(m)} when true then ${literal(taken)} end as reason
     from ${m.storedAs} a left join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where ${inScope(m)} and ${isNotBack(m)} and not ${leftToMigrate(m)} and t.${ident(m.key[0]!)} is null
     order by 1`,
    [m.track],
  )
  return [...rows]
}

/** Rows without a key that no merge restores, counted by reason. */
async function incompleteRows(sql: Db, m: TableMerge): Promise<Conflict[]> {
  const rows = await sql.unsafe<Conflict[]>(
    `select format(case count(*) when 1 then '%s row' else '%s rows' end, count(*)) as key, x.reason
     from (select case ${reasonsOf(m)} when false then '' end as reason from ${m.storedAs} a
       where not ${leftToMigrate(m)} and not ${m.archive === null ? 'false' : isNoted(m.archive)}) x
     where x.reason is not null
     group by x.reason
     order by x.reason`,
    [m.track],
  )
  return [...rows]
}

/** CASE branches for why an archived row cannot be restored: a missing parent, a missing value. */
const reasonsOf = (m: TableMerge): string =>
  [
    ...needed(m).map(k => `when not ${hasParent(k)} then ${literal(`its row of ${k.parent} is gone`)}`),
    ...m.needs.map(c => `when (${archivedText(m, c)}) is null then ${literal(mustNotBeNull(c))}`),
  ].join(' ')

/** Why a row without a value for a column cannot be restored. */
export const mustNotBeNull = (column: string): string =>
  `${column} must not be null, and has no value here: give it a default, then restore again`
