import { ident, literal, type Root } from '../database/types.js'

/** A table with the SQL of its key. */
interface Keyed {
  name: string
  key: string
}

/** Fills an empty database with the demo's data, and keeps a copy of its keys for comparison. */
export async function fillDemo(
  sql: Root,
  fixture: { shim: string; before: string; messages: number },
): Promise<{ tables: Keyed[]; rows: number }> {
  await sql.unsafe(
    `set client_min_messages = warning; set synchronous_commit = off; set demo.messages = ${fixture.messages}`,
  )
  await sql.unsafe(fixture.shim)
  await sql.unsafe(fixture.before)
  const tables = await sql<Keyed[]>`
    select c.relname::text as name, coalesce(
      (select string_agg(format('%I::text', a.attname), ', ' order by a.attnum)
        from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
        where i.indrelid = c.oid and i.indisprimary), 't::text') as key
    from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    order by 1`
  await sql.unsafe('create temp table demo_before (name text, key text)')
  for (const t of tables)
    await sql.unsafe(
      `insert into demo_before select ${literal(t.name)}, concat_ws(',', ${t.key}) from public.${ident(t.name)} t`,
    )
  const [row] = await sql<{ rows: number }[]>`select count(*)::int as rows from demo_before`
  return { tables: [...tables], rows: row!.rows }
}

/** How many of the original rows are missing, by their keys. */
export async function missingRows(sql: Root, tables: Keyed[]): Promise<number> {
  let missing = 0
  for (const t of tables) {
    const [row] = await sql.unsafe<{ n: number }[]>(
      `select count(*)::int as n from (
         select key from demo_before where name = ${literal(t.name)}
         except select concat_ws(',', ${t.key}) from public.${ident(t.name)} t) gone`,
    )
    missing += row!.n
  }
  return missing
}

/** Sends the statements of an application. */
export async function playApplication(sql: Root, text: string): Promise<void> {
  await sql.unsafe(text)
}
