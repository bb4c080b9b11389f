import type { Db } from './types.js'

/**
 * Tables, named by SQL, with all that inherits from them, partitions included: the one common table
 * expression `family (asked, relid)`, for a query that begins `with recursive`.
 */
export const familyOf = (sql: Db, tables: string[]) => sql`family (asked, relid) as (
  select t, to_regclass(t)::oid from unnest(${tables}::text[]) as t
  union
  select f.asked, i.inhrelid from family f join pg_catalog.pg_inherits i on i.inhparent = f.relid
)`
