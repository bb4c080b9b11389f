import { primaryKey } from '../database/catalog.sql.js'
import { type Db, ident, literal } from '../database/types.js'

/** Makes the table for rows that are deleted from another one. */
export async function makeStore(sql: Db, storedAs: string, table: string): Promise<void> {
  await sql.unsafe(`create table ${storedAs} (like ${table})`)
}

/** What stands before a DELETE whose rows something of ours takes up. */
export const rowsGone = 'with gone as (\n'

/**
 * Runs a DELETE, without RETURNING, so that its rows go to the archive. `alias` is the table's name in it.
 */
export async function keepDeleted(sql: Db, text: string, alias: string, storedAs: string): Promise<void> {
  await sql.unsafe(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n) insert into ${storedAs} select * from gone`,
  )
}

/**
 * Runs a DELETE on the quarantine, without RETURNING; how many of its rows are not in their table by their
 * primary key. The statements before it must have put them there.
 */
export async function putBack(sql: Db, text: string, alias: string): Promise<number> {
  const relations = await sql<{ relation: string }[]>`
    select distinct relation from rethread_archive.quarantine where to_regclass(relation) is not null`
  const cases: string[] = []
  for (const { relation } of relations) {
    const key = await primaryKey(sql, relation)
    if (key.length === 0) continue
    const same = key.map(c => `t.${ident(c)} = o.${ident(c)}`).join(' and ')
    cases.push(
      `when ${literal(relation)} then exists (select from ${relation} t, jsonb_populate_record(null::${relation}, gone.original) o where ${same})`,
    )
  }
  const there = cases.length === 0 ? 'false' : `case relation ${cases.join(' ')} else false end`
  const [row] = await sql.unsafe<{ lost: number }[]>(
    `${rowsGone}${text}\nreturning ${ident(alias)}.*\n) select count(*)::int as lost from gone where not ${there}`,
  )
  return row!.lost
}
