import type { ParentKey } from '../archive/archive.sql.js'
import { batchXids } from '../backfill/batch.sql.js'
import { keyText } from '../database/row_key.sql.js'
import { type Db, ident, literal, writeTextArray } from '../database/types.js'
import { isNoted, isNotedNow, noteRows, refuseLeftOut } from './keyless_rows.sql.js'

/** Rows that were left as they are, with the reason. */
export interface Conflict {
  key: string
  reason: string
}

/** What has to be done with archived values before the present columns take them, by column. */
export interface Fitted {
  /** Types that the server does not convert by itself: they are read again from their text. */
  casts: Record<string, string>
  /** What takes the place of null in a column that takes none, as SQL. */
  defaults: Record<string, string>
  /** Columns that take no null, where nothing can take its place. */
  needs: string[]
}

/** An archived table and the present one. */
export interface TableMerge extends Fitted {
  /** Its id in the list of archives; null for rows that are put in one transaction, which note nothing. */
  archive: number | null
  table: string
  storedAs: string
  /** Columns of both, those left out that the server computes. */
  columns: string[]
  /** Those of them that an UPDATE may write. */
  writable: string[]
  key: string[]
  /** Predicate of rows that a migrate makes by itself, of a row without an alias. */
  ours: string | null
  /** Predicate of rows that are in another table too, edits included. */
  mirrored: string | null
  /** Columns, as SQL, by which a mirrored row is known to be what was archived. */
  alike: string | null
  track: string
  parents: ParentKey[]
  /** Keys that an earlier restore could not bring back; null for all rows. */
  only: string[] | null
  /** Whether the present table refuses ON CONFLICT, and its keys that are checked late. */
  conflicts: { refused: boolean; late: string[] }
}

/** The key of an archived row as one text. */
export const archivedKey = (key: string[]): string => keyText(key.map(c => `a.${ident(c)}`))
/** True where two rows have the same key. */
export const sameKey = (key: string[], a: string, b: string) =>
  key.map(c => `${a}.${ident(c)} = ${b}.${ident(c)}`).join(' and ')

/** A predicate on columns without an alias, asked of the row `alias`. */
export const holds = (alias: string, predicate: string | null): string =>
  predicate === null ? 'false' : `exists (select from (select ${alias}.*) as own where ${predicate})`

const parentOf = (k: ParentKey): string => `exists (
  select from ${k.parent} p where ${k.columns.map((c, i) => `p.${ident(k.parentColumns[i]!)} = a.${ident(c)}`).join(' and ')})`

/** True where the row points nowhere, or where what it points at is there. */
export const hasParent = (k: ParentKey): string =>
  `(${k.columns.map(c => `a.${ident(c)} is null`).join(' or ')} or ${parentOf(k)})`

/** Foreign keys that would have set the column to null, had the row been there when its parent went. */
const clears = (k: ParentKey): boolean => k.onDelete === 'n' || k.onDelete === 'd'

/** Foreign keys whose parent must be there: the others lose their value instead. */
const needed = (m: { parents: ParentKey[] }): ParentKey[] => m.parents.filter(k => !clears(k))
const parentsThere = (m: { parents: ParentKey[] }): string => needed(m).map(hasParent).join(' and ') || 'true'

/** An archived value, as it can be put back today. */
function archivedValue(m: TableMerge, column: string): string {
  const type = m.casts[column]
  return withDefault(m, column, type ? `(${valueLeft(m, column)})::text::${type}` : valueLeft(m, column))
}
const archivedValues = (m: TableMerge, columns: string[]) => columns.map(c => archivedValue(m, c)).join(', ')

/** The same as text, which no type refuses. */
const archivedText = (m: TableMerge, column: string): string =>
  withDefault(m, column, `(${valueLeft(m, column)})::text`, '::text')

/** The value itself; null where what it points at is gone. */
function valueLeft(m: TableMerge, column: string): string {
  const value = `a.${ident(column)}`
  const cleared = m.parents.filter(k => clears(k) && k.columns.includes(column))
  return cleared.length === 0 ? value : `case when ${cleared.map(hasParent).join(' and ')} then ${value} end`
}

