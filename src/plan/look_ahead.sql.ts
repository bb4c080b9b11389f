import { setLocal } from '../database/connection.sql.js'
import { familyOf } from '../database/family.sql.js'
import type { Scope } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { namesIn, partText } from '../model/table_name.js'

/** An object with a name. The `name` of an index, a type or a function is schema-qualified, as SQL. */
export interface NamedObject {
  kind: 'index' | 'column' | 'constraint' | 'policy' | 'trigger' | 'function' | 'type' | 'schema'
  /** The table within which the name must be unique; null if that is a schema. */
  table: string | null
  name: string
  /** Types of a function's arguments. */
  arguments?: string[]
}

/** The RENAME statement that frees the name. */
export function renaming(object: NamedObject): string {
  const { kind, table, name } = object
  const other = partText(`${namesIn(name)?.at(-1) ?? name}_app`)
  switch (kind) {
    case 'type':
    case 'schema':
      return `alter ${kind} ${name} rename to ${other};`
    case 'index':
      return `alter index ${name} rename to ${other};`
    case 'function':
      return `alter function ${signature(object)} rename to ${other};`
    case 'column':
    case 'constraint':
      return `alter table ${table} rename ${kind} ${partText(name)} to ${partText(`${name}_app`)};`
    default:
      return `alter ${kind} ${partText(name)} on ${table} rename to ${partText(`${name}_app`)};`
  }
}

const signature = ({ name, arguments: types = [] }: NamedObject): string => `${name}(${types.join(', ')})`

/** The name of the object in a report. */
export const namedText = (object: NamedObject): string =>
  object.table === null
    ? `${object.kind} ${object.kind === 'function' ? signature(object) : object.name}`
    : `${object.kind} ${partText(object.name)} on ${object.table}`

/** For each object: whether its name is taken. Indexes share their names with tables and views. */
export async function namesThere(sql: Db, wanted: NamedObject[]): Promise<boolean[]> {
  if (wanted.length === 0) return []
  const rows = await sql<{ there: boolean }[]>`
    select case w.kind
      when 'index' then to_regclass(w.name) is not null
      -- the row type of a table is reported with the table
      when 'type' then exists (select from pg_catalog.pg_type y where y.oid = to_regtype(w.name) and y.typrelid = 0)
      -- a schema with the tool's table of versions is the tool's; any other belongs to somebody else
      when 'schema' then to_regclass(w.name || '.meta') is null and exists (
        select from pg_catalog.pg_class c where c.relnamespace = to_regnamespace(w.name))
      when 'function' then exists (
        select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        -- the bare name has an index; formatting all names first takes a tenth of a second
        where p.proname = (parse_ident(w.name))[2] and format('%I.%I', n.nspname, p.proname) = w.name
          -- no function has an argument of a type that does not exist
          and string_to_array(p.proargtypes::text, ' ') = array(
            select coalesce(to_regtype(t.name)::oid::text, '') from jsonb_array_elements_text(w.arguments::jsonb) with ordinality as t (name, position)
            order by t.position))
      when 'column' then exists (
        select from pg_catalog.pg_attribute a where a.attrelid = to_regclass(w.on_table) and a.attname = w.name and not a.attisdropped)
      when 'constraint' then exists (
        select from pg_catalog.pg_constraint c where c.conrelid = to_regclass(w.on_table) and c.conname = w.name)
      when 'policy' then exists (
        select from pg_catalog.pg_policy p where p.polrelid = to_regclass(w.on_table) and p.polname = w.name)
      else exists (
        select from pg_catalog.pg_trigger t where t.tgrelid = to_regclass(w.on_table) and t.tgname = w.name)
    end as there
    from unnest(${wanted.map(w => w.kind)}::text[], ${wanted.map(w => w.table ?? '')}::text[], ${wanted.map(w => w.name)}::text[],
      ${wanted.map(w => JSON.stringify(w.arguments ?? []))}::text[]) with ordinality as w (kind, on_table, name, arguments, position)
    order by w.position`
  return rows.map(r => r.there)
}

/** A published table whose updates and deletions have no replica identity. */
export interface Unidentified {
  /** The table, or the partition of it that has the fault. */
  table: string
  /** The table that was requested. */
  asked: string
  publications: string[]
  /** True if it has an identity that a column list or row filter of a publication does not fit. */
  clashes: boolean
}

