import { isRefused } from '../database/faults.js'
import type { Db } from '../database/types.js'
import type { MadeConstraint } from './made_objects.sql.js'

/** Above this number of rows an index is built concurrently. */
const manyRows = 10_000

/** What the fix-up needs to know about a table's rows. */
export interface TableRows {
  some: boolean
  many: boolean
}

/** Whether an existing table has rows, and many of them. */
export async function tableRows(sql: Db, table: string): Promise<TableRows> {
  const [row] = await sql.unsafe<TableRows[]>(`
    select exists (select from ${table}) as some,
      (select count(*) from (select from ${table} limit ${manyRows + 1}) x) > ${manyRows} as many`)
  return row!
}

/** How many rows have NULL in a column. */
export const nulls = (sql: Db, table: string, column: string): Promise<number> =>
  countFrom(sql, `from ${table} where ${column} is null`)

/** How many rows violate a key or check, and the query that shows them. Null if unknown. */
export async function rowsAgainst(
  sql: Db,
  table: string,
  { type, columns, expression, references, referenced }: MadeConstraint,
): Promise<{ rows: number; query: string } | null> {
  const from = fromRefused()
  if (from === null) return null
  try {
    return { rows: await countFrom(sql, from), query: `select * ${from}` }
  } catch (error) {
    // a column of another type, or a table that does not exist yet: the statement itself will report it
    if (!isRefused(error)) throw error
    return null
  }

  function fromRefused(): string | null {
    if (type === 'c' && expression !== null) return `from ${table} where not (${expression})`
    if (type === 'f' && references !== null)
      return `from ${table} x where ${columns.map(c => `x.${c} is not null`).join(' and ')} and not exists (select from ${references} r where ${columns.map((c, i) => `r.${referenced[i]} = x.${c}`).join(' and ')})`
    if (type === 'p' || type === 'u')
      return `from ${table} where (${columns.join(', ')}) in (select ${columns.join(', ')} from ${table} group by ${columns.join(', ')} having count(*) > 1)${type === 'p' ? ` or ${columns.map(c => `${c} is null`).join(' or ')}` : ''}`
    return null
  }
}

async function countFrom(sql: Db, from: string): Promise<number> {
  const [row] = await sql.unsafe<{ rows: number }[]>(`select count(*)::float8 as rows ${from}`)
  return row!.rows
}

/** Of these types: the enums. */
export async function enumerations(sql: Db, types: string[]): Promise<ReadonlySet<string>> {
  const rows = await sql<{ type: string }[]>`
    select w.type from unnest(${types}::text[]) as w (type)
    join pg_catalog.pg_type t on t.oid = to_regtype(w.type) and t.typtype = 'e'`
  return new Set(rows.map(r => r.type))
}

/** Names of a table's indexes, including those of its keys. */
export async function indexNames(sql: Db, table: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select c.relname::text as name from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indrelid = to_regclass(${table}) order by 1`
  return rows.map(r => r.name)
}
