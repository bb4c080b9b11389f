import type { Db } from '../database/types.js'
import { partText } from '../model/table_name.js'

/** The relations, columns and functions that a query names, with their schemas, as SQL. */
export interface NamesAsked {
  relations: string[]
  columns: { relation: string; column: string }[]
  functions: string[]
}

/** Of these names: those that are not in the catalog. Of a missing relation, its columns are not listed. */
export async function missingNames(
  sql: Db,
  { relations, columns, functions }: NamesAsked,
): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select r.name from unnest(${relations}::text[]) r (name) where to_regclass(r.name) is null
    union all
    select c.name
    from unnest(${columns.map(c => c.relation)}::text[], ${columns.map(c => c.column)}::text[],
      ${columns.map(c => `${c.relation}.${partText(c.column)}`)}::text[]) c (relation, plain, name)
    where to_regclass(c.relation) is not null and not exists (
      select from pg_catalog.pg_attribute a
      where a.attrelid = to_regclass(c.relation) and a.attname = c.plain and not a.attisdropped)
    union all
    select f.name from unnest(${functions}::text[]) f (name)
    where not exists (
      select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where array[n.nspname, p.proname]::text[] = parse_ident(f.name))`
  return rows.map(r => r.name)
}

/** The query for pending rows of a finished backfill, as a text for the parser only. */
export const pendingQuestion = (
  table: string,
  alias: string,
  pending: string,
  reason: string | null,
): string => `select from ${table} ${alias} where (${pending}) and (${reason ?? 'null'}) is null`