/** An archived value, or what takes its place where the column takes no null. */
export const withDefault = (m: Fitted, column: string, value: string, as = ''): string =>
  m.defaults[column] ? `coalesce(${value}, (${m.defaults[column]})${as})` : value

/** Whether a row has what the present table wants of each. */
const isComplete = (m: TableMerge): string =>
  m.needs.map(c => `(${archivedText(m, c)}) is not null`).join(' and ') || 'true'

/** Whether the present row differs. As text: not every type can be compared. */
const presentDiffers = (m: TableMerge, columns: string[]): string =>
  columns.map(c => `t.${ident(c)}::text is distinct from ${archivedText(m, c)}`).join(' or ') || 'false'

const madeByBatch = (alias: string): string => `${alias}.xmin::text::bigint in ${batchXids}`

/**
 * What a repeated migrate makes by itself, from what is there today: rows that a backfill made and nobody
 * touched, and rows that are in another table as well. Whoever deleted what they come from meant it.
 */
export const leftToMigrate = (m: TableMerge): string =>
  `(${holds('a', m.mirrored)} or ${holds('a', m.ours)} and ${madeByBatch('a')})`

/** A mirrored row that the migrate made again, and that nobody has edited in the other table since. */
const isAlike = (m: TableMerge): string =>
  m.alike === null
    ? 'false'
    : ['a', 't']
        .map(alias => `(select row(${m.alike})::text from (select ${alias}.*) as own)`)
        .join(' is not distinct from ')

/** Where a restore has been through, the rows that it left. The rest may have been deleted since. */
export const inScope = (m: { key: string[]; only: string[] | null }): string =>
  m.only === null
    ? 'true'
    : `${archivedKey(m.key)} in (select jsonb_array_elements_text(${literal(JSON.stringify(m.only))}))`

/** Which rows of a table: a stretch of its pages, one row, or some. */
export type Stretch = { from: string; to: string } | { row: string } | { rows: string[] }
/** True for the rows of a stretch. */
export function inStretch(s: Stretch): string {
  if ('row' in s) return `a.ctid = '${s.row}'::tid`
  if ('rows' in s) return `a.ctid = any (${literal(writeTextArray(s.rows))}::tid[])`
  return `a.ctid >= '${s.from}'::tid and a.ctid < '${s.to}'::tid`
}

/**
 * Merges a stretch of an archived table into the present one. Rules: what a repeated migrate makes is left to
 * it; another row that is gone comes back unless what it points at is gone; a row that people had edited
 * before the rollback wins over one that a backfill made again and nobody touched; a row that was touched
 * since stays. Run again, it changes nothing.
 */
export async function mergeTable(
  sql: Db,
  m: TableMerge,
  source: string,
  stretch: Stretch,
): Promise<{ inserted: number; updated: number }> {
  const { refused, late } = m.conflicts
  // a row that is there would else be found at the end of the transaction, when it is too late
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
    `${insert} and ${inScope(m)} and ${may} and ${isNew} ${refused ? '' : 'on conflict do nothing'}`,
    [m.track],
  )
  if (m.writable.length === 0 || m.key.length === 0) return { inserted: inserted.count, updated: 0 }
  const updated = await sql.unsafe(
    `update ${m.table} t set ${m.writable.map(c => `${ident(c)} = ${archivedValue(m, c)}`).join(', ')}
     from only ${source} a
     where ${inStretch(stretch)} and ${sameKey(m.key, 't', 'a')} and (${presentDiffers(m, m.writable)})
       and ${inScope(m)} and (not ${leftToMigrate(m)} or ${isAlike(m)}) and ${parentsThere(m)} and ${isComplete(m)}
       and not ${madeByBatch('a')} and ${madeByBatch('t')}`,
    [m.track],
  )
  return { inserted: inserted.count, updated: updated.count }
}

