import type { TablePicture } from '../model/report.js'
import type { Db } from './types.js'

/** Columns and references of the existing tables, for a picture of the schema. Only reads the catalog. */
export async function tablePictures(sql: Db, names: string[]): Promise<TablePicture[]> {
  const columns = await sql<{ table: string; name: string; type: string; nullable: boolean; key: boolean }[]>`
    select
      wanted.name as table,
      a.attname::text as name,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
      not a.attnotnull as nullable,
      exists (
        select from pg_catalog.pg_constraint k
        where k.conrelid = a.attrelid and k.contype = 'p' and a.attnum = any (k.conkey)) as key
    from unnest(${names}::text[]) with ordinality as wanted (name, position)
    join pg_catalog.pg_attribute a on a.attrelid = to_regclass(wanted.name)
    where a.attnum > 0 and not a.attisdropped
    order by wanted.position, a.attnum`
  const references = await sql<{ table: string; columns: string[]; to: string }[]>`
    select
      wanted.name as table,
      array(
        select a.attname::text from unnest(k.conkey) with ordinality as c (attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.attnum
        order by c.place) as columns,
      format('%I.%I', n.nspname, t.relname) as to
    from unnest(${names}::text[]) with ordinality as wanted (name, position)
    join pg_catalog.pg_constraint k on k.conrelid = to_regclass(wanted.name) and k.contype = 'f'
    join pg_catalog.pg_class t on t.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = t.relnamespace
    order by wanted.position, k.conname`
  return [...new Set(columns.map(c => c.table))].map(table => ({
    table,
    columns: columns.filter(c => c.table === table).map(({ table: _, ...column }) => column),
    references: references.filter(r => r.table === table).map(({ table: _, ...reference }) => reference),
  }))
}
