import type { Db } from '../database/types.js'

/** A function of the application that policies may call. */
export interface CalledFunction {
  name: string
  /** Its name without the schema. */
  bare: string
  body: string
  /** True if it is SECURITY DEFINER and row security does not apply to its owner. */
  passes: boolean
}

/** The relations and functions of an expression or a view, from the catalog's dependencies. */
export interface ReadBy {
  /** A table with policies, or a view. */
  reader: string
  relations: string[]
  functions: string[]
}

/**
 * What the SELECT policies of each table, and each view, read and call. Functions of extensions are left out,
 * because they read no table of an application.
 */
export async function reachGraph(sql: Db): Promise<{ reads: ReadBy[]; functions: CalledFunction[] }> {
  const [row] = await sql<{ graph: string }[]>`
    with readers as (
      select p.polrelid as reader, d.refclassid, d.refobjid
      from pg_catalog.pg_policy p
      join pg_catalog.pg_class c on c.oid = p.polrelid and c.relrowsecurity
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
      where p.polcmd in ('*', 'r')
      union
      select r.ev_class, d.refclassid, d.refobjid
      from pg_catalog.pg_rewrite r
      join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema')
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
    ), named as (
      select quote_ident(rn.nspname) || '.' || quote_ident(rc.relname) as reader,
        case when r.refclassid = 'pg_catalog.pg_class'::regclass then quote_ident(cn.nspname) || '.' || quote_ident(c.relname) end as relation,
        case when r.refclassid = 'pg_catalog.pg_proc'::regclass then quote_ident(pn.nspname) || '.' || quote_ident(p.proname) end as function
      from readers r
      join pg_catalog.pg_class rc on rc.oid = r.reader
      join pg_catalog.pg_namespace rn on rn.oid = rc.relnamespace
      left join pg_catalog.pg_class c on r.refclassid = 'pg_catalog.pg_class'::regclass and c.oid = r.refobjid
      left join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
      left join pg_catalog.pg_proc p on r.refclassid = 'pg_catalog.pg_proc'::regclass and p.oid = r.refobjid
      left join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    )
    select jsonb_build_object(
      'reads', (select coalesce(jsonb_agg(x), '[]') from (
        select reader, coalesce(jsonb_agg(distinct relation) filter (where relation is not null and relation <> reader), '[]') as relations,
          coalesce(jsonb_agg(distinct function) filter (where function is not null), '[]') as functions
        from named group by reader) x),
      'functions', (select coalesce(jsonb_agg(jsonb_build_object('name', quote_ident(n.nspname) || '.' || quote_ident(p.proname), 'bare', p.proname,
          'body', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc), 'passes', p.prosecdef and (o.rolsuper or o.rolbypassrls))), '[]')
        from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname not in ('pg_catalog', 'information_schema')
        join pg_catalog.pg_language l on l.oid = p.prolang and l.lanname not in ('c', 'internal')
        join pg_catalog.pg_roles o on o.oid = p.proowner
        where p.prorettype <> 'trigger'::regtype and not exists (
          select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
    )::text as graph`
  return JSON.parse(row!.graph)
}
