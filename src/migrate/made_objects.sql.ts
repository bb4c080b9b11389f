import type { Db } from '../database/types.js'
import type { QualifiedName } from '../files/moved_names.js'

/** A relation or function to read, and the schema under which it is shown. */
export interface LookedAt extends QualifiedName {
  shown: string
}

/** The definition of a column. */
export interface MadeColumn {
  type: string
  notNull: boolean
  default: string | null
  /** The letters in pg_attribute; empty for a column that is neither. */
  identity: string
  generated: string
}

/** The definition of a key or check. Names are SQL. */
export interface MadeConstraint {
  /** The letter in pg_constraint. */
  type: string
  valid: boolean
  columns: string[]
  /** The expression of a check. */
  expression: string | null
  /** The referenced table and columns. */
  references: string | null
  referenced: string[]
}

/** An object that files create, with the server's definition. */
export interface MadeObject {
  kind:
    | 'table'
    | 'view'
    | 'row security'
    | 'replica identity'
    | 'column'
    | 'constraint'
    | 'index'
    | 'trigger'
    | 'policy'
    | 'function'
    | 'privilege'
  /** The table or view as SQL; for a function, its signature. */
  relation: string
  /**
   * The name within the relation: column, constraint, trigger and so on, or the role of a privilege. Else
   * empty.
   */
  name: string
  definition: string
  column: MadeColumn | null
  constraint: MadeConstraint | null
  /** True for a permissive policy. */
  permissive: boolean
  /** For a function, its result type and argument names, which CREATE OR REPLACE cannot change. */
  signature: string | null
}

/**
 * The given relations and functions with everything on them, with the server's definitions for an empty
 * search_path. Privileges are those of the named roles; `public` is everybody.
 */
