import {
  type ForeignCode,
  foreignCode,
  nodesBelow,
  ofFunction,
  withLittleMemory,
} from '../database/foreign_code.sql.js'
import type { Db } from '../database/types.js'
import { tablesTaken } from '../plan/foreign_code.js'

/**
 * Code of other owners that would run if this session used these tables as another role: policies and views
 * of the tables with everything that they read and, for writes, what the tables and those below their foreign
 * keys run. SET ROLE in a superuser's session takes no rights away, because such code can use RESET ROLE.
 * Empty if the current role is no superuser: it has no rights of others to lend.
 */
export async function codeOfOthers(
  sql: Db,
  tables: string[],
  does: 'reads' | 'writes',
): Promise<ForeignCode[]> {
  const [me] = await sql<{ superuser: boolean }[]>`
    select rolsuper as superuser from pg_catalog.pg_roles where rolname = current_user`
  if (!me!.superuser) return []
  const shown = await withLittleMemory(sql, tx => shownByOthers(tx, tables))
  if (does === 'reads') return shown
  return [...(await foreignCode(sql, tablesTaken(tables))), ...shown]
}

/**
 * Functions that policies or views of these tables call, directly or through what they read. Functions of the
 * table's owner, of a superuser, of the database's owner and of the current role are left out.
 */
const shownByOthers = (sql: Db, tables: string[]): Promise<ForeignCode[]> => sql<ForeignCode[]>`
  with recursive code as (
    select p.polrelid as relid, 'policy ' || quote_ident(p.polname) as what,
      'pg_catalog.pg_policy'::regclass::oid as classid, p.oid as objid
    from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid and c.relrowsecurity
    union all
    select r.ev_class, 'view ' || quote_ident(c.relname), 'pg_catalog.pg_rewrite'::regclass::oid, r.oid
    from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind in ('v', 'm')
  ),
  base (asked, owner, relid) as (
    select t, c.relowner, c.oid from unnest(${tables}::text[]) as t join pg_catalog.pg_class c on c.oid = to_regclass(t)
  ),
  reached (asked, owner, relid) as (
    select asked, owner, relid from base
    union
    select b.asked, b.owner, k.relid
    from base b
    join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = b.relid
    join code k on k.classid = d.classid and k.objid = d.objid
    union
    select r.asked, r.owner, d.refobjid
    from reached r
    join code k on k.relid = r.relid
    join pg_catalog.pg_depend d on d.classid = k.classid and d.objid = k.objid
      and d.refclassid = 'pg_catalog.pg_class'::regclass
  ),
  part (asked, relid, what, col, classid, objid) as (
    select r.asked, r.relid, k.what, null::text, k.classid, k.objid from reached r join code k on k.relid = r.relid
  ),
  ${nodesBelow(sql)}
  select distinct d.asked, format('%I.%I', n.nspname, c.relname) as table, d.what, false as "ofType",
    ${ofFunction(sql).columns}
  from node d
  join base b on b.asked = d.asked
  join pg_catalog.pg_class c on c.oid = d.relid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid
  ${ofFunction(sql).joins}
  where p.proowner <> b.owner
  order by 2, 3, 4`
