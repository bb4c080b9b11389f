import type { Db } from '../database/types.js'

/** A table that depends on something else: a foreign server, a type, a parent, a subscription or tables. */
export interface PeculiarTable {
  table: string
  /** The table that was requested. */
  asked: string
  is: 'foreign' | 'typed' | 'partition' | 'subscribed' | 'view'
  /** What it depends on: server, type, partitioned table, subscription, or the tables of a view. */
  of: string
}

/** Of these tables and their partitions: those that depend on something else. */
export async function peculiarTables(sql: Db, tables: string[]): Promise<PeculiarTable[]> {
  if (tables.length === 0) return []
  return sql<PeculiarTable[]>`
    with wanted as (
      select t as asked, to_regclass(t)::oid as relid from unnest(${tables}::text[]) as t
      where to_regclass(t) is not null
    ),
    whole as (
      select w.asked, w.relid from wanted w
      union
      select w.asked, p.relid::oid from wanted w, pg_catalog.pg_partition_tree(w.relid) p
    ),
    found as (
      select h.asked, h.relid, 'foreign' as is, quote_ident(s.srvname) as of
      from whole h
      join pg_catalog.pg_foreign_table f on f.ftrelid = h.relid
      join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
      union all
      select w.asked, w.relid, 'typed', c.reloftype::regtype::text
      from wanted w join pg_catalog.pg_class c on c.oid = w.relid and c.reloftype <> 0
      union all
      select w.asked, w.relid, 'partition', format('%I.%I', pn.nspname, p.relname)
      from wanted w
      join pg_catalog.pg_class c on c.oid = w.relid and c.relispartition
      join pg_catalog.pg_inherits i on i.inhrelid = w.relid
      join pg_catalog.pg_class p on p.oid = i.inhparent
      join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
      union all
      select w.asked, w.relid, 'view', string_agg(distinct format('%I.%I', tn.nspname, t.relname), ', ')
      from wanted w
      join pg_catalog.pg_class c on c.oid = w.relid and c.relkind in ('v', 'm')
      join pg_catalog.pg_rewrite r on r.ev_class = w.relid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid <> w.relid
      join pg_catalog.pg_class t on t.oid = d.refobjid
      join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
      group by w.asked, w.relid
      union all
      select h.asked, h.relid, 'subscribed', quote_ident(s.subname)
      from whole h
      join pg_catalog.pg_subscription_rel r on r.srrelid = h.relid
      join pg_catalog.pg_subscription s on s.oid = r.srsubid
    )
    select format('%I.%I', n.nspname, c.relname) as table, f.asked, f.is, f.of
    from found f
    join pg_catalog.pg_class c on c.oid = f.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by 1, 3, 4`
}

/** Of these columns: those that are generated. `named` is the quoted name. */
export async function generatedColumns(
  sql: Db,
  columns: { table: string; column: string }[],
): Promise<{ table: string; column: string; named: string }[]> {
  if (columns.length === 0) return []
  return sql<{ table: string; column: string; named: string }[]>`
    select distinct w.table, w.column, quote_ident(a.attname) as named
    from unnest(${columns.map(c => c.table)}::text[], ${columns.map(c => c.column)}::text[]) as w ("table", "column")
    join pg_catalog.pg_attribute a
      on a.attrelid = to_regclass(w.table) and a.attname = w.column and a.attnum > 0 and not a.attisdropped and a.attgenerated <> ''
    order by 1, 2`
}
