import { familyOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** A trigger of the application whose function uses the `search_path` of the session that fires it. */
export interface UnpinnedTrigger {
  table: string
  name: string
  /** The function with the types of its arguments, as SQL. */
  function: string
  definition: string
  /** Names of its transition tables. */
  transition: string[]
}

/**
 * Enabled triggers on these tables whose function sets no `search_path` and is not in a schema of rethread.
 */
export async function unpinnedTriggers(sql: Db, tables: string[]): Promise<UnpinnedTrigger[]> {
  if (tables.length === 0) return []
  return sql<UnpinnedTrigger[]>`
    with recursive ${familyOf(sql, tables)}
    select distinct format('%I.%I', n.nspname, c.relname) as table, t.tgname::text as name,
      format('%I.%I()', pn.nspname, p.proname) as function, pg_get_functiondef(p.oid) as definition,
      array_remove(array[t.tgoldtable, t.tgnewtable]::text[], null) as transition
    from family f
    join pg_catalog.pg_class c on c.oid = f.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0 and t.tgenabled in ('O', 'A')
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
    where pn.nspname not in ('chat_private', 'rethread', 'rethread_archive')
      and not exists (select from unnest(p.proconfig) as s (setting) where split_part(s.setting, '=', 1) = 'search_path')
    order by 1, 2`
}

/** Of these unqualified names: those that are not in pg_catalog, in the same order. */
export async function notOfServer(
  sql: Db,
  { relations, functions }: { relations: string[]; functions: string[] },
): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select w.name from (
      select r.name, r.n, exists (
        select from pg_catalog.pg_class c where c.relname = r.name and c.relnamespace = 'pg_catalog'::regnamespace) as known
      from unnest(${relations}::text[]) with ordinality as r (name, n)
      union all
      select f.name, 10000 + f.n, exists (
        select from pg_catalog.pg_proc p where p.proname = f.name and p.pronamespace = 'pg_catalog'::regnamespace)
      from unnest(${functions}::text[]) with ordinality as f (name, n)
    ) w
    where not w.known
    order by w.n`
  return rows.map(r => r.name)
}
