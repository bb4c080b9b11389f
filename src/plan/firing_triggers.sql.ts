import { familyOf } from '../database/family.sql.js'
import { isRefused } from '../database/faults.js'
import { type Scope, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'

/** The bits of `pg_trigger.tgtype`. The parse tree uses the same ones. */
export const triggerBits = { INSERT: 4, DELETE: 8, UPDATE: 16 } as const

/** A kind of statement that fires triggers. */
export type TriggerEvent = keyof typeof triggerBits

/** A trigger that a statement fires, judged by its events and columns. */
export interface Trigger {
  /** The table that it is on: the written table, or one of its partitions or children. */
  table: string
  name: string
  /** The schema-qualified function, as SQL. */
  function: string
  /**
   * As in `pg_trigger.tgenabled`: `O` for the application, `A` always, `R` only in replica mode, `D`
   * disabled.
   */
  enabled: string
  /** Its CREATE TRIGGER statement. */
  definition: string
}

/** The triggers of a table and of its descendants that fire for these kinds of statement. */
export async function triggersFiredBy(
  sql: Db,
  table: string,
  events: TriggerEvent[],
  columns: string[],
): Promise<Trigger[]> {
  const others = events.reduce((mask, e) => mask | (e === 'UPDATE' ? 0 : triggerBits[e]), 0)
  const update = events.includes('UPDATE') ? triggerBits.UPDATE : 0
  return sql<Trigger[]>`
    with recursive ${familyOf(sql, [table])}
    select format('%I.%I', n.nspname, c.relname) as table, t.tgname::text as name,
      format('%I.%I', pn.nspname, p.proname) as function, t.tgenabled::text as enabled, pg_get_triggerdef(t.oid) as definition
    from family f
    join pg_catalog.pg_class c on c.oid = f.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal and t.tgparentid = 0
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    where t.tgtype & ${others}::int <> 0
       or t.tgtype & ${update}::int <> 0 and (t.tgattr::text = '' or exists (
         select from pg_catalog.pg_attribute a
         where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::int2[]) and a.attname = any (${columns}::text[])))
    order by 1, 2`
}

/** Stands for the function of a rule, which has none. */
export const ofRule = 'rule'

/** The rules of a table that do more than a statement of these kinds, listed like triggers. */
export async function rulesFiredBy(sql: Db, table: string, events: TriggerEvent[]): Promise<Trigger[]> {
  return sql<Trigger[]>`
    select ${table} as table, r.rulename::text as name, ${ofRule} as function, r.ev_enabled::text as enabled,
      pg_get_ruledef(r.oid) as definition
    from pg_catalog.pg_rewrite r
    where r.ev_class = to_regclass(${table}) and not r.is_instead and r.ev_enabled <> 'D'
      and case r.ev_type when '2' then 'UPDATE' when '3' then 'INSERT' when '4' then 'DELETE' end = any (${events}::text[])
    order by 2`
}

/** Whether row security of a table applies to this role. Null if there is no such table. */
export async function rowSecurityActive(sql: Db, table: string): Promise<boolean | null> {
  const [row] = await sql<{ active: boolean | null }[]>`
    select pg_catalog.row_security_active(to_regclass(${table})::oid) as active`
  return row!.active
}

/** Switches off the triggers of users, and with them foreign keys, for the session. */
export const holdTriggersSql = 'set session_replication_role = replica;'

/** Whether this role may set `session_replication_role`. */
export async function mayHoldTriggers(scope: Scope): Promise<boolean> {
  try {
    await takenBack(scope, tx => tx.unsafe('set local session_replication_role = replica'))
    return true
  } catch (error) {
    if (!isRefused(error)) throw error
    return false
  }
}
