import type { Db } from './types.js'

/**
 * A common table expression `family (asked, relid)` with tables and all of their children and partitions, for
 * a query with `with recursive`. Names are SQL.
 */
export const familyOf = (sql: Db, tables: string[]) => sql`family (asked, relid) as (
  select t, to_regclass(t)::oid from unnest(${tables}::text[]) as t
  union
  select f.asked, i.inhrelid from family f join pg_catalog.pg_inherits i on i.inhparent = f.relid
)`
