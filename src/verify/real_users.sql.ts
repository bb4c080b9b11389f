import { type Db, ident } from '../database/types.js'
import { namesIn } from '../model/table_name.js'

/** Most pages of a table that are read to find users. */
const pagesOfRealUsers = 2000

/**
 * A sample of the users that a column names. It is the same each time as long as the table does not change.
 * `column` is `schema.table.column`.
 */
export async function sampleRealUsers(sql: Db, column: string, n: number): Promise<string[]> {
  const [schema, table, name] = namesIn(column) as [string, string, string]
  const from = `${ident(schema)}.${ident(table)}`
  const persons = (sample: string) =>
    sql.unsafe<{ person: string }[]>(
      `select person::text as person from (
         select distinct ${ident(name)} as person from ${from} ${sample} where ${ident(name)} is not null
       ) x order by md5(person::text) limit ${n}`,
    )
  const [size] = await sql<{ pages: number }[]>`
    select relpages as pages from pg_catalog.pg_class where oid = to_regclass(${from}) and relkind = 'r'`
  const share = (100 * pagesOfRealUsers) / (size?.pages ?? 0)
  const some = share < 100 ? await persons(`tablesample system (${share}) repeatable (1)`) : []
  return (some.length < n ? await persons('') : some).map(r => r.person)
}

/** Raises the server's error if a text is no valid value of a column of users, `schema.table.column`. */
export async function asPersonId(sql: Db, column: string, person: string): Promise<void> {
  const [schema, table, name] = namesIn(column) as [string, string, string]
  const [found] = await sql<{ type: string }[]>`
    select format_type(atttypid, atttypmod) as type from pg_catalog.pg_attribute
    where attrelid = to_regclass(${`${ident(schema)}.${ident(table)}`}) and attname = ${name} and not attisdropped`
  if (found) await sql.unsafe(`select $1::text::${found.type}`, [person])
}
