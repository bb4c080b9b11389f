import type { Db } from './types.js'

/** An object in one of the tool's schemas that another role owns or may change. */
export interface Planted {
  kind: string
  name: string
  owner: string
  /** The current role. */
  role: string
  /** What others may do with it, as `PRIVILEGE to role`. */
  grants: string[]
}

/**
 * Roles that could change everything here anyway: the session's and current role, superusers, the owner of
 * the database, and groups to which a superuser has added us. Other memberships do not count: up to
 * PostgreSQL 14 any role may make another role its member.
 */
export const trustedSql = `
  select r.oid from pg_catalog.pg_roles r
  where r.rolsuper or r.rolname in (current_user, session_user, 'pg_database_owner')
  union
  select datdba from pg_catalog.pg_database where datname = current_database()
  union
  select m.roleid from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles me on me.oid = m.member and me.rolname in (current_user, session_user)
  join pg_catalog.pg_roles giver on giver.oid = m.grantor and giver.rolsuper`

/** The objects in the tool's schemas that others own or may change. */
export async function plantedObjects(sql: Db): Promise<Planted[]> {
  const [row] = await sql.unsafe<{ planted: Planted[] }[]>(`select (${plantedSql}) as planted`)
  return row!.planted
}

/**
 * The same as SQL. A right on an object counts if its holder has access to the schema. Tables that a rollback
 * has archived keep their owners. A table runs no code of its owner, but a view does.
 */
export const plantedSql = `
  with ours as (
    select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace
    where nspname in ('rethread', 'rethread_archive', 'chat_private')
  ),
  trusted as (${trustedSql}),
  relation as (
    select c.*, n.nspname, n.nspname = 'rethread' or n.nspname = 'rethread_archive'
      and c.relname in ('quarantine', 'failed_rows', 'archives', 'brought_back') as kept
    from ours n
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
  ),
  thing as (
    select 'schema' as kind, format('%I', nspname) as name, oid as home, nspowner as owner, nspacl as acl,
      '{CREATE}'::text[] as closed
    from ours
    union all
    select case when relkind in ('r', 'p') then 'table' when relkind = 'S' then 'sequence'
        when relkind = 'm' then 'materialized view' when relkind = 'f' then 'foreign table' else 'view' end,
      format('%I.%I', nspname, relname), relnamespace, relowner, relacl,
      case when kept and relkind <> 'S' then '{INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER}'::text[]
        when nspname = 'chat_private' then '{TRIGGER}' else '{}' end
    from relation
    where kept or nspname <> 'rethread_archive' or relkind not in ('r', 'p', 'S')
    union all
    select 'function', p.oid::regprocedure::text, n.oid, p.proowner, null, '{}'
    from ours n
    join pg_catalog.pg_proc p on p.pronamespace = n.oid
    union all
    select 'type', y.oid::regtype::text, n.oid, y.typowner, null, '{}'
    from ours n
    join pg_catalog.pg_type y on y.typnamespace = n.oid and y.typrelid = 0 and y.typcategory <> 'A'
    union all
    select 'operator', o.oid::regoperator::text, n.oid, o.oprowner, null, '{}'
    from ours n
    join pg_catalog.pg_operator o on o.oprnamespace = n.oid
    union all
    select 'trigger', format('%I on %I.%I', t.tgname, r.nspname, r.relname), r.relnamespace, p.proowner, null, '{}'
    from relation r
    join pg_catalog.pg_trigger t on t.tgrelid = r.oid and not t.tgisinternal
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where kept or r.nspname = 'chat_private'
  ),
  judged as (
    select t.kind, t.name, t.owner, array(
      select distinct a.privilege_type || ' to ' || case a.grantee when 0 then 'public' else a.grantee::regrole::text end
      from pg_catalog.aclexplode(t.acl) a
      where a.grantee <> t.owner and a.privilege_type = any (t.closed) and a.grantee not in (select oid from trusted)
        and (a.grantee = 0 or has_schema_privilege(a.grantee, t.home, 'USAGE'))
      order by 1) as grants
    from thing t
  )
  select coalesce(json_agg(json_build_object('kind', kind, 'name', name, 'owner', owner::regrole::text,
    'role', current_user, 'grants', grants) order by kind = 'schema' desc, name), '[]')
  from judged
  where grants <> '{}' or owner not in (select oid from trusted)`
