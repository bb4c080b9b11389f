import type { ForeignKey } from '../model/plan.js'
import { nameSql } from './names.sql.js'
import type { Db } from './types.js'

/** A column in the catalog. */
export interface ColumnFacts {
  /** Its type with the schema, `pg_catalog.varchar`; for a domain, the base type. */
  type: string
  /** The modifiers of the type, as in `varchar(10)` or `numeric(8,2)`. */
  args: number[]
  notNull: boolean
  /** `s` stored, `v` virtual, empty if the column is not generated. */
  generated: string
  /** Whether an index has it as a key, and whether one has it in an expression or condition. */
  indexed: boolean
  inExpression: boolean
}

/** A CHECK constraint. `expression` is as the server prints it. */
interface CheckFacts {
  name: string
  columns: string[]
  expression: string
  valid: boolean
}

/** The catalog's facts about one table or view. */
export interface RelationDetails {
  unlogged: boolean
  accessMethod: string | null
  /** Row security is on. For a view: it reads with the rights of its user. */
  rowSecurity: boolean
  /** True if a view reads it. */
  viewed: boolean
  columns: Record<string, ColumnFacts>
  checks: CheckFacts[]
  /** Its policies by name, true for a restrictive one. */
  policies: Record<string, boolean>
}

/** A type in a statement. */
export interface TypeFacts {
  /** The name in the statement: `text`, `public.mood`. */
  asked: string
  /** The name with its schema; for a domain, the base type. */
  type: string
  args: number[]
  /** True for a domain with a constraint or a default: a new column of it is computed for every row. */
  guarded: boolean
}

/** A function in a statement, by its name there. */
export interface FunctionFacts {
  asked: string
  /** True if a function with this name may return another value, or have an effect, at every call. */
  volatile: boolean
  /** True if a function with this name is volatile and not built in. */
  acts: boolean
}

/** A child and its parent, by inheritance or partitioning. */
export interface Descent {
  parent: string
  child: string
  partition: boolean
  /** True for the default partition. */
  isDefault: boolean
}

/** All foreign keys between users' tables, including the server's copies for partitions. */
export async function allForeignKeys(sql: Db): Promise<ForeignKey[]> {
  return sql<ForeignKey[]>`
    select k.conname as name,
      ${nameSql(sql, 'n.nspname', 'c.relname')} as "table",
      ${nameSql(sql, 'rn.nspname', 'r.relname')} as references,
      array(select a.attname::text from unnest(k.conkey) x join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x) as columns,
      array(select a.attname::text from unnest(k.confkey) x join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = x) as referenced
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class r on r.oid = k.confrelid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    where k.contype = 'f'`
}

/**
 * Objects that belong to a table: indexes, sequences of its columns, extended statistics (which have their
 * own name space). Names have their schema.
 */
export async function belongings(
  sql: Db,
): Promise<{ name: string; table: string; kind: 'index' | 'sequence' | 'statistics' }[]> {
  return sql`
    select ${nameSql(sql, 'n.nspname', 'x.relname')} as name, ${nameSql(sql, 'tn.nspname', 't.relname')} as "table",
      case when x.relkind = 'S' then 'sequence' else 'index' end as kind
    from (
      select indexrelid as part, indrelid as whole from pg_catalog.pg_index
      union all
      select objid, refobjid from pg_catalog.pg_depend
      where classid = 'pg_catalog.pg_class'::regclass and refclassid = 'pg_catalog.pg_class'::regclass
        and deptype in ('a', 'i') and refobjsubid > 0
    ) b
    join pg_catalog.pg_class x on x.oid = b.part and x.relkind in ('i', 'I', 'S')
    join pg_catalog.pg_namespace n on n.oid = x.relnamespace
    join pg_catalog.pg_class t on t.oid = b.whole
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select ${nameSql(sql, 'n.nspname', 's.stxname')}, ${nameSql(sql, 'tn.nspname', 't.relname')}, 'statistics'
    from pg_catalog.pg_statistic_ext s
    join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
    join pg_catalog.pg_class t on t.oid = s.stxrelid
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace`
}

