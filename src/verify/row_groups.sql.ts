import { type PlanNode, queryPlan } from '../database/query_plan.sql.js'
import { type Db, ident, literal, writeTextArray } from '../database/types.js'
import type { VisibleRows } from '../model/project.js'
import { namesIn, tableText } from '../model/table_name.js'

/**
 * The visible rows of a table that satisfy a condition: their number, a hash of their ids that does not
 * depend on order, and the ids themselves if there are few.
 */
export interface Visibility {
  rows: number
  hash: string
  ids: string[]
  /** The other visible rows. */
  others: { rows: number; ids: string[] }
  /** How many rows were examined; null for all. */
  of: number | null
}

/** Most ids that are kept for one user and table. */
export const mostIds = 5000

/**
 * The rows that the current role sees, of those that satisfy `filter`. `where` divides them into `rows` and
 * `others`. Reads the table once.
 */
export async function readVisibility(
  sql: Db,
  { table, id }: VisibleRows,
  filter: string,
  where: string,
): Promise<Visibility> {
  const few = (which: string) =>
    `array(select unnest(array_agg(x.id) filter (where x.n <= ${mostIds} and ${which})) order by 1)`
  const [row] = await sql.unsafe<
    { rows: number; hash: string; ids: string[]; others: number; more: string[] }[]
  >(
    `select count(*) filter (where x.meant)::float8 as rows, ${few('x.meant')} as ids,
       coalesce(sum(hashtextextended(x.id, 0)) filter (where x.meant), 0)::text as hash,
       count(*) filter (where not x.meant)::float8 as others, ${few('not x.meant')} as more
     from (select ${ident(id)}::text as id, coalesce(${where}, false) as meant, row_number() over () as n
       from ${table} where ${filter}) x`,
  )
  const { rows, hash, ids, others, more } = row!
  return { rows, hash, ids, others: { rows: others, ids: more }, of: null }
}

/** Rows that policies cannot distinguish, because all columns that policies read are equal. */
export interface RowGroup {
  /** The id of one of them. */
  one: string
  /** The first column that policies read, as text. Null also if they read none. */
  first: string | null
  /** The values of all these columns as one text. */
  key: string
  /** How many rows satisfy the condition, and the sum of the hashes of their ids. */
  rows: number
  hash: string
  /** How many rows do not satisfy it. */
  others: number
}

/** The plan for reading a whole table. */
export const planReading = (sql: Db, { table, id }: VisibleRows, isTable: boolean): Promise<PlanNode> =>
  // no index has the ctid, so the plan reads the table
  queryPlan(sql, `select ${isTable ? 'ctid' : ident(id)} from ${table}`)

/** The plan for the current role's rows that satisfy a filter. */
export const planFinding = (sql: Db, { table, id }: VisibleRows, filter: string): Promise<PlanNode> =>
  queryPlan(sql, `select ${ident(id)} from ${table} where ${filter}`)

const groupKey = (columns: string[]): string => `row(${columns.map(ident).join(', ')})::text`

const groupQuery = ({ table, id }: VisibleRows, columns: string[], where: string): string => {
  const list = columns.map(ident)
  const hash = `hashtextextended(${ident(id)}::text, 0)`
  return `select min(${ident(id)}::text collate "C") as one, ${list[0] ?? 'null'}::text as first, ${groupKey(columns)} as key,
      count(*) filter (where ${where})::float8 as rows, coalesce(sum(${hash}) filter (where ${where}), 0)::text as hash,
      count(*) filter (where not (${where}))::float8 as others
    from ${table} ${list.length > 0 ? `group by ${list.join(', ')}` : 'having count(*) > 0'}`
}

/**
 * Groups the rows of a table, reading it once. Null if it has more than `most` groups, or probably far more.
 */
export async function readGroups(
  sql: Db,
  of: VisibleRows,
  columns: string[],
  where: string,
  most: number,
): Promise<RowGroup[] | null> {
  const query = groupQuery(of, columns, where)
  // the planner's estimate is often too high, so give up only if it is far above the limit
  if ((await queryPlan(sql, query))['Plan Rows'] > 50 * most) return null
  const groups = await sql.unsafe<RowGroup[]>(`${query} limit ${most + 1}`)
  return groups.length > most ? null : groups
}

/** Of these rows: those that the current role sees and that satisfy the condition. */
export async function visibleAmong(
  sql: Db,
  { table, id }: VisibleRows,
  ids: string[],
  where: string,
): Promise<string[]> {
  if (ids.length === 0) return []
  const rows = await sql.unsafe<{ id: string }[]>(
    `select ${ident(id)}::text as id from ${table} where ${ident(id)} = any (${arrayOf(ids)}) and (${where})`,
  )
  return rows.map(r => r.id)
}

/** The ids in some groups, each with the key of its group. Reads the table once. */
export async function idsIn(
  sql: Db,
  { table, id }: VisibleRows,
  columns: string[],
  groups: RowGroup[],
  where: string,
): Promise<{ key: string; id: string; meant: boolean }[]> {
  const found = `select ${groupKey(columns)} as key, ${ident(id)}::text as id, coalesce(${where}, false) as meant from ${table}`
  const [first] = columns
  if (groups.length === 0) return []
  if (first === undefined) return sql.unsafe(found)
  const values = groups.flatMap(g => (g.first === null ? [] : [g.first]))
  // compare the first column before building the text of all, which takes ten times as long
  return sql.unsafe(
    `${found} where case when ${ident(first)} is null or ${ident(first)} = any (${arrayOf(values)})
       then ${groupKey(columns)} = any (${arrayOf(groups.map(g => g.key))}) else false end`,
  )
}

/** Usual size of a sample in rows, its largest size, and the most rows of each user's own. */
const usualSample = 10_000
const mostSampled = 20_000
const mostOwn = 200

/**
 * The ids of a sample of a table with about `rows` rows. If `column` is one of the table's, rows of the given
 * users are included.
 */
export async function sampleOf(
  sql: Db,
  { table, id }: VisibleRows,
  rows: number,
  { column, ids }: { column: string; ids: string[] },
): Promise<string[]> {
  const share = Math.min(100, (100 * usualSample) / Math.max(1, rows))
  const spread = `(select ${ident(id)}::text as id from ${table} tablesample system (${share}) repeatable (1) limit ${mostSampled})`
  const [schema, name, last] = namesIn(column) as [string, string, string]
  const own = `select id from (
      select ${ident(id)}::text as id, row_number() over (partition by ${ident(last)}) as n
      from ${table} where ${ident(last)} = any (${arrayOf(ids)})) x where n <= ${mostOwn}`
  const found = await sql.unsafe<{ id: string }[]>(
    tableText({ schema, name }) === table ? `${spread} union ${own}` : spread,
  )
  return found.map(r => r.id)
}

/** An array literal, to be compared with a column of any type. */
const arrayOf = (values: string[]): string => literal(writeTextArray(values))