export async function madeObjects(
  sql: Db,
  relations: LookedAt[],
  functions: LookedAt[],
  roles: string[],
): Promise<MadeObject[]> {
  const [usual] = await sql<{ path: string }[]>`select current_setting('search_path') as path`
  await sql`select set_config('search_path', '', true)`
  const found = await sql<MadeObject[]>`
    with rel as materialized (
      select c.*, format('%I.%I', w.shown, w.name) as relation
      from jsonb_to_recordset(${JSON.stringify(relations)}::text::jsonb) as w (schema text, shown text, name text)
      join pg_catalog.pg_namespace n on n.nspname = w.schema
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
    ), func as materialized (
      select p.*, format('%I.%I(%s)', w.shown, w.name, oidvectortypes(p.proargtypes)) as relation
      from jsonb_to_recordset(${JSON.stringify(functions)}::text::jsonb) as w (schema text, shown text, name text)
      join pg_catalog.pg_namespace n on n.nspname = w.schema
      join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = w.name and p.prokind in ('f', 'p')
    ), who as materialized (
      select r.rolname::text as role, r.oid from pg_catalog.pg_roles r where r.rolname = any (${roles}::text[])
      union all select 'public', 0 where 'public' = any (${roles}::text[])
    ), found as (
      select case when r.relkind in ('v', 'm') then 'view' else 'table' end as kind, r.relation, '' as name,
        case when r.relkind in ('v', 'm') then pg_get_viewdef(r.oid) else '' end as definition,
        null::jsonb as "column", null::jsonb as "constraint", false as permissive, null::text as signature
      from rel r
      union all
      select 'row security', r.relation, '', case when r.relrowsecurity then 'on' else 'off' end, null, null, false, null
      from rel r where r.relkind in ('r', 'p')
      union all
      select 'replica identity', r.relation, '', r.relreplident::text, null, null, false, null
      from rel r where r.relkind in ('r', 'p')
      union all
      select 'column', r.relation, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
          case when a.attnotnull then 'not null' end, 'default ' || pg_get_expr(d.adbin, d.adrelid),
          'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, '')),
        jsonb_build_object('type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
          'default', pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity, 'generated', a.attgenerated),
        null, false, null
      from rel r
      join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where r.relkind in ('r', 'p', 'f')
      union all
      select 'constraint', r.relation, c.conname, regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''), null,
        jsonb_build_object('type', c.contype, 'valid', c.convalidated,
          'expression', pg_get_expr(c.conbin, c.conrelid),
          'columns', array(select quote_ident(a.attname) from unnest(c.conkey) with ordinality as k (n, at)
            join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.at),
          'references', (select format('%I.%I', n.nspname, f.relname) from pg_catalog.pg_class f
            join pg_catalog.pg_namespace n on n.oid = f.relnamespace where f.oid = c.confrelid),
          'referenced', array(select quote_ident(a.attname) from unnest(c.confkey) with ordinality as k (n, at)
            join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by k.at)), false, null
      from rel r join pg_catalog.pg_constraint c on c.conrelid = r.oid
      where c.contype in ('c', 'f', 'p', 'u', 'x')
      union all
      select 'index', r.relation, (select x.relname from pg_catalog.pg_class x where x.oid = i.indexrelid),
        pg_get_indexdef(i.indexrelid) || case when i.indisvalid and i.indisready then '' else ' (invalid)' end,
        null, null, false, null
      from rel r join pg_catalog.pg_index i on i.indrelid = r.oid
      where not exists (select from pg_catalog.pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))
      union all
      select 'trigger', r.relation, t.tgname,
        pg_get_triggerdef(t.oid) || case when t.tgenabled in ('O', 'A') then '' else ' (switched off)' end, null, null, false, null
      from rel r join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
      union all
      select 'policy', r.relation, p.polname, concat_ws(' ',
          'as', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for',
          case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
          'to', (select string_agg(coalesce(quote_ident(u.rolname), 'public'), ', ' order by coalesce(u.rolname, 'public'))
            from unnest(p.polroles) o left join pg_catalog.pg_roles u on u.oid = o),
          'using (' || pg_get_expr(p.polqual, p.polrelid) || ')',
          'with check (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
        null, null, p.polpermissive, null
      from rel r join pg_catalog.pg_policy p on p.polrelid = r.oid
      union all
      select 'function', f.relation, '', pg_get_functiondef(f.oid), null, null, false,
        pg_get_function_arguments(f.oid) || ' returns ' || coalesce(pg_get_function_result(f.oid), '')
      from func f
      union all
      select 'privilege', r.relation, w.role, concat_ws(', ',
          case when has_any_column_privilege(w.oid, r.oid, 'select') then 'select' end,
          case when has_table_privilege(w.oid, r.oid, 'insert') then 'insert' end,
          case when has_table_privilege(w.oid, r.oid, 'update') then 'update' end,
          case when has_table_privilege(w.oid, r.oid, 'delete') then 'delete' end), null, null, false, null
      from rel r cross join who w
      union all
      select 'privilege', f.relation, w.role,
        case when has_function_privilege(w.oid, f.oid, 'execute') then 'execute' else '' end, null, null, false, null
      from func f cross join who w
    )
    select * from found order by kind, relation, name`
  await sql`select set_config('search_path', ${usual!.path}, true)`
  return found
}

/** The pairs of schema and role in which the role lacks USAGE, as `schema role`. */
export async function lackingUsage(sql: Db, wanted: { schema: string; role: string }[]): Promise<string[]> {
  const rows = await sql<{ lacks: string }[]>`
    select w.schema || ' ' || w.role as lacks
    from jsonb_to_recordset(${JSON.stringify(wanted)}::text::jsonb) as w (schema text, role text)
    join pg_catalog.pg_roles r on r.rolname = w.role
    left join pg_catalog.pg_namespace n on n.nspname = w.schema
    where n.oid is null or not has_schema_privilege(r.oid, n.oid, 'usage')`
  return rows.map(r => r.lacks)
}

/** Drops from an empty copy what the files would create on it and have already created on the original. */
export async function takeFromTwin(
  sql: Db,
  twin: string,
  columns: string[],
  constraints: string[],
): Promise<void> {
  const parts = [
    ...constraints.map(c => `drop constraint if exists ${c} cascade`),
    ...columns.map(c => `drop column if exists ${c} cascade`),
  ]
  if (parts.length > 0) await sql.unsafe(`alter table ${twin} ${parts.join(', ')}`)
}

/** Creates functions without a check of their bodies. */
export async function withoutBodies(sql: Db): Promise<void> {
  await sql`select set_config('check_function_bodies', 'off', true)`
}
