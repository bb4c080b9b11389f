import { nameSql } from '../database/names.sql.js'
import type { Db } from '../database/types.js'

/** A table lock of this session. The mode is in capitals, without `Lock`. */
export interface HeldLock {
  table: string
  mode: string
}

/**
 * Tables, views and sequences of users at one moment: the name, and the file node of the rows (0 for none).
 * An index or a column's sequence has the name of its table, because statements on the table lock it too.
 */
export type Places = Map<number, { name: string; node: number }>

/** The current places. The server's own tables and the tool's ledger are left out. */
export async function places(sql: Db): Promise<Places> {
  const rows = await sql<{ oid: number; name: string; node: number }[]>`
    select c.oid::int8 as oid, ${nameSql(sql, 'tn.nspname', 't.relname')} as name,
      case when c.relkind in ('r', 'm') then c.relfilenode::int8 else 0 end as node
    from pg_catalog.pg_class c
    left join pg_catalog.pg_index i on i.indexrelid = c.oid
    left join pg_catalog.pg_depend d on c.relkind = 'S' and d.objid = c.oid and d.deptype in ('a', 'i') and d.refobjsubid > 0
      and d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    join pg_catalog.pg_class t on t.oid = coalesce(i.indrelid, d.refobjid, c.oid)
    join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    where t.relkind in ('r', 'p', 'm', 'v', 'f', 'S') and tn.nspname !~ '^pg_' and tn.nspname not in ('information_schema', 'rethread')`
  return new Map(rows.map(r => [r.oid, { name: r.name, node: r.node }]))
}

/**
 * The locks of a session on objects that existed before, by their names then. Objects that it created have no
 * other users yet.
 */
export async function heldLocks(sql: Db, before: Places, pid: number | null = null): Promise<HeldLock[]> {
  const rows = await sql<{ oid: number; mode: string }[]>`
    select l.relation::int8 as oid, l.mode
    from pg_catalog.pg_locks l
    where l.pid = coalesce(${pid}, pg_catalog.pg_backend_pid()) and l.locktype = 'relation' and l.granted
      and l.database = (select oid from pg_catalog.pg_database where datname = current_database())`
  return rows.flatMap(({ oid, mode }) => {
    const place = before.get(oid)
    return place
      ? [
          {
            table: place.name,
            mode: mode
              .replace(/Lock$/, '')
              .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
              .toUpperCase(),
          },
        ]
      : []
  })
}

/** Tables whose file node has changed: they were rewritten. */
export const rewritten = (before: Places, after: Places): string[] =>
  [...before].flatMap(([oid, { name, node }]) => {
    const now = after.get(oid)
    return now && node !== 0 && now.node !== node ? [name] : []
  })

/** Position in the WAL, in bytes from its start. */
export async function walPosition(sql: Db): Promise<number> {
  const [row] = await sql<{ at: number }[]>`
    select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 as at`
  return row!.at
}
