import type { ForeignKey } from '../model/plan.js'
import type { Db } from './types.js'

/** A table lock of this session; the mode's name in capitals and without `Lock`. */
export interface HeldLock {
  table: string
  mode: string
}

/** Users' tables, views and sequences as they stood at one moment: name, and where the rows are stored. */
export type Places = Map<number, { name: string; node: number }>

/** Where everything of users stands now; the server's own tables and the tool's ledger are left out. */
export async function places(sql: Db): Promise<Places> {
  const rows = await sql<{ oid: number; name: string; node: number }[]>`
    select c.oid::int8::int as oid, n.nspname || '.' || c.relname as name, c.relfilenode::int8::int as node
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm', 'v', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'rethread')`
  return new Map(rows.map(r => [r.oid, { name: r.name, node: r.node }]))
}

/**
 * The locks that this session holds on what stood before, by the names of then: what it has
 * made is nobody else's yet.
 */
export async function heldLocks(sql: Db, before: Places, pid: number | null = null): Promise<HeldLock[]> {
  const rows = await sql<{ oid: number; mode: string }[]>`
    select l.relation::int8::int as oid, l.mode
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

/** Tables whose rows are stored elsewhere than before: they were rewritten. */
export const rewritten = (before: Places, after: Places): string[] =>
  [...before].flatMap(([oid, { name, node }]) => {
    const now = after.get(oid)
    return now && node !== 0 && now.node !== node ? [name] : []
  })

/** Position in the write-ahead log, in bytes from its start. */
export async function walPosition(sql: Db): Promise<number> {
  const [row] = await sql<{ at: number }[]>`
    select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 as at`
  return row!.at
}

/** All foreign keys between users' tables. */
export async function allForeignKeys(sql: Db): Promise<ForeignKey[]> {
  return sql<ForeignKey[]>`
    select k.conname as name,
      n.nspname || '.' || c.relname as "table",
      rn.nspname || '.' || r.relname as references,
      array(select a.attname::text from unnest(k.conkey) x join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = x) as columns,
      array(select a.attname::text from unnest(k.confkey) x join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = x) as referenced
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.conrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class r on r.oid = k.confrelid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    where k.contype = 'f'`
}

/** The table of every index of users: `schema.index` -> `schema.table`. */
export async function indexTables(sql: Db): Promise<Map<string, string>> {
  const rows = await sql<{ index: string; table: string }[]>`
    select n.nspname || '.' || x.relname as index, n.nspname || '.' || c.relname as "table"
    from pg_catalog.pg_index i
    join pg_catalog.pg_class x on x.oid = i.indexrelid
    join pg_catalog.pg_class c on c.oid = i.indrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`
  return new Map(rows.map(r => [r.index, r.table]))
}
