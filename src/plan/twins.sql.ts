import { createLike } from '../database/create_like.sql.js'
import type { Db } from '../database/types.js'
import type { QualifiedName } from '../files/moved_names.js'
import { partText, tableText } from '../model/table_name.js'

/** The properties of a table or view that its twin needs. */
export interface Original extends QualifiedName {
  kind: string
  /** Its partition key: `RANGE (created_at)`. Null if it is not partitioned. */
  partitioned: string | null
  unlogged: boolean
  /** Definitions of the columns that are not generated, as SQL. */
  columns: string[]
}

/** Of these names: those of existing tables and views, without those of the tool. */
export async function originalsOf(sql: Db, names: QualifiedName[]): Promise<Original[]> {
  if (names.length === 0) return []
  return sql<Original[]>`
    select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
      case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partitioned,
      c.relpersistence = 'u' as unlogged,
      array(select quote_ident(a.attname) from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns
    from unnest(${names.map(n => n.schema)}::text[], ${names.map(n => n.name)}::text[]) as w (schema, name)
    join pg_catalog.pg_namespace n on n.nspname = w.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
    where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rethread', 'rethread_archive')
    group by 1, 2, 3, 4, 5, 6
    order by 1, 2`
}

/** Makes a schema for twins. */
export async function createSchema(sql: Db, schema: string): Promise<void> {
  await sql.unsafe(`create schema ${partText(schema)}`)
}

/**
 * Creates an empty table like the original: columns, defaults, checks, indexes, identity. For a view,
 * creates a view of the original. It takes ACCESS SHARE on the original. A partitioned table is partitioned
 * in the same way and gets a default partition.
 */
export async function createTwin(sql: Db, original: Original, schema: string): Promise<void> {
  const { name, kind, partitioned, unlogged } = original
  const twin = tableText({ schema, name })
  if (kind === 'v' || kind === 'm') {
    // the twin is a view too, or statements for views would be refused; LIMIT keeps writes off the original
    const view = kind === 'v' ? 'view' : 'materialized view'
    const rows = kind === 'v' ? 'limit 0' : 'with no data'
    await sql.unsafe(
      `create ${view} ${twin} as select * from ${tableText({ schema: original.schema, name })} ${rows}`,
    )
    return
  }
  await createLike(sql, {
    create: `create ${unlogged ? 'unlogged ' : ''}table`,
    name: twin,
    original: tableText({ schema: original.schema, name }),
    rest: partitioned === null ? '' : `partition by ${partitioned}`,
  })
  // whether the original has a replica identity is checked elsewhere
  await sql.unsafe(`alter table ${twin} replica identity full`)
  if (partitioned === null) return
  const rest = /^hash/i.test(partitioned) ? 'for values with (modulus 1, remainder 0)' : 'default'
  const part = tableText({ schema, name: `${name.slice(0, 50)}_rest` })
  await sql.unsafe(`create table ${part} partition of ${twin} ${rest}`)
  await sql.unsafe(`alter table ${part} replica identity full`)
}

/** The enabled event triggers, with the unqualified names of their functions. */
export async function eventTriggerFunctions(sql: Db): Promise<{ name: string; function: string }[]> {
  return sql<{ name: string; function: string }[]>`
    select quote_ident(e.evtname) as name, quote_ident(p.proname) as function
    from pg_catalog.pg_event_trigger e join pg_catalog.pg_proc p on p.oid = e.evtfoid
    where e.evtenabled <> 'D'
    order by 1`
}
