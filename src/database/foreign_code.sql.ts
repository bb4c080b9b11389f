import { Failure } from '../model/failure.js'
import { setParameter } from './connection.sql.js'
import { scopeOf, takenBack } from './scopes.js'
import type { Db } from './types.js'

/** Something on a table that runs a function of another owner. */
export interface ForeignCode {
  /** `AskedTable.asked`; of an event trigger the database. */
  asked: string
  /** The table that it is on: the same, a partition or child of it, or one that follows it. */
  table: string
  /** Such as `trigger a_audit`, `default of created_at`, `cast of role`. */
  what: string
  /** Whether it belongs to a column's type: reading values may run it. */
  ofType: boolean
  function: string
  owner: string
  /** The current role. */
  role: string
  superuser: boolean
}

/** The refusal to run a function of another owner. */
export const foreignFunction = ({ function: name, owner, role }: ForeignCode): Failure =>
  new Failure('FOREIGN_OBJECT', `function ${name}`, { kind: 'function', name, owner, role, grants: [] })

/** A table whose code is asked for. */
export interface AskedTable {
  /** Null for a name without a schema: every table with this name is meant. */
  schema: string | null
  name: string
  /** Names this request in the answer. */
  asked: string
  /** Whether rows are deleted: tables with a foreign key to it may follow. */
  deletes: boolean
  /** Columns that are updated: tables whose foreign keys reference them may follow. */
  updates: string[]
  /** False if nobody chose the table by its owner: then functions of its owner count too. */
  trustsOwner: boolean
}

/**
 * Runs a query over `nodesBelow`. The planner expects millions of rows of it, and the server clears a table
 * for them that is as large as work_mem: 64 MB took a tenth of a second.
 */
export const withLittleMemory = <T>(sql: Db, query: (tx: Db) => Promise<T>): Promise<T> =>
  takenBack(scopeOf(sql), async tx => {
    await setParameter(tx, 'work_mem', '4MB')
    return query(tx)
  })

/**
 * A part of a query with `with recursive`, for `withLittleMemory`: `node (asked, relid, what, col, classid,
 * objid)` has all that the objects in `part` (the same columns) call, functions among them: through
 * operators, casts and domains, types of elements and fields, other functions. `what` is null for the type of
 * a column. Only what the server needs when it uses an object is followed, not the tables beside it.
 */
export const nodesBelow = (sql: Db) => sql`node (asked, relid, what, col, classid, objid) as (
    select asked, relid, what, col, classid::oid, objid from part
    union
    select n.asked, n.relid, coalesce(n.what, case x.classid
        when 'pg_catalog.pg_cast'::regclass then 'cast of ' || n.col
        when 'pg_catalog.pg_constraint'::regclass then 'domain of ' || n.col
        when 'pg_catalog.pg_proc'::regclass then 'type of ' || n.col end), n.col, x.classid, x.objid
    from node n
    cross join lateral (
      select d.refclassid as classid, d.refobjid as objid
      from pg_catalog.pg_depend d
      where d.classid = n.classid and d.objid = n.objid and (
        d.refclassid = 'pg_catalog.pg_proc'::regclass
        or d.refclassid in ('pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_type'::regclass)
          and n.classid not in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass, 'pg_catalog.pg_cast'::regclass))
      union all
      -- the fields of a composite type
      select 'pg_catalog.pg_class'::regclass, y.typrelid
      from pg_catalog.pg_type y where n.classid = 'pg_catalog.pg_type'::regclass and y.oid = n.objid and y.typrelid <> 0
      union all
      select 'pg_catalog.pg_constraint'::regclass, k.oid
      from pg_catalog.pg_constraint k where n.classid = 'pg_catalog.pg_type'::regclass and k.contypid = n.objid
      union all
      -- an expression names the casts that it calls; a value of a column may get any
      select 'pg_catalog.pg_cast'::regclass, k.oid
      from pg_catalog.pg_cast k
      where n.what is null and n.classid = 'pg_catalog.pg_type'::regclass and n.objid in (k.castsource, k.casttarget) and k.castfunc <> 0
    ) x
  )`

/**
 * Triggers, defaults, constraints, indexes, statistics, partition keys and rules of tables, and the types of
 * their columns, that run a function of another owner. Functions of the table's owner, of a superuser, of the
 * database's owner and of the current role do not count. Disabled triggers and rules do not run and are left
 * out.
 */
export async function foreignCode(sql: Db, tables: AskedTable[]): Promise<ForeignCode[]> {
  if (tables.length === 0) return []
  return withLittleMemory(sql, tx => foreignCodeIn(tx, tables))
}