/** Places of the rows in a stretch, for a merge of one at a time. */
export async function rowsIn(sql: Db, source: string, stretch: Stretch): Promise<string[]> {
  const rows = await sql.unsafe<{ row: string }[]>(
    `select a.ctid::text as row from only ${source} a where ${inStretch(stretch)} order by a.ctid`,
  )
  return rows.map(r => r.row)
}

/** The key of one archived row, as reports name it; without one, what it begins with. */
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
 * Archived rows whose present row a merge will leave as it is, because somebody has changed it since. To be
 * asked before the merge: a row that was set back may differ too, in what a trigger of the track derives.
 */
export async function changedMeanwhile(sql: Db, m: TableMerge): Promise<Conflict[]> {
  if (m.key.length === 0) return []
  const rows = await sql.unsafe<Conflict[]>(
    `select ${archivedKey(m.key)} as key,
       case when not ${madeByBatch('t')} then 'it was changed after the rollback' ${reasonsOf(m)} end as reason
     from ${m.storedAs} a join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where ${inScope(m)} and not ${leftToMigrate(m)} and not ${madeByBatch('a')}
       and (${presentDiffers(m, m.writable)}) and not (${madeByBatch('t')} and ${parentsThere(m)} and ${isComplete(m)})
     order by 1`,
    [m.track],
  )
  return [...rows]
}

/** Archived rows that are not there, with the reason. To be asked after the merge. */
export async function notBroughtBack(sql: Db, m: TableMerge): Promise<Conflict[]> {
  const taken = 'another row has values that only one may have'
  if (m.key.length === 0) return incompleteRows(sql, m)
  const rows = await sql.unsafe<Conflict[]>(
    `select ${archivedKey(m.key)} as key, case ${reasonsOf(m)} when true then ${literal(taken)} end as reason
     from ${m.storedAs} a left join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where ${inScope(m)} and not ${leftToMigrate(m)} and t.${ident(m.key[0]!)} is null
     order by 1`,
    [m.track],
  )
  return [...rows]
}

/** Rows without a key that no merge brings back, counted by reason. */
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

/** Arms of a CASE that say what is in the way of an archived row: a parent that is gone, a value it lacks. */
const reasonsOf = (m: TableMerge): string =>
  [
    ...needed(m).map(k => `when not ${hasParent(k)} then ${literal(`its row of ${k.parent} is gone`)}`),
    ...m.needs.map(c => `when (${archivedText(m, c)}) is null then ${literal(mustNotBeNull(c))}`),
  ].join(' ')

/** Why a row without a value for a column can't come back. */
export const mustNotBeNull = (column: string): string =>
  `${column} must not be null, and has no value here: give it a default, then restore again`

/**
 * Takes away rows that the migrate before this restore has made because the archived ones were not there yet,
 * and that nobody has touched: with the archive back, the track's own predicate calls them superseded.
 */
export async function removeSuperseded(sql: Db, m: TableMerge, superseded: string): Promise<number> {
  const result = await sql.unsafe(
    `delete from ${m.table}
     where (${m.ours ?? 'false'}) and (${superseded})
       and not exists (select from ${m.storedAs} a where ${sameKey(m.key, m.table, 'a')} and not ${leftToMigrate(m)})
       and ${m.table}.xmin::text::bigint in ${batchXids}`,
    [m.track],
  )
  return result.count
}

/**
 * Evaluates an expression of the track for each row of a stretch, the row locked: it reads what nobody can
 * change meanwhile.
 */
export async function catchUpRows(
  sql: Db,
  relation: string,
  expression: string,
  stretch: Stretch,
): Promise<void> {
  const rows = `from only ${relation} a where ${inStretch(stretch)}`
  // a statement of its own: FOR UPDATE passes over rows that the expression has written for another row
  await sql.unsafe(`select count(*) from (select ${rows} for no key update) locked`)
  await sql.unsafe(`select count((${expression})::text) from (select a.* ${rows}) own`)
}
