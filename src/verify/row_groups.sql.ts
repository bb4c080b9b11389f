import { type PlanNode, queryPlan } from '../database/query_plan.sql.js'
import { type Db, ident, literal, writeTextArray } from '../database/types.js'
import type { VisibleRows } from '../model/project.js'
import { namesIn, tableText } from '../model/table_name.js'

/**
 * Somebody's rows of a table, of those that meet a condition: their number, an order-free hash of their ids,
 * and the ids themselves where all that they see are few.
 */
export interface Visibility {
  rows: number
  hash: string
  ids: string[]
  /** What they see beside them. */
  others: { rows: number; ids: string[] }
  /** How many rows were looked at; null for all. */
  of: number | null
}

/** Most ids that are kept of what one person sees in one table. */
export const mostIds = 5000

/** What the current role sees of a table, of the rows that a filter lets through. Reads them once. */
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

/** Rows that no policy tells apart, because they are alike in every column that policies ask for. */
export interface RowGroup {
  /** Id of one of them. */
  one: string
  /** The first column that policies ask for, as text; null also where they ask for none. */
  first: string | null
  /** All of those columns as one text. */
  key: string
  /** How many there are, and the sum of the hashes of their ids, of those that fulfil a condition. */
  rows: number
  hash: string
  /** How many there are that do not fulfil it. */
  others: number
}

/** How the planner would read a table from end to end. */
export const planReading = (sql: Db, { table, id }: VisibleRows, isTable: boolean): Promise<PlanNode> =>
  // where a row is stored is in no index
  queryPlan(sql, `select ${isTable ? 'ctid' : ident(id)} from ${table}`)

/** How the planner would find the current role's rows of a table, of those that a filter lets through. */
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

/** Reads a table once; null where it has more groups than `most`, for which it may not be read. */
export async function readGroups(
  sql: Db,
  of: VisibleRows,
  columns: string[],
  where: string,
  most: number,
): Promise<RowGroup[] | null> {
  const query = groupQuery(of, columns, where)
  // the planner's guess is often too high: only where it is far off what is wanted nobody tries
  if ((await queryPlan(sql, query))['Plan Rows'] > 50 * most) return null
  const groups = await sql.unsafe<RowGroup[]>(`${query} limit ${most + 1}`)
  return groups.length > most ? null : groups
}

/** Which of some rows the current role sees, of those that fulfil a condition. */
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

/** The ids of the rows of some groups, by the key of the group; reads the table once. */
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
  // the first column is compared before the text of all is made, which takes ten times as long
  return sql.unsafe(
    `${found} where case when ${ident(first)} is null or ${ident(first)} = any (${arrayOf(values)})
       then ${groupKey(columns)} = any (${arrayOf(groups.map(g => g.key))}) else false end`,
  )
}

/** Rows that a sample has, about; most that it may have; and how many more each person's own may be. */
const usualSample = 10_000
const mostSampled = 20_000
const mostOwn = 200

/**
 * Ids of rows spread over a table of so many rows, and of some that are the persons' own where `column` is
 * one of it.
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

/** A text that the server takes for an array of whatever it is compared with. */
const arrayOf = (values: string[]): string => literal(writeTextArray(values))