/** All pairs of parent and child, without those of indexes. */
export async function descents(sql: Db): Promise<Descent[]> {
  return sql<Descent[]>`
    select ${nameSql(sql, 'pn.nspname', 'p.relname')} as parent, ${nameSql(sql, 'cn.nspname', 'c.relname')} as child,
      c.relispartition as partition, coalesce(d.partdefid = c.oid, false) as "isDefault"
    from pg_catalog.pg_inherits i
    join pg_catalog.pg_class p on p.oid = i.inhparent and p.relkind in ('r', 'p', 'f')
    join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
    left join pg_catalog.pg_partitioned_table d on d.partrelid = p.oid`
}

/** The kind of every relation of users by name, as in `pg_class.relkind`. The tool's ledger is left out. */
export async function relationKinds(sql: Db): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; kind: string }[]>`
    select ${nameSql(sql, 'n.nspname', 'c.relname')} as name, c.relkind as kind
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm', 'v', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rethread')`
  return new Map(rows.map(r => [r.name, r.kind]))
}

/** The catalog's facts about the tables and views with these names (`schema.name`), by name. */
export async function relationDetails(sql: Db, names: string[]): Promise<Map<string, RelationDetails>> {
  const rows = await sql<({ name: string } & RelationDetails)[]>`
    select ${nameSql(sql, 'n.nspname', 'c.relname')} as name,
      c.relpersistence = 'u' as unlogged,
      (select amname::text from pg_catalog.pg_am where oid = c.relam) as "accessMethod",
      c.relrowsecurity or coalesce(array_to_string(c.reloptions, ',') ~* 'security_invoker=(true|on|yes|1)', false) as "rowSecurity",
      exists (
        select from pg_catalog.pg_depend d where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid
          and d.classid = 'pg_catalog.pg_rewrite'::regclass and d.deptype = 'n') as viewed,
      coalesce((
        select json_object_agg(a.attname, json_build_object(
          'type', tn.nspname || '.' || b.typname,
          'args', coalesce((
            select json_agg(x[1]::int) from regexp_matches(
              substring(pg_catalog.format_type(b.oid, case when t.typtype = 'd' then t.typtypmod else a.atttypmod end) from '[(]([^)]*)[)]'),
              '-?[0-9]+', 'g') x), '[]'),
          'notNull', a.attnotnull,
          'generated', a.attgenerated,
          'indexed', exists (
            select from pg_catalog.pg_index i where i.indrelid = c.oid and a.attnum = any (i.indkey::int2[])),
          'inExpression', exists (
            select from pg_catalog.pg_index i join pg_catalog.pg_depend d on d.objid = i.indexrelid
            where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null)
              and d.classid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid = a.attnum)))
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
        join pg_catalog.pg_namespace tn on tn.oid = b.typnamespace
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '{}') as columns,
      coalesce((
        select json_agg(json_build_object('name', k.conname, 'valid', k.convalidated,
          'expression', pg_catalog.pg_get_expr(k.conbin, k.conrelid),
          'columns', array(select a.attname::text from unnest(k.conkey) x
            join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x)))
        from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'c'), '[]') as checks,
      coalesce((
        select json_object_agg(p.polname, not p.polpermissive) from pg_catalog.pg_policy p where p.polrelid = c.oid), '{}') as policies
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where ${nameSql(sql, 'n.nspname', 'c.relname')} = any (${names}::text[]) and c.relkind in ('r', 'p', 'm', 'v', 'f')`
  return new Map(rows.map(({ name, ...facts }) => [name, facts]))
}

