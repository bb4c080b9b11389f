import { familyOf } from './family.sql.js'
import { type Db, literal } from './types.js'

/** Facts about a relation, by its requested name. Rows are the planner's estimate, -1 if there is none. */
export interface RelationFacts {
  name: string
  kind: string
  rows: number
  pages: number
  bytes: number
  owner: string
  /** The current role. */
  role: string
  /** Whether the current role may act as the owner. */
  owned: boolean
  /** Whether the current role may read it. */
  readable: boolean
  rowSecurity: boolean
  forced: boolean
  /** Whether row security applies to the current role. */
  filtered: boolean
  publications: string[]
}

/** Sizes, owners and publications of the existing tables. Only reads the catalog. */
export async function relationFacts(sql: Db, names: string[]): Promise<RelationFacts[]> {
  return sql<RelationFacts[]>`
    select
      wanted.name,
      c.relkind::text as kind,
      c.reltuples::float8 as rows,
      (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as pages,
      pg_total_relation_size(c.oid)::float8 as bytes,
      pg_get_userbyid(c.relowner)::text as owner,
      current_user::text as role,
      pg_has_role(c.relowner, 'USAGE') as owned,
      has_table_privilege(c.oid, 'SELECT') as readable,
      c.relrowsecurity as "rowSecurity",
      c.relforcerowsecurity as forced,
      row_security_active(c.oid) as filtered,
      array(
        select p.pubname::text from pg_catalog.pg_publication p
        where p.puballtables or exists (
          select from pg_catalog.pg_publication_rel r where r.prpubid = p.oid and r.prrelid = c.oid)
        order by p.pubname
      ) as publications
    from unnest(${names}::text[]) with ordinality as wanted (name, position)
    join pg_catalog.pg_class c on c.oid = to_regclass(wanted.name)
    order by wanted.position`
}

/** The heaps with a table's rows, which are the table itself or its partitions, and their pages. */
export async function heapsOf(
  sql: Db,
  table: string,
): Promise<{ relation: string; pages: number; rowsPerPage: number }[]> {
  return sql<{ relation: string; pages: number; rowsPerPage: number }[]>`
    select
      format('%I.%I', n.nspname, c.relname) as relation,
      (pg_relation_size(c.oid) / current_setting('block_size')::int)::float8 as pages,
      (case when c.relpages > 0 and c.reltuples > 0 then c.reltuples / c.relpages else 0 end)::float8 as "rowsPerPage"
    from (
      select ${table}::regclass as relid
      union
      select t.relid from pg_catalog.pg_partition_tree(${table}::regclass) t
    ) h
    join pg_catalog.pg_class c on c.oid = h.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm')
    order by 1`
}

/** Whether a table exists; the name has its schema. No parameters, which would cost another round trip. */
export async function relationExists(sql: Db, name: string): Promise<boolean> {
  const [row] = await sql.unsafe<{ there: boolean }[]>(
    `select to_regclass(${literal(name)}) is not null as there`,
  )
  return row!.there
}

/** The current state of an index. */
interface IndexFacts {
  definition: string
  valid: boolean
  /** Process id of the backend that builds it now, else null. */
  builder: number | null
}

/** The state of an index; null if it does not exist. */
export async function indexFacts(sql: Db, name: string): Promise<IndexFacts | null> {
  const [row] = await sql<IndexFacts[]>`
    select
      pg_get_indexdef(i.indexrelid) as definition,
      i.indisvalid and i.indisready and i.indislive as valid,
      (select p.pid from pg_catalog.pg_stat_progress_create_index p
        where p.index_relid = i.indexrelid and p.datname = current_database() limit 1) as builder
    from pg_catalog.pg_index i
    where i.indexrelid = to_regclass(${name})`
  return row ?? null
}

/** A statement for the parser with a constraint's definition from the catalog. It is never run. */
export const addConstraint = (definition: string): string => `alter table t add constraint c ${definition}`

/** The state of a constraint; null if it does not exist. */
export async function constraintFacts(
  sql: Db,
  table: string,
  name: string,
): Promise<{ valid: boolean; definition: string } | null> {
  const [row] = await sql<{ valid: boolean; definition: string }[]>`
    select c.convalidated as valid, pg_get_constraintdef(c.oid) as definition
    from pg_catalog.pg_constraint c
    where c.conrelid = to_regclass(${table}) and c.conname = ${name}`
  return row ?? null
}

/** The state of a column; null if it does not exist. `bareType` is its type without length and precision. */
export async function columnFacts(
  sql: Db,
  table: string,
  column: string,
): Promise<{ notNull: boolean; type: string; bareType: string } | null> {
  const [row] = await sql<{ notNull: boolean; type: string; bareType: string }[]>`
    select a.attnotnull as "notNull", format_type(a.atttypid, a.atttypmod) as type,
      format_type(a.atttypid, -1) as "bareType"
    from pg_catalog.pg_attribute a
    where a.attrelid = to_regclass(${table}) and a.attname = ${column} and a.attnum > 0 and not a.attisdropped`
  return row ?? null
}

/** Names of a table's columns in order, without generated ones. */
export async function columnNames(sql: Db, table: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select a.attname::text as name
    from pg_catalog.pg_attribute a
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    order by a.attnum`
  return rows.map(r => r.name)
}

/** Event triggers for DDL. Supabase has some that reload its API. */
export async function eventTriggers(sql: Db): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select evtname::text as name from pg_catalog.pg_event_trigger where evtenabled <> 'D' order by 1`
  return rows.map(r => r.name)
}

