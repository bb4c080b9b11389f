import { type Db, ident } from './types.js'

/** A table to create like another one. */
interface Like {
  /** The statement up to the name: `create temporary table`. */
  create: string
  /** Its name, as SQL. */
  name: string
  /** The original table, as SQL. */
  original: string
  /** The text after the columns: `on commit drop`. */
  rest?: string
}

/**
 * Creates a table with the columns, defaults, indexes and checks of another one. PostgreSQL cannot copy
 * indexes or checks that read a whole row. If there is one, only keys on plain columns and the other checks
 * are copied.
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

/** Whether an index of a table reads whole rows. Then every update changes that index too. */
export async function hasWholeRowIndex(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ found: boolean }[]>`
    select exists (
      select from pg_catalog.pg_index i where i.indrelid = to_regclass(${table})
        and concat(i.indexprs::text, i.indpred::text) ~ ${wholeRow}) as found`
  return row!.found
}

/** How the catalog stores a reference to the whole row: column number 0. */
const wholeRow = ':varattno 0 '

/** Adds another table's primary key and unique constraints, if they are on plain columns. */
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
