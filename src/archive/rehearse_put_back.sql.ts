import { createLike } from '../database/create_like.sql.js'
import { type Db, ident } from '../database/types.js'
import { plural } from '../model/plural.js'
import { foreignKeys } from './archive.sql.js'

/** A temporary table with the columns, defaults, indexes and checks of another one. */
export const twin = 'pg_temp.rethread_twin'

/**
 * Creates the twin of a table. NOT VALID constraints are left out, because rows that are older than these can
 * be put back.
 */
export async function makeTwin(sql: Db, table: string): Promise<void> {
  await createLike(sql, {
    create: 'create temporary table',
    name: 'rethread_twin',
    original: table,
    rest: 'on commit drop',
  })
  const old = await sql<{ name: string }[]>`
    select conname::text as name from pg_catalog.pg_constraint
    where conrelid = ${table}::regclass and contype in ('c', 'n') and not convalidated`
  for (const { name } of old) await sql.unsafe(`alter table ${twin} drop constraint if exists ${ident(name)}`)
}

/** Rows of the twin without a parent, by the foreign keys of the table except those in `dropped`. */
export async function orphansOf(sql: Db, table: string, dropped: ReadonlySet<string>): Promise<string[]> {
  const orphans: string[] = []
  for (const k of await foreignKeys(sql, table)) {
    if (!k.validated || dropped.has(k.name)) continue
    const [row] = await sql.unsafe<{ rows: number }[]>(
      `select count(*)::int as rows from ${twin} t
       where ${k.columns.map(c => `t.${ident(c)} is not null`).join(' and ')} and not exists (
         select from ${k.parent} p where ${k.columns.map((c, i) => `p.${ident(k.parentColumns[i]!)} = t.${ident(c)}`).join(' and ')})`,
    )
    if (row!.rows > 0)
      orphans.push(`${plural(row!.rows, 'row')} without their row of ${k.parent} (${k.name})`)
  }
  return orphans
}

/** Sends a statement that may fail; the transaction continues. */
export async function attempt(sql: Db, text: string): Promise<void> {
  await sql.unsafe(
    `do $attempt$ begin execute $statement$${text}$statement$; exception when others then null; end $attempt$`,
  )
}

/** Rows that a migration has quarantined and its rollback has not put back completely, with the reason. */
export async function leftAside(
  sql: Db,
  track: string,
  migration: string,
): Promise<{ relation: string; key: string; reason: string }[]> {
  return sql<{ relation: string; key: string; reason: string }[]>`
    select q.relation, q.key,
      case when to_regclass(q.relation) is null then 'its table is gone'
        when x.gone is not null then 'there is no column for its ' || x.gone
        else 'another row has its key' end as reason
    from rethread_archive.quarantine q
    cross join lateral (
      select string_agg(e.key, ', ' order by e.key) as gone
      from jsonb_each(case when jsonb_typeof(q.original) = 'object' then q.original else '{}' end) e
      where (jsonb_typeof(e.value) <> 'null' or coalesce(q.exact ? e.key, false)) and not exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = to_regclass(q.relation) and a.attname = e.key and a.attnum > 0 and not a.attisdropped)
    ) x
    where q.track = ${track} and q.migration = ${migration}
    order by q.id`
}
