import type { Db } from '../database/types.js'

/** A function of the application that may name a table. */
export interface AppFunction {
  /** With its schema and the types of its arguments, as SQL. */
  name: string
  language: 'sql' | 'plpgsql'
  source: string
  /** Of the requested tables: those that it is a trigger function of, and those that its text names. */
  triggerOf: string[]
  mentions: string[]
  /** The table whose rows it returns. Null if it declares its columns, or returns no rows. */
  rowsOf: string | null
  /** Whether it declares the columns of the rows that it returns. */
  namesColumns: boolean
}

/**
 * Functions of the application that are trigger functions of one of these tables or name it in their text.
 * Functions of extensions and of this tool are left out. So are SQL-standard bodies: PostgreSQL expands
 * their `*` when the function is created.
 */
export async function functionsAbout(sql: Db, tables: string[]): Promise<AppFunction[]> {
  if (tables.length === 0) return []
  return sql<AppFunction[]>`
    with wanted as (
      select t as name, c.oid, c.relname from unnest(${tables}::text[]) as t join pg_catalog.pg_class c on c.oid = to_regclass(t)
    )
    select * from (
      select format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as name,
        l.lanname::text as language, p.prosrc as source,
        array(select w.name from wanted w where exists (
          select from pg_catalog.pg_trigger g where g.tgrelid = w.oid and g.tgfoid = p.oid and g.tgenabled <> 'D') order by 1) as "triggerOf",
        array(select w.name from wanted w where strpos(lower(p.prosrc), lower(w.relname)) > 0 order by 1) as mentions,
        (select w.name from wanted w join pg_catalog.pg_type y on y.typrelid = w.oid where y.oid = p.prorettype) as "rowsOf",
        coalesce(p.proargmodes && '{o,b,t}'::"char"[], false)
          or exists (select from pg_catalog.pg_type y where y.oid = p.prorettype and y.typtype = 'c') as "namesColumns"
      from pg_catalog.pg_proc p
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
      where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rethread', 'rethread_archive', 'chat_private')
        and p.prosrc ~* '[*]|::|cast'
        and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
    ) f
    where "triggerOf" <> '{}' or mentions <> '{}'
    order by name`
}