/**
 * Of these tables and their partitions: those whose updates or deletions the server will refuse. They are
 * published and have neither a primary key nor another replica identity.
 */
export async function tablesWithoutIdentity(sql: Db, tables: string[]): Promise<Unidentified[]> {
  if (tables.length === 0) return []
  return sql<Unidentified[]>`
    select format('%I.%I', n.nspname, c.relname) as table, min(w.asked) as asked, array_agg(distinct p.pubname::text order by p.pubname::text) as publications,
      bool_and(i.is_there) as clashes
    from (
      select to_regclass(t)::oid as relid, t as asked from unnest(${tables}::text[]) as t
      union
      select tree.relid::oid, t from unnest(${tables}::text[]) as t, pg_catalog.pg_partition_tree(to_regclass(t)) tree
    ) w
    join pg_catalog.pg_class c on c.oid = w.relid and c.relkind = 'r' and c.relpersistence = 'p'
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_publication p on p.pubupdate or p.pubdelete
    cross join lateral (
      select c.relreplident = 'f' or x.keys is not null as is_there, x.keys
      from (
        select array_agg(k.attnum::int) as keys
        from pg_catalog.pg_index i cross join lateral unnest(i.indkey::int2[]) as k (attnum)
        where i.indrelid = c.oid and i.indisvalid and i.indimmediate
          and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)) x) i
    left join pg_catalog.pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
    where (p.puballtables or exists (
        select from pg_catalog.pg_publication_tables t
        where t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname)
      or exists (
        -- by name, because to_regclass refuses schemas that are closed to this role, such as pg_toast
        select from pg_catalog.pg_publication_tables t
        join pg_catalog.pg_namespace m on m.nspname = t.schemaname
        join pg_catalog.pg_class k on k.relnamespace = m.oid and k.relname = t.tablename
        join pg_catalog.pg_partition_ancestors(c.oid) a on a.relid = k.oid
        where t.pubname = p.pubname))
      and (not i.is_there
        -- a column list must contain the identity, which is all columns for FULL; a row filter may only
        -- read the identity
        or r.prattrs is not null and (c.relreplident = 'f' or not r.prattrs::int2[]::int[] @> i.keys)
        or c.relreplident <> 'f' and exists (
          select from pg_catalog.regexp_matches(r.prqual::text, ':varattno ([0-9]+)', 'g') as f (part)
          where f.part[1]::int <> all (i.keys)))
    group by 1
    order by 1`
}

/** A CHECK constraint that was never validated. */
export interface Unproven {
  table: string
  /** The table that was requested. */
  asked: string
  name: string
  /** The columns that its expression reads. */
  columns: string[]
  /** As the server prints it, beginning with CHECK. */
  definition: string
  expression: string
}

/** The constraints of these tables that existing rows may violate. An update of such a row fails. */
export async function unprovenChecks(sql: Db, tables: string[]): Promise<Unproven[]> {
  if (tables.length === 0) return []
  return sql<Unproven[]>`
    with recursive ${familyOf(sql, tables)}
    select format('%I.%I', n.nspname, c.relname) as table, f.asked, k.conname as name,
      pg_get_constraintdef(k.oid) as definition, pg_get_expr(k.conbin, k.conrelid) as expression,
      array(select a.attname::text from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum = any (k.conkey)) as columns
    from family f
    join pg_catalog.pg_class c on c.oid = f.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    -- an inherited constraint is looked up at the parent
    join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype = 'c' and not k.convalidated
      and (f.relid = to_regclass(f.asked) or k.coninhcount = 0)
      -- NOT ENFORCED (PostgreSQL 18): updates do not check it
      and to_jsonb(k) ->> 'conenforced' is distinct from 'false'
    order by 1, 3`
}

/** Time limit of the search for a violating row, in milliseconds. */
const violationMs = 3000

/** Whether a row violates a constraint. Throws the server's 57014 if a large table takes too long. */
export const hasViolation = (scope: Scope, check: Unproven): Promise<boolean> =>
  scope(async tx => {
    await setLocal(tx, 0, violationMs)
    const [row] = await tx.unsafe<{ found: boolean }[]>(
      `select exists (select from (${violating(check, [])}) v) as found`,
    )
    await setLocal(tx, 0, 0)
    return row!.found
  })

