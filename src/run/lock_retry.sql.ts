import type { Db } from '../database/types.js'
import { withoutLiterals } from '../files/redact.js'
import type { Blocker, Event } from '../model/event.js'

/** Most characters of a blocker's statement to show, and to read before literals are removed. */
const shownCharacters = 100
const readCharacters = 2000

/** Removes the literals from the blockers' statements. */
const redacted = <B extends Blocker>(blockers: B[]): Promise<B[]> =>
  Promise.all(
    blockers.map(async b => ({ ...b, query: (await withoutLiterals(b.query)).slice(0, shownCharacters) })),
  )

/** Prepared transactions of this database with their locks. They outlive their backend, and the server. */
const preparedLocks = (sql: Db) => sql`(
  select p.gid::text as gid, p.owner::text as owner, p.prepared, l.locktype, l.relation, l.transactionid, l.mode
  from pg_catalog.pg_prepared_xacts p
  join pg_catalog.pg_locks t on t.locktype = 'transactionid' and t.transactionid = p.transaction and t.pid is null
  join pg_catalog.pg_locks l on l.virtualtransaction = t.virtualtransaction and l.pid is null
  where p.database = current_database())`

/** A prepared transaction as a blocker. */
const asBlocker = (sql: Db) => sql`
  0 as pid, p.gid as prepared, p.owner as application, 'prepared' as state,
  round(extract(epoch from clock_timestamp() - p.prepared), 1)::float8 as seconds, '' as query`

/** The transactions that block a backend. */
export async function blockersOf(sql: Db, pid: number): Promise<Blocker[]> {
  const blockers = await sql<Blocker[]>`
    (select
      a.pid, null::text as prepared,
      coalesce(a.application_name, '') as application,
      coalesce(a.state, a.backend_type) as state,
      round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 1)::float8 as seconds,
      left(coalesce(a.query, ''), ${readCharacters}) as query
    from pg_catalog.pg_stat_activity a
    where a.pid = any (pg_catalog.pg_blocking_pids(${pid}))
    order by a.xact_start nulls last
    limit 5)
    union all
    (select distinct on (p.gid) ${asBlocker(sql)}
    from pg_catalog.pg_locks w
    join ${preparedLocks(sql)} p on p.locktype = w.locktype and (p.relation = w.relation or p.transactionid = w.transactionid)
    where w.pid = ${pid} and not w.granted and 0 = any (pg_catalog.pg_blocking_pids(${pid}))
      and (p.mode <> 'AccessShareLock' or w.mode = 'AccessExclusiveLock')
      and (p.mode <> 'RowShareLock' or w.mode in ('AccessExclusiveLock', 'ExclusiveLock'))
    order by p.gid
    limit 5)`
  return redacted(blockers)
}

/**
 * Transactions that hold a lock on a table now, for which a statement would wait. Only of this database: a
 * copy has tables with the same OIDs. Autovacuum is left out, unless it prevents wraparound, because it
 * yields.
 */
export async function holdersOf(
  sql: Db,
  tables: string[],
): Promise<(Blocker & { table: string; mode: string })[]> {
  const holders = await sql<(Blocker & { table: string; mode: string })[]>`
    (select distinct on (a.pid)
      l.relation::regclass::text as table, l.mode, a.pid, null::text as prepared,
      coalesce(a.application_name, '') as application, coalesce(a.state, a.backend_type) as state,
      round(extract(epoch from clock_timestamp() - a.xact_start), 1)::float8 as seconds,
      left(coalesce(a.query, ''), ${readCharacters}) as query
    from pg_catalog.pg_locks l
    join pg_catalog.pg_stat_activity a on a.pid = l.pid
    where l.relation = any (select to_regclass(t) from unnest(${tables}::text[]) t)
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
      and l.granted and a.pid <> pg_backend_pid()
      and (a.backend_type <> 'autovacuum worker' or a.query like '%to prevent wraparound%')
      and a.xact_start < clock_timestamp() - interval '1 second'
    order by a.pid, l.mode = 'AccessShareLock', l.mode = 'RowShareLock')
    union all
    (select distinct on (p.gid) p.relation::regclass::text as table, p.mode, ${asBlocker(sql)}
    from ${preparedLocks(sql)} p
    where p.relation = any (select to_regclass(t) from unnest(${tables}::text[]) t)
      and p.prepared < clock_timestamp() - interval '1 second'
    order by p.gid, p.mode = 'AccessShareLock', p.mode = 'RowShareLock')`
  return redacted(holders)
}

/** Progress of an index build by this backend; null if there is none. */
export async function indexProgress(
  sql: Db,
  pid: number,
): Promise<Omit<Extract<Event, { type: 'index' }>, 'type'> | null> {
  const [row] = await sql<Omit<Extract<Event, { type: 'index' }>, 'type'>[]>`
    select
      p.index_relid::regclass::text as name, p.phase,
      greatest(p.blocks_done, p.tuples_done, p.lockers_done)::float8 as done,
      greatest(p.blocks_total, p.tuples_total, p.lockers_total)::float8 as total,
      a.pid as "waitingFor",
      case when p.phase like 'waiting%' then (
        select min(x.gid) from ${preparedLocks(sql)} x where x.relation = p.relid and x.mode not in ('AccessShareLock', 'RowShareLock')
      ) end as prepared
    from pg_catalog.pg_stat_progress_create_index p
    -- of a prepared transaction it may be the backend that has prepared it
    left join pg_catalog.pg_stat_activity a on a.pid = p.current_locker_pid and a.xact_start is not null
    where p.pid = ${pid}`
  return row ?? null
}
