import type { Db } from '../database/types.js'
import { apiRoles } from './without_api.sql.js'

/** A role that uses a table, as names in SQL, and what row security does to it there. */
export interface TableUser {
  role: string
  privileges: string[]
  /** True for a role that no policy binds anywhere. */
  bypasses: boolean
  /** True for the owner of the tables, where they do not force row security on it. */
  owns: boolean
}

/** A policy of the application's that speaks to a role. */
export interface OwnPolicy {
  table: string
  policy: string
  role: string
  permissive: boolean
  command: 'select' | 'insert' | 'update' | 'delete' | 'all'
  /** Its expressions as the server prints them; null for none. */
  using: string | null
  check: string | null
}

/** True where nothing of an API is there: none of its functions, and none of its roles on the tables. */
export async function hasNoApi(sql: Db, tables: string[]): Promise<boolean> {
  const [row] = await sql<{ plain: boolean }[]>`
    select to_regprocedure('auth.uid()') is null and to_regprocedure('auth.jwt()') is null
      and not exists (
        select from pg_catalog.pg_class c
        cross join lateral aclexplode(c.relacl) a
        join pg_catalog.pg_roles r on r.oid = a.grantee
        where c.oid = any (array(select to_regclass(t)::oid from unnest(${tables}::text[]) t))
          and r.rolname = any (${[...apiRoles]}::text[])) as plain`
  return row!.plain
}

/** Which of the tables have row security, and which force it on their owner. */
export async function rowSecurityOf(
  sql: Db,
  tables: string[],
): Promise<{ table: string; forced: boolean }[]> {
  return sql<{ table: string; forced: boolean }[]>`
    select t.name as table, c.relforcerowsecurity
        and not exists (select from pg_catalog.pg_roles r where r.rolname = current_user and (r.rolsuper or r.rolbypassrls)) as forced
    from unnest(${tables}::text[]) with ordinality as t (name, n)
    join pg_catalog.pg_class c on c.oid = to_regclass(t.name)
    where c.relrowsecurity
    order by t.n`
}

/**
 * Who may use the tables beside who migrates, in the order of their names: with what they may do with one of
 * them, or where several are given, with any.
 */
export async function usersOf(sql: Db, tables: string[]): Promise<TableUser[]> {
  return sql<TableUser[]>`
    with granted as (
      select a.grantee, a.privilege_type, c.oid, c.relforcerowsecurity as is_forced
      from pg_catalog.pg_class c
      cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      left join pg_catalog.pg_roles o on o.oid = c.relowner
      where c.oid = any (array(select to_regclass(t)::oid from unnest(${tables}::text[]) t))
        and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        -- what is made belongs to who migrates; a superuser needs no grant
        and (a.grantee <> c.relowner or not o.rolsuper and o.rolname <> current_user)
    )
    select case g.grantee when 0 then 'public' else quote_ident(r.rolname) end as role,
      array_agg(distinct_type order by array_position(array['select', 'insert', 'update', 'delete'], distinct_type)) as privileges,
      bool_or(coalesce(r.rolsuper or r.rolbypassrls, false)) as bypasses, bool_or(g.is_owner and not g.is_forced) as owns
    from (
      select g.grantee, lower(g.privilege_type) as distinct_type, bool_or(g.is_forced) as is_forced,
        bool_or(g.grantee = (select c.relowner from pg_catalog.pg_class c where c.oid = g.oid)) as is_owner
      from granted g group by 1, 2) g
    left join pg_catalog.pg_roles r on r.oid = g.grantee
    group by 1
    order by 1`
}

/** The policies of tables that bind each of these roles, given as names in SQL. */
export async function policiesOf(sql: Db, tables: string[], roles: string[]): Promise<OwnPolicy[]> {
  return sql<OwnPolicy[]>`
    select t.name as table, p.polname::text as policy, u.role, p.polpermissive as permissive,
      case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as command,
      pg_get_expr(p.polqual, p.polrelid) as using, pg_get_expr(p.polwithcheck, p.polrelid) as check
    from unnest(${tables}::text[]) with ordinality as t (name, n)
    join pg_catalog.pg_policy p on p.polrelid = to_regclass(t.name)
    cross join unnest(${roles}::text[]) as u (role)
    left join pg_catalog.pg_roles r on quote_ident(r.rolname) = u.role
    where 0 = any (p.polroles)
      or exists (select from unnest(p.polroles) o where r.oid is not null and pg_catalog.pg_has_role(r.oid, o, 'USAGE'))
    order by t.n, p.polname, u.role`
}