/** The rows that violate a constraint, with the columns that the files will add. */
const violating = ({ table, expression }: Unproven, added: string[]): string =>
  `select ${['t.*', ...added].join(', ')} from ${table} t where not (${expression})`

/**
 * The columns that the twin has and the original lacks, as SQL with the values that existing rows will get.
 */
async function addedColumns(tx: Db, original: string, twin: string): Promise<string[]> {
  const rows = await tx<{ column: string }[]>`
    select format('(%s)::%s as %I', coalesce(pg_get_expr(d.adbin, d.adrelid), 'null'), format_type(a.atttypid, a.atttypmod), a.attname) as column
    from pg_catalog.pg_attribute a left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = to_regclass(${twin}) and a.attnum > 0 and not a.attisdropped and not exists (
      select from pg_catalog.pg_attribute o where o.attrelid = to_regclass(${original}) and o.attname = a.attname and not o.attisdropped)
    order by a.attnum`
  return rows.map(r => r.column)
}

/** The rows of a table that a statement affects: the table's alias and the predicate. */
export interface RowsTaken {
  alias: string
  predicate: string
}

/**
 * Whether an update will meet a row that violates a constraint. Rows that an earlier statement deletes do
 * not count. `twin` has the columns that the pending files add. It writes nothing.
 */
export async function updatesViolation(
  scope: Scope,
  {
    check,
    twin,
    deleted,
    updated,
  }: { check: Unproven; twin: string; deleted: RowsTaken[]; updated: RowsTaken },
): Promise<boolean> {
  return scope(async tx => {
    await tx.unsafe('set local transaction_read_only = on')
    const added = await addedColumns(tx, check.table, twin)
    const left = deleted.reduce(
      (rows, d) => `select ${d.alias}.* from (${rows}) ${d.alias} where (${d.predicate}) is not true`,
      violating(check, added),
    )
    await setLocal(tx, lookLockMs, violationMs)
    const [row] = await tx.unsafe<{ found: boolean }[]>(
      `select exists (select from (${left}) ${updated.alias} where ${updated.predicate}) as found`,
    )
    return row!.found
  })
}

/** Lock timeout of these queries, in milliseconds. They wait for nobody. */
const lookLockMs = 50

/** A rule for INSERT, UPDATE or DELETE. */
interface Rule {
  name: string
  table: string
  event: 'INSERT' | 'UPDATE' | 'DELETE'
  /** Whether it is an INSTEAD rule. */
  instead: boolean
}

/** The rules of these tables for INSERT, UPDATE and DELETE. */
export async function writeRules(sql: Db, tables: string[]): Promise<Rule[]> {
  if (tables.length === 0) return []
  return sql<Rule[]>`
    select quote_ident(r.rulename) as name, t as table, r.is_instead as instead,
      case r.ev_type when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as event
    from unnest(${tables}::text[]) as t
    join pg_catalog.pg_class c on c.oid = to_regclass(t) and c.relkind in ('r', 'p')
    join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.ev_type in ('2', '3', '4') and r.ev_enabled <> 'D'
    order by 2, 1`
}

/** Of these tables: those with children that are not partitions, and the children. */
export async function inheritedTables(
  sql: Db,
  tables: string[],
): Promise<{ table: string; children: string[] }[]> {
  if (tables.length === 0) return []
  return sql<{ table: string; children: string[] }[]>`
    select t as table, array_agg(format('%I.%I', n.nspname, k.relname) order by n.nspname, k.relname) as children
    from unnest(${tables}::text[]) as t
    join pg_catalog.pg_inherits i on i.inhparent = to_regclass(t)
    join pg_catalog.pg_class k on k.oid = i.inhrelid and not k.relispartition
    join pg_catalog.pg_namespace n on n.oid = k.relnamespace
    group by 1
    order by 1`
}

/** A right on a table that the role lacks and a statement needs. */
export interface Refused {
  name: string
  owner: string
  role: string
}

/** Of these tables: those that this role may not reference by a foreign key. */
export async function notReferable(sql: Db, tables: string[]): Promise<Refused[]> {
  if (tables.length === 0) return []
  return sql<Refused[]>`
    select t as name, pg_get_userbyid(c.relowner)::text as owner, current_user::text as role
    from unnest(${tables}::text[]) as t
    join pg_catalog.pg_class c on c.oid = to_regclass(t)
    where not has_any_column_privilege(c.oid, 'REFERENCES')
    order by 1`
}