/** A dependent object: the server's description and its unqualified name. */
interface Dependant {
  what: string
  name: string
}

/**
 * Other objects that depend on a table: views, functions that return it, foreign keys and policies of other
 * tables.
 */
export async function dependantsOf(
  sql: Db,
  tables: string[],
  columns: { table: string; column: string }[],
): Promise<Dependant[]> {
  return sql<Dependant[]>`
    with target as (
      select to_regclass(t)::oid as relid, null::int as attnum from unnest(${tables}::text[]) as t
      union all
      select a.attrelid, a.attnum::int
      from unnest(${columns.map(c => c.table)}::text[], ${columns.map(c => c.column)}::text[]) as w (t, c)
      join pg_catalog.pg_attribute a on a.attrelid = to_regclass(w.t) and a.attname = w.c
    ),
    ours as (select relid from target where attnum is null),
    hanging as (
      select distinct d.classid, d.objid
      from target t
      join pg_catalog.pg_depend d
        on d.refclassid = 'pg_class'::regclass and d.refobjid = t.relid
       and (t.attnum is null or d.refobjsubid = t.attnum)
      where d.deptype = 'n'
      union
      select 'pg_proc'::regclass, p.oid
      from target t
      join pg_catalog.pg_class c on c.oid = t.relid and t.attnum is null
      join pg_catalog.pg_proc p on p.prorettype = c.reltype or c.reltype = any (p.proargtypes)
    )
    select
      pg_describe_object(h.classid, h.objid, 0) as what,
      coalesce(k.conname, p.polname, f.proname, w.rulename)::text as name
    from hanging h
    left join pg_catalog.pg_proc f on h.classid = 'pg_proc'::regclass and f.oid = h.objid
    left join pg_catalog.pg_rewrite w on h.classid = 'pg_rewrite'::regclass and w.oid = h.objid
    left join pg_catalog.pg_constraint k on h.classid = 'pg_constraint'::regclass and k.oid = h.objid
    left join pg_catalog.pg_policy p on h.classid = 'pg_policy'::regclass and p.oid = h.objid
    where (w.oid is not null and w.ev_class not in (select relid from ours where relid is not null))
       or (k.oid is not null and k.contype = 'f' and k.conrelid not in (select relid from ours where relid is not null)
         and k.connamespace is distinct from to_regnamespace('chat_private'))
       or (p.oid is not null and p.polrelid not in (select relid from ours where relid is not null))
       or f.oid is not null
    order by 1`
}

/** Whether this role may read a table and row security hides no row. */
export async function seesAllRows(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ all: boolean }[]>`
    select has_table_privilege(${table}, 'SELECT') and not row_security_active(${table}) as all`
  return row!.all
}

/** Most rows that are read to check a table's form. */
const shapeRows = 1000

/** How many of a table's first rows satisfy a predicate. Null if this role does not see all of them. */
export async function countShape(
  sql: Db,
  table: string,
  is: string,
): Promise<{ rows: number; matching: number } | null> {
  if (!(await seesAllRows(sql, table))) return null
  const [row] = await sql.unsafe<{ rows: number; matching: number }[]>(
    `select count(*)::int as rows, count(*) filter (where ${is})::int as matching
     from (select * from ${table} limit ${shapeRows}) t`,
  )
  return row!
}

/** A foreign key that references rows of a table. Names of tables are SQL. */
export interface ReferencingKey {
  constraint: string
  table: string
  columns: string[]
  /** Null if it references the table itself; else the partition, child or parent that it references. */
  parent: string | null
  parentColumns: string[]
  /** `pg_constraint.confdeltype`: c deletes, n and d set another value, a and r refuse. */
  action: 'a' | 'r' | 'c' | 'n' | 'd'
}

/**
 * The foreign keys that reference rows of a table: its own, those on a single partition or child and, for a
 * partition, those on its parents. The server's copies of a key for each partition are left out.
 */
export async function referencingKeys(sql: Db, table: string): Promise<ReferencingKey[]> {
  return sql<ReferencingKey[]>`
    with recursive ${familyOf(sql, [table])},
    around as (
      select relid from family
      union
      select a.relid from pg_catalog.pg_partition_ancestors(to_regclass(${table})) a
    )
    select c.conname::text as constraint, format('%I.%I', n.nspname, r.relname) as table, c.confdeltype::text as action,
      case when c.confrelid <> to_regclass(${table}) then (
        select format('%I.%I', pn.nspname, p.relname)
        from pg_catalog.pg_class p join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where p.oid = c.confrelid) end as parent,
      array(select a.attname::text from unnest(c.conkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum order by k.position) as columns,
      array(select a.attname::text from unnest(c.confkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum order by k.position) as "parentColumns"
    from around f
    join pg_catalog.pg_constraint c on c.confrelid = f.relid
    join pg_catalog.pg_class r on r.oid = c.conrelid
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
    where c.contype = 'f' and c.conparentid = 0
    order by 2, 1`
}

/**
 * A predicate over the rows that a foreign key references. If the key references a partition or child, it is
 * evaluated there, because that may have other columns.
 */
export const ofPointedRow = (
  alias: string,
  { parent }: ReferencingKey,
  predicate: (alias: string) => string,
): string =>
  parent === null
    ? predicate(alias)
    : `exists (select from ${parent} rethread_parent
        where rethread_parent.tableoid = ${alias}.tableoid and rethread_parent.ctid = ${alias}.ctid and ${predicate('rethread_parent')})`