const foreignCodeIn = (sql: Db, tables: AskedTable[]): Promise<ForeignCode[]> => sql<ForeignCode[]>`
    with recursive
    family (asked, relid, "trustsOwner", deletes, updates) as (
      select w.asked, c.oid, w."trustsOwner", w.deletes, array(select jsonb_array_elements_text(w.updates))
      from jsonb_to_recordset(${JSON.stringify(tables)}::text::jsonb)
        as w (asked text, schema text, name text, "trustsOwner" boolean, deletes boolean, updates jsonb)
      join pg_catalog.pg_class c on c.relname = w.name and c.relkind in ('r', 'p', 'v', 'm', 'f')
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        and case when w.schema is null then n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rethread', 'rethread_archive')
          else n.nspname = w.schema end
      union
      select f.asked, x.relid, f."trustsOwner", f.deletes and x.deletes, case when x.child then f.updates else '{}' end
      from family f
      cross join lateral (
        select i.inhrelid as relid, true as deletes, true as child from pg_catalog.pg_inherits i where i.inhparent = f.relid
        union all
        select k.conrelid, k.confdeltype = 'c', false
        from pg_catalog.pg_constraint k
        where k.confrelid = f.relid and k.contype = 'f' and (f.deletes and k.confdeltype in ('c', 'n', 'd')
          or k.confupdtype in ('c', 'n', 'd') and exists (
            select from pg_catalog.pg_attribute a
            where a.attrelid = f.relid and a.attnum = any (k.confkey) and a.attname::text = any (f.updates)))
      ) x
    ),
    relation as (select distinct f.asked, f.relid from family f),
    part (asked, relid, what, col, classid, objid) as (
      select f.asked, f.relid, 'default of ' || quote_ident(a.attname), null::text, 'pg_catalog.pg_attrdef'::regclass, d.oid
      from relation f
      join pg_catalog.pg_attrdef d on d.adrelid = f.relid
      join pg_catalog.pg_attribute a on a.attrelid = f.relid and a.attnum = d.adnum
      union all
      select f.asked, f.relid, 'constraint ' || quote_ident(k.conname), null, 'pg_catalog.pg_constraint'::regclass, k.oid
      from relation f join pg_catalog.pg_constraint k on k.conrelid = f.relid
      union all
      select f.asked, f.relid, 'index ' || quote_ident(x.relname), null, 'pg_catalog.pg_class'::regclass, x.oid
      from relation f
      join pg_catalog.pg_index i on i.indrelid = f.relid
      join pg_catalog.pg_class x on x.oid = i.indexrelid
      union all
      select f.asked, f.relid, 'statistics ' || quote_ident(s.stxname), null, 'pg_catalog.pg_statistic_ext'::regclass, s.oid
      from relation f join pg_catalog.pg_statistic_ext s on s.stxrelid = f.relid
      union all
      select f.asked, f.relid, 'rule ' || quote_ident(r.rulename), null, 'pg_catalog.pg_rewrite'::regclass, r.oid
      from relation f join pg_catalog.pg_rewrite r on r.ev_class = f.relid and r.ev_enabled <> 'D'
      union all
      -- its function, and what its condition calls
      select f.asked, f.relid, 'trigger ' || quote_ident(t.tgname), null, 'pg_catalog.pg_trigger'::regclass, t.oid
      from relation f join pg_catalog.pg_trigger t on t.tgrelid = f.relid and not t.tgisinternal and t.tgenabled <> 'D'
      union all
      select f.asked, f.relid, 'partition key', null, d.refclassid, d.refobjid
      from relation f
      join pg_catalog.pg_partitioned_table p on p.partrelid = f.relid
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = f.relid and d.objsubid = 0
        and d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
      union all
      select f.asked, f.relid, null, quote_ident(a.attname), 'pg_catalog.pg_type'::regclass, a.atttypid
      from relation f
      join pg_catalog.pg_attribute a on a.attrelid = f.relid and a.attnum > 0 and not a.attisdropped
      -- built-in types have only built-in casts
      where a.atttypid >= 16384
    ),
    ${nodesBelow(sql)}
    select distinct d.asked, format('%I.%I', n.nspname, c.relname) as table, d.what, d.col is not null as "ofType",
      ${ofFunction(sql).columns}
    from node d
    join pg_catalog.pg_class c on c.oid = d.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid
    ${ofFunction(sql).joins}
    where p.proowner <> c.relowner or exists (
      select from family f where f.asked = d.asked and f.relid = d.relid and not f."trustsOwner")
    order by 2, 3, 4`

/**
 * What `ForeignCode` says of a function `p` and of the current role, as columns and as the joins that they
 * need. Without functions of superusers, of the database's owner and of the current role.
 */
export const ofFunction = (sql: Db) => ({
  columns: sql`format('%I.%I', pn.nspname, p.proname) as function, o.rolname::text as owner,
      me.rolname::text as role, me.rolsuper as superuser`,
  joins: sql`join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    join pg_catalog.pg_roles o on o.oid = p.proowner and not o.rolsuper
    join pg_catalog.pg_roles me on me.rolname = current_user and p.proowner not in (
      me.oid, (select datdba from pg_catalog.pg_database where datname = current_database()))`,
})

/** Enabled event triggers whose function belongs to another role: every change of the schema runs them. */
export async function foreignEventTriggers(sql: Db): Promise<Omit<ForeignCode, 'asked'>[]> {
  return sql<Omit<ForeignCode, 'asked'>[]>`
    select quote_ident(current_database()) as table, 'event trigger ' || quote_ident(e.evtname) as what, false as "ofType",
      ${ofFunction(sql).columns}
    from pg_catalog.pg_event_trigger e
    join pg_catalog.pg_proc p on p.oid = e.evtfoid
    ${ofFunction(sql).joins}
    where e.evtenabled <> 'D'
    order by 2`
}
