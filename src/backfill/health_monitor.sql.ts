import type { Db, Root } from '../database/types.js'

/** The health of a server as far as SQL can show it. Null means unknown, not healthy. */
export interface Vitals {
  /**
   * Number of other backends that wait for a lock of the backfill's. Locks to extend a table do not count,
   * because they last less than a millisecond.
   */
  waiters: number
  /**
   * Other sessions that were active within the last second. Null if this role may not see some of them, or if
   * the server does not record it (`track_activities`).
   */
  others: number | null
  /**
   * Largest replay lag of a replica, in seconds. Null if there are replicas whose lag this role may not see.
   */
  replicaLag: number | null
  replicas: number
  /** Worst state of a replication slot: `reserved`, `extended`, `unreserved`, `lost`. Null without slots. */
  slot: string | null
  /** Smallest number of bytes before a slot loses its WAL; null if unlimited. */
  slotBytes: number | null
  /** Whether the server archives its WAL. */
  archives: boolean
  /**
   * Number of WAL segments that wait to be archived. Null if archiving is off, or if none was archived yet.
   */
  archiveGap: number | null
  /** Current WAL position in bytes, to compute a rate from. */
  wal: number
  /**
   * Autovacuum that runs on the table: `vacuum`, or `wraparound`, which does not yield to other locks. Null
   * if none.
   */
  vacuum: string | null
  /** Age of the oldest snapshot of another session, in seconds. Newer dead rows cannot be pruned. */
  oldestSnapshot: number | null
}

/** The start of the last archived segment in bytes, from its name: timeline, 4 GB units, segments. */
const archived = (sql: Db) => sql`(
  ('x' || substr(w.last_archived_wal, 9, 8))::bit(32)::bigint * 4294967296::numeric
  + ('x' || right(w.last_archived_wal, 8))::bit(32)::bigint * pg_catalog.pg_size_bytes(current_setting('wal_segment_size')))`

/** Reads all signals once. `ours` are the process ids of rethread's own backends. */
export async function vitals(sql: Db, table: string, ours: number[]): Promise<Vitals> {
  const pids = `{${ours.join(',')}}`
  const [row] = await sql<Vitals[]>`
    select
      (select count(*)::int from pg_catalog.pg_stat_activity a
        where a.wait_event_type = 'Lock' and a.wait_event <> 'extend' and not a.pid = any (${pids}::int[])
          and pg_catalog.pg_blocking_pids(a.pid) && ${pids}::int[]) as waiters,
      (select case when not coalesce(bool_or(a.backend_type is null or a.state = 'disabled'), false)
          then (count(*) filter (where a.state = 'active' or a.state_change > clock_timestamp() - interval '1 second'))::int end
        from pg_catalog.pg_stat_activity a
        where a.usesysid is not null and coalesce(a.backend_type, 'client backend') = 'client backend'
          and a.application_name not like 'rethread %' and not a.pid = any (${pids}::int[])
          and a.pid <> pg_backend_pid()) as others,
      (select extract(epoch from max(r.replay_lag))::float8 from pg_catalog.pg_stat_replication r) as "replicaLag",
      (select count(*)::int from pg_catalog.pg_stat_replication) as replicas,
      (select s.wal_status from pg_catalog.pg_replication_slots s where s.wal_status is not null
        order by array_position(array['lost', 'unreserved', 'extended', 'reserved'], s.wal_status) limit 1) as slot,
      (select min(s.safe_wal_size)::float8 from pg_catalog.pg_replication_slots s) as "slotBytes",
      current_setting('archive_mode') <> 'off' as archives,
      case when current_setting('archive_mode') <> 'off' then (
        select greatest(0, floor((pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn - ${archived(sql)}) / pg_catalog.pg_size_bytes(current_setting('wal_segment_size'))) - 1)::int
        from pg_catalog.pg_stat_archiver w where w.last_archived_wal ~ '^[0-9A-F]{24}$') end as "archiveGap",
      (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn)::float8 as wal,
      (select case when a.query like '%to prevent wraparound%' then 'wraparound' else 'vacuum' end
        from pg_catalog.pg_stat_progress_vacuum v join pg_catalog.pg_stat_activity a on a.pid = v.pid
        where v.relid = to_regclass(${table}) and v.datname = current_database() limit 1) as vacuum,
      (select extract(epoch from max(clock_timestamp() - a.xact_start))::float8 from pg_catalog.pg_stat_activity a
        where a.backend_xmin is not null and a.backend_type = 'client backend' and a.datname = current_database() and not a.pid = any (${pids}::int[])
          and a.pid <> pg_backend_pid()) as "oldestSnapshot"`
  return row!
}

/**
 * Runs the user's throttle query. True, or a number above zero, means stop. It is read-only and has a time
 * limit.
 */
export async function throttled(sql: Root, query: string): Promise<boolean> {
  const rows = await sql.begin('read only', async tx => {
    await tx.unsafe(`set local statement_timeout = ${throttleMs}; set local lock_timeout = ${throttleMs}`)
    // the extended protocol accepts only one statement, so the query cannot end the transaction and continue
    return tx.unsafe<Record<string, unknown>[]>(query, [], { simple: false } as object)
  })
  const value = Object.values(rows[0] ?? {})[0]
  return value === true || Number(value) > 0
}

/** Time limit of a throttle query, in milliseconds. */
const throttleMs = 500