/** The types with these names. A name without a schema means the built-in type first. */
export async function typeDetails(sql: Db, names: string[]): Promise<TypeFacts[]> {
  return sql<TypeFacts[]>`
    select distinct on (w.name) w.name as asked, bn.nspname || '.' || b.typname as type,
      coalesce((
        select json_agg(x[1]::int) from regexp_matches(
          substring(pg_catalog.format_type(b.oid, t.typtypmod) from '[(]([^)]*)[)]'), '-?[0-9]+', 'g') x), '[]') as args,
      t.typtype = 'd' and (b.typtype = 'd' or t.typnotnull or t.typdefault is not null
        or exists (select from pg_catalog.pg_constraint k where k.contypid = t.oid)) as guarded
    from unnest(${names}::text[]) w (name)
    join pg_catalog.pg_type t on t.typname = regexp_replace(w.name, '^.*[.]', '')
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      and (position('.' in w.name) = 0 or n.nspname = split_part(w.name, '.', 1))
    join pg_catalog.pg_type b on b.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
    order by w.name, n.nspname = 'pg_catalog' desc, n.nspname = 'public' desc`
}

/**
 * The functions with these names, with or without schema. If a name has several meanings, the worst is
 * assumed.
 */
export async function functionDetails(sql: Db, names: string[]): Promise<FunctionFacts[]> {
  return sql<FunctionFacts[]>`
    select w.name as asked, bool_or(p.provolatile = 'v') as volatile,
      bool_or(p.provolatile = 'v' and n.nspname <> 'pg_catalog') as acts
    from unnest(${names}::text[]) w (name)
    join pg_catalog.pg_proc p on p.proname = regexp_replace(w.name, '^.*[.]', '')
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      and (position('.' in w.name) = 0 or n.nspname = split_part(w.name, '.', 1))
    group by w.name`
}

/** Pairs of types, `from>to`, with the same storage: a change of type does not rewrite the column. */
export async function alikeTypes(sql: Db): Promise<Set<string>> {
  const rows = await sql<{ pair: string }[]>`
    select fn.nspname || '.' || f.typname || '>' || tn.nspname || '.' || t.typname as pair
    from pg_catalog.pg_cast c
    join pg_catalog.pg_type f on f.oid = c.castsource join pg_catalog.pg_namespace fn on fn.oid = f.typnamespace
    join pg_catalog.pg_type t on t.oid = c.casttarget join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    where c.castmethod = 'b' and c.castcontext in ('i', 'a')`
  return new Set(rows.map(r => r.pair))
}

/**
 * The tables with a column of one of these domains, or of a domain based on one, as `domain>schema.table`.
 */
export async function domainTables(sql: Db, domains: string[]): Promise<string[]> {
  const rows = await sql<{ pair: string }[]>`
    with recursive over (asked, oid) as (
      select ${nameSql(sql, 'n.nspname', 't.typname')}, t.oid
      from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
      where ${nameSql(sql, 'n.nspname', 't.typname')} = any (${domains}::text[])
      union
      select o.asked, t.oid from over o join pg_catalog.pg_type t on t.typbasetype = o.oid
    )
    select distinct o.asked || '>' || ${nameSql(sql, 'n.nspname', 'c.relname')} as pair
    from over o
    join pg_catalog.pg_attribute a on a.atttypid = o.oid and not a.attisdropped
    join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'm')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace`
  return rows.map(r => r.pair)
}

/**
 * A right that new objects of this role get by default privileges. `schema` is null if it applies to all
 * schemas.
 */
export interface DefaultGrant {
  schema: string | null
  /** `r` for tables and views, `f` for functions and procedures. */
  kind: string
  /** `PUBLIC` or the name of a role; null if the list is empty. */
  role: string | null
}

/** The default privileges of the current role. */
export async function defaultGrants(sql: Db): Promise<DefaultGrant[]> {
  return sql<DefaultGrant[]>`
    select n.nspname as schema, d.defaclobjtype as kind,
      case when a.grantee = 0 then 'PUBLIC' else r.rolname end as role
    from pg_catalog.pg_default_acl d
    left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
    left join lateral pg_catalog.aclexplode(d.defaclacl) a on true
    left join pg_catalog.pg_roles r on r.oid = a.grantee
    where d.defaclrole = (select oid from pg_catalog.pg_roles where rolname = current_user) and d.defaclobjtype in ('r', 'f')
    group by 1, 2, 3`
}
