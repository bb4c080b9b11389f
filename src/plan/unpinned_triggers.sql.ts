import { familyOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** A trigger of the application whose function uses the `search_path` of the session that fires it. */
export interface UnpinnedTrigger {
  table: string
  name: string
  /** The function with the types of its arguments, as SQL. */
  function: string
  /** The schema of the function, as SQL. */
  schema: string
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
      format('%I.%I()', pn.nspname, p.proname) as function, quote_ident(pn.nspname) as schema, pg_get_functiondef(p.oid) as definition,
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

/** A name without a schema. */
export interface NameOfSchemas {
  name: string
  /** The schemas that have it, as SQL: those of the current path first. `public` if none has. */
  schemas: string[]
  /** `chat_private.application_path()` of a track would have one of them, with the current path. */
  searched: boolean
}

/** Where these unqualified names are: relations first, each in the same order. */
export async function schemasOfNames(
  sql: Db,
  { relations, functions }: { relations: string[]; functions: string[] },
): Promise<NameOfSchemas[]> {
  return sql<NameOfSchemas[]>`
    with place as (
      select n.oid, n.nspname, array_position(current_schemas(false), n.nspname) as at, not exists (
        select from (
          select n.nspowner as role
          union select a.grantee from aclexplode(n.nspacl) a where a.privilege_type = 'CREATE'
          union select p.proowner from pg_catalog.pg_proc p where p.pronamespace = n.oid
          union select o.oprowner from pg_catalog.pg_operator o where o.oprnamespace = n.oid
          union select case when h.at > array_position(current_schemas(false), n.nspname) then t.typowner else h.typowner end
          from pg_catalog.pg_type t
          join (
            select y.typname, y.typowner, y.typnamespace, array_position(current_schemas(false), m.nspname) as at
            from pg_catalog.pg_type y join pg_catalog.pg_namespace m on m.oid = y.typnamespace) h on h.typname = t.typname
          where t.typnamespace = n.oid and h.typnamespace <> n.oid and h.at is not null) w
        where not exists (
          select from pg_catalog.pg_roles r
          where r.oid = w.role and (r.rolsuper or r.rolname in (current_user, 'pg_database_owner')
            or r.oid = (select d.datdba from pg_catalog.pg_database d where d.datname = current_database())))) as closed
      from pg_catalog.pg_namespace n
    ),
    wanted as (
      select r.name, r.n, array(select c.relnamespace from pg_catalog.pg_class c where c.relname = r.name) as homes
      from unnest(${relations}::text[]) with ordinality as r (name, n)
      union all
      select f.name, 10000 + f.n, array(select p.pronamespace from pg_catalog.pg_proc p where p.proname = f.name)
      from unnest(${functions}::text[]) with ordinality as f (name, n)
    )
    select w.name,
      coalesce((
        select array_agg(quote_ident(p.nspname) order by p.at nulls last, p.nspname) from place p where p.oid = any (w.homes)),
        '{public}') as schemas,
      exists (select from place p where p.oid = any (w.homes) and p.at is not null and p.closed) as searched
    from wanted w
    order by w.n`
}
