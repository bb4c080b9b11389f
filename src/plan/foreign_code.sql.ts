import { familyOf } from '../database/family.sql.js'
import type { Db } from '../database/types.js'

/** Something on a table that runs a function of another owner. */
export interface ForeignCode {
  /** The table that was requested. */
  asked: string
  /** The table that it is on: the same, or a partition or child of it. */
  table: string
  /** Such as `trigger a_audit`, `default of created_at`, `cast of role`. */
  what: string
  function: string
  owner: string
  /** The current role. */
  role: string
  superuser: boolean
}

/**
 * Triggers, defaults, constraints, indexes and rules of tables, and casts and domains of their columns,
 * that run a function of another owner. Functions of the table's owner, of a superuser, of the database's
 * owner and of the current role do not count. Disabled triggers and rules do not run and are left out.
 */
export async function foreignCode(sql: Db, tables: string[]): Promise<ForeignCode[]> {
  return sql<ForeignCode[]>`
    with recursive ${familyOf(sql, tables)},
    part as (
      select f.asked, f.relid, 'default of ' || quote_ident(a.attname) as what,
        'pg_catalog.pg_attrdef'::regclass as classid, d.oid as objid
      from family f
      join pg_catalog.pg_attrdef d on d.adrelid = f.relid
      join pg_catalog.pg_attribute a on a.attrelid = f.relid and a.attnum = d.adnum
      union all
      select f.asked, f.relid, 'constraint ' || quote_ident(k.conname), 'pg_catalog.pg_constraint'::regclass, k.oid
      from family f join pg_catalog.pg_constraint k on k.conrelid = f.relid
      union all
      select f.asked, f.relid, 'index ' || quote_ident(x.relname), 'pg_catalog.pg_class'::regclass, x.oid
      from family f
      join pg_catalog.pg_index i on i.indrelid = f.relid
      join pg_catalog.pg_class x on x.oid = i.indexrelid
      union all
      select f.asked, f.relid, 'rule ' || quote_ident(r.rulename), 'pg_catalog.pg_rewrite'::regclass, r.oid
      from family f join pg_catalog.pg_rewrite r on r.ev_class = f.relid
    ),
    typed as (
      select f.asked, f.relid, a.attname, a.atttypid as type
      from family f
      join pg_catalog.pg_attribute a on a.attrelid = f.relid and a.attnum > 0 and not a.attisdropped
      -- built-in types have only built-in casts
      where a.atttypid >= 16384
    ),
    called as (
      select f.asked, f.relid, 'trigger ' || quote_ident(t.tgname) as what, t.tgfoid as func
      from family f join pg_catalog.pg_trigger t on t.tgrelid = f.relid and not t.tgisinternal and t.tgenabled <> 'D'
      union
      select p.asked, p.relid, p.what, d.refobjid
      from part p
      join pg_catalog.pg_depend d on d.classid = p.classid and d.objid = p.objid
        and d.refclassid = 'pg_catalog.pg_proc'::regclass
      union
      select t.asked, t.relid, 'cast of ' || quote_ident(t.attname), k.castfunc
      from typed t join pg_catalog.pg_cast k on t.type in (k.castsource, k.casttarget) and k.castfunc <> 0
      union
      select t.asked, t.relid, 'domain of ' || quote_ident(t.attname), d.refobjid
      from typed t
      join pg_catalog.pg_constraint k on k.contypid = t.type
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::regclass and d.objid = k.oid
        and d.refclassid = 'pg_catalog.pg_proc'::regclass
    )
    select d.asked, format('%I.%I', n.nspname, c.relname) as table, d.what,
      format('%I.%I', pn.nspname, p.proname) as function, o.rolname::text as owner,
      me.rolname::text as role, me.rolsuper as superuser
    from called d
    join pg_catalog.pg_class c on c.oid = d.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_proc p on p.oid = d.func
    join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    join pg_catalog.pg_roles o on o.oid = p.proowner and not o.rolsuper
    join pg_catalog.pg_roles me on me.rolname = current_user
    where p.proowner not in (c.relowner, me.oid, (select datdba from pg_catalog.pg_database where datname = current_database()))
    order by 2, 3, 4`
}
