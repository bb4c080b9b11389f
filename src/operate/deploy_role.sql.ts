import { partitionsOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** The objects that the files of a track use, by the right that they need. */
export interface Needs {
  /** Tables that they alter or write, and other objects that must be owned for it. */
  owned: string[]
  /** Tables whose functions they also alter: functions that name the table, and those of its triggers. */
  served: string[]
  read: string[]
  /** Tables that new foreign keys reference. */
  referenced: string[]
  /** Tables that only probes write. */
  inserted: string[]
  updated: string[]
  deleted: string[]
  /** Schemas in which they create objects. */
  filled: string[]
  /** Schemas that are looked into. */
  entered: string[]
  /** Roles that they name, and that probes SET. */
  roles: string[]
}

/** A role with fewer rights that could run the track, and the SQL that prepares it. */
export interface DeployRole {
  role: string
  statements: string[]
}

/** The name for a new role. */
const fresh = 'rethread_deploy'

/**
 * The role that should run a deploy: the owner of the tables, if they have one owner that is no superuser;
 * else a new role that becomes their owner. `statements` is SQL for an administrator that grants the missing
 * rights.
 */
export async function deployRole(sql: Db, needs: Needs): Promise<DeployRole> {
  const [row] = await sql<{ role: string; statements: string[] }[]>`
    with owned as (
      select c.oid, c.relowner, format('%I.%I', n.nspname, c.relname) as name, o.rolsuper, o.rolname
      from unnest(${[...needs.owned, ...(await partitionsOf(sql, needs.owned))]}::text[]) as t
      join pg_catalog.pg_class c on c.oid = to_regclass(t) and c.relkind in ('r', 'p')
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname !~ '^(pg_|information_schema$|rethread)'
      join pg_catalog.pg_roles o on o.oid = c.relowner
    ),
    chosen as (
      select case when count(distinct relowner) = 1 and not bool_or(rolsuper) then min(rolname::text)
        else ${fresh} end as role
      from owned
    ),
    me as (
      select c.role, quote_ident(c.role) as name, r.oid, r.rolbypassrls
      from chosen c left join pg_catalog.pg_roles r on r.rolname = c.role
    ),
    used as (
      select c.oid, format('%I.%I', n.nspname, c.relname) as name, n.oid as home, n.nspname, c.relrowsecurity, t.privilege
      from (select unnest(${needs.read}::text[]) as t, 'SELECT' as privilege
        union all select unnest(${needs.referenced}::text[]), 'REFERENCES'
        union all select unnest(${needs.inserted}::text[]), 'INSERT'
        union all select unnest(${needs.updated}::text[]), 'UPDATE'
        union all select unnest(${needs.deleted}::text[]), 'DELETE') t
      join pg_catalog.pg_class c on c.oid = to_regclass(t.t)
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.oid not in (select oid from owned) and n.nspname !~ '^(pg_|information_schema$|rethread)'
    ),
    counted as (
      select distinct q.oid, format('%I.%I', n.nspname, q.relname) as name
      from used u
      join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = u.oid and d.classid = d.refclassid and d.deptype = 'a'
      join pg_catalog.pg_class q on q.oid = d.objid and q.relkind = 'S'
      join pg_catalog.pg_namespace n on n.oid = q.relnamespace
      where u.privilege = 'INSERT'
    ),
    routines as (
      select distinct f.oid, f.proowner, format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)) as name
      from unnest(${needs.served}::text[]) as t
      join pg_catalog.pg_class c on c.oid = to_regclass(t) and c.relkind in ('r', 'p')
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_proc f on f.pronamespace = n.oid and (
        strpos(f.prosrc, c.relname) > 0 or strpos(f.proname, c.relname) > 0
        or exists (select from pg_catalog.pg_trigger g where g.tgrelid = c.oid and g.tgfoid = f.oid))
      where n.nspname !~ '^(pg_|information_schema$|rethread)'
        and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e')
    ),
    schemas as (
      select n.oid, n.nspname, p.privilege
      from (select unnest(${needs.filled}::text[]) as name, 'CREATE' as privilege
        union select unnest(${[...needs.filled, ...needs.entered]}::text[]), 'USAGE'
        union select n.nspname, 'USAGE' from owned o join pg_catalog.pg_class c on c.oid = o.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        union select nspname, 'USAGE' from used) p
      join pg_catalog.pg_namespace n on n.nspname = p.name and n.nspname !~ '^(pg_|information_schema$|rethread)'
    ),
    line (place, text) as (
      select 0, format('create role %s login', me.name) from me where me.oid is null
      union all
      select 1, format('grant create on database %I to %s', current_database(), me.name) from me
      where me.oid is null or not has_database_privilege(me.oid, current_database(), 'CREATE')
      union all
      select 2, format('grant %s on schema %I to %s', lower(s.privilege), s.nspname, me.name) from schemas s, me
      where me.oid is null or not has_schema_privilege(me.oid, s.oid, s.privilege)
      union all
      select 3, format('alter table %s owner to %s', o.name, me.name) from owned o, me where me.oid is null or o.relowner <> me.oid
      union all
      select 3, format('alter routine %s owner to %s', r.name, me.name) from routines r, me where me.oid is null or r.proowner <> me.oid
      union all
      select 4, format('grant %s on %s to %s', lower(u.privilege), u.name, me.name) from used u, me
      where me.oid is null or not has_table_privilege(me.oid, u.oid, u.privilege)
      union all
      select 4, format('grant usage on sequence %s to %s', q.name, me.name) from counted q, me
      where me.oid is null or not has_sequence_privilege(me.oid, q.oid, 'USAGE')
      union all
      select 5, format('grant %I to %s', r.rolname, me.name)
      from me, unnest(${needs.roles}::text[]) as w join pg_catalog.pg_roles r on r.rolname = w and not r.rolsuper
      where me.oid is null or me.oid <> r.oid and not pg_has_role(me.oid, r.oid, 'MEMBER')
      union all
      select 6, format('alter role %s bypassrls', me.name) from me
      where exists (select from used where relrowsecurity and privilege = 'SELECT') and me.rolbypassrls is not true
    )
    select (select role from me) as role,
      array(select l.text from line l group by l.place, l.text order by l.place, l.text) as statements`
  return row!
}
