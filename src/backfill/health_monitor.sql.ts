import type { Db, Root } from '../database/types.js'

/** What SQL alone can find out about the health of a server; null is unknown, never healthy. */
export interface Vitals {
  /**
   * Backends, not ours, that wait for a lock that one of ours holds. To extend a table is not counted: that
   * lock goes round within a millisecond.
   */
  waiters: number
  /**
   * Other sessions of the server that have worked within the last second; null when there are some that this
   * role may not look at, or the server does not keep it (`track_activities`).
   */
  others: number | null
  /**
   * Largest replay lag of a replica, in seconds; null when there are replicas and
   * their lag is hidden from us.
   */
  replicaLag: number | null
  replicas: number
  /** Worst state of a replication slot: `reserved`, `extended`, `unreserved`, `lost`; null without slots. */
  slot: string | null
  /** Smallest head-room of a slot in bytes; null when it is unlimited. */
  slotBytes: number | null
  /** Whether the server archives its WAL at all. */
  archives: boolean
  /**
   * Full WAL segments that wait to be archived; null when archiving is off, or when none was archived yet.
   */
  archiveGap: number | null
  /** Position in the WAL, in bytes, to compute a rate from. */
  wal: number
  /** Autovacuum at work on the table: `vacuum`, or `wraparound`, which does not yield. */
  vacuum: string | null
  /** Age of the oldest snapshot of somebody else in seconds: dead rows younger than it can't be pruned. */
  oldestSnapshot: number | null
}

/**
 * Where the last archived segment starts, in bytes: its name is timeline, gigabytes by
 * four, and segments of those.
 */
const archived = (sql: Db) => sql`(
  ('x' || substr(w.last_archived_wal, 9, 8))::bit(32)::bigint * 4294967296::numeric
  + ('x' || right(w.last_archived_wal, 8))::bit(32)::bigint * pg_catalog.pg_size_bytes(current_setting('wal_segment_size')))`

/** One look at all signals; `ours` are the pids of our own backends. */
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
 * The user's own throttle: a query whose first value is true, or above zero, says stop.
 * Read-only, half a second at most.
 */
export async function throttled(sql: Root, query: string): Promise<boolean> {
  const rows = await sql.begin('read only', async tx => {
    await tx.unsafe(`set local statement_timeout = ${throttleMs}; set local lock_timeout = ${throttleMs}`)
    // by the extended protocol, which takes one statement only: none may end the transaction and go on
    return tx.unsafe<Record<string, unknown>[]>(query, [], { simple: false } as object)
  })
  const value = Object.values(rows[0] ?? {})[0]
  return value === true || Number(value) > 0
}

/** How long a throttle query may take, in milliseconds. */
const throttleMs = 500
