import { type Db, ident } from './types.js'

/** A table to be made like another one. */
interface Like {
  /** Up to the name of the new table: `create temporary table`. */
  create: string
  /** Its name, as SQL. */
  name: string
  /** The table that it is like, as SQL. */
  original: string
  /** What follows the columns: `on commit drop`. */
  rest?: string
}

/**
 * Makes a table with the columns, defaults, indexes and checks of another one. PostgreSQL copies no index and
 * no check that reads a whole row: where there is one, it has the keys of plain columns, and the checks that
 * can be copied.
 */
export async function createLike(sql: Db, { create, name, original, rest = '' }: Like): Promise<void> {
  const index = await hasWholeRowIndex(sql, original)
  const [whole] = await sql<{ check: boolean }[]>`
    select exists (
        select from pg_catalog.pg_constraint c where c.conrelid = to_regclass(${original})
          and c.conbin::text ~ ${wholeRow}) as check`
  const left = `${index ? 'excluding indexes' : ''} ${whole!.check ? 'excluding constraints' : ''}`
  await sql.unsafe(`${create} ${name} (like ${original} including all ${left}) ${rest}`)
  if (index) await addKeys(sql, name, original)
}

/** Whether an index of a table reads whole rows: each update of a row is then one of that index too. */
export async function hasWholeRowIndex(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`
    select exists (
      select from pg_catalog.pg_index i where i.indrelid = to_regclass(${table})
        and concat(i.indexprs::text, i.indpred::text) ~ ${wholeRow}) as found`
  return row!.found
}

/** How an expression of the catalog refers to the whole row: a column number of 0. */
const wholeRow = ':varattno 0 '

/** Gives a table the primary key and the unique constraints of another one that are of plain columns. */
async function addKeys(sql: Db, name: string, original: string): Promise<void> {
  const keys = await sql<{ primary: boolean; columns: string[] }[]>`
    select i.indisprimary as primary, array(
      select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
      join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where k.n <= i.indnkeyatts order by k.n) as columns
    from pg_catalog.pg_index i
    where i.indrelid = to_regclass(${original}) and i.indisunique and i.indexprs is null and i.indpred is null
    order by i.indexrelid`
  for (const { primary, columns } of keys)
    await sql.unsafe(
      `alter table ${name} add ${primary ? 'primary key' : 'unique'} (${columns.map(ident).join(', ')})`,
    )
}
