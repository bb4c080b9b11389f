import type { Db } from '../database/types.js'

/** The current lease of the writer. */
interface LeaseRow {
  token: number
  holder: string | null
  backendPid: number | null
  /** Whether the backend that took it still exists. */
  alive: boolean
  heartbeatAge: number | null
}

/** After this number of seconds without heartbeat, an idle holder counts as a ghost. */
const ghostSeconds = 10

/** The SELECT for other backends that hold the advisory lock. */
const lockHolder = (sql: Db) => sql`k.pid from pg_catalog.pg_locks k
  where k.locktype = 'advisory' and k.objsubid = 2 and k.granted and k.pid <> pg_backend_pid()
    and k.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and k.classid::bigint = hashtext('rethread')::bigint & 4294967295
    and k.objid::bigint = hashtext('writer')::bigint & 4294967295`

/**
 * The holder of the lease. A backend is identified by pid and start time. If this role may not see the start
 * time, the backend counts as alive.
 */
export async function readLease(sql: Db): Promise<LeaseRow> {
  const [row] = await sql<LeaseRow[]>`
    select
      l.token, l.holder, coalesce(l.backend_pid, (select ${lockHolder(sql)} limit 1)) as "backendPid",
      exists (
        select from pg_catalog.pg_stat_activity a
        where a.pid = l.backend_pid and coalesce(a.backend_start, l.backend_start) = l.backend_start
      ) as alive,
      extract(epoch from clock_timestamp() - l.heartbeat)::float8 as "heartbeatAge"
    from rethread.lease l
    where l.name = 'writer'`
  return row!
}

/**
 * Takes the lease if nobody holds it or its holder's backend is gone, and increments the fencing token.
 * Requests of the former holder have the old token and are refused. Returns null if somebody holds the lease.
 * A pooler keeps the backend of a killed holder: it has lost its name and its lock, and has no heartbeat.
 * On direct connections it also tries an advisory lock. It never waits for that or for a locked row, because
 * a concurrent index build would wait for the waiting transaction.
 */
export async function takeLease(sql: Db, holder: string): Promise<number | null> {
  const [row] = await sql<{ token: number }[]>`
    with me as (
      select pid, backend_start from pg_catalog.pg_stat_activity where pid = pg_backend_pid()
    ), free as (
      select name from rethread.lease where name = 'writer' for update skip locked
    )
    update rethread.lease l
    set token = l.token + 1, holder = ${holder},
        backend_pid = me.pid, backend_start = me.backend_start, heartbeat = clock_timestamp()
    from me, free
    where l.name = free.name
      and not exists (
        select from pg_catalog.pg_stat_activity a
        where a.pid = l.backend_pid and coalesce(a.backend_start, l.backend_start) = l.backend_start and a.pid <> me.pid
          and (a.application_name like 'rethread %' or l.heartbeat > clock_timestamp() - make_interval(secs => ${ghostSeconds}))
      )
      and pg_try_advisory_lock(hashtext('rethread'), hashtext('writer'))
    returning l.token`
  return row?.token ?? null
}

/**
 * Terminates backends that hold the lease or its advisory lock for a client that is gone: they are idle,
 * without heartbeat, and of this role. Returns their number.
 */
export async function endGhosts(sql: Db): Promise<number> {
  const rows = await sql`
    select pg_catalog.pg_terminate_backend(a.pid)
    from rethread.lease l, pg_catalog.pg_stat_activity a
    where l.name = 'writer' and a.pid <> pg_backend_pid() and a.usename = current_user
      and ((a.pid = l.backend_pid and a.backend_start = l.backend_start) or a.pid in (select ${lockHolder(sql)}))
      and a.application_name like 'rethread %' and a.state like 'idle%'
      and greatest(a.state_change, l.heartbeat) < clock_timestamp() - make_interval(secs => ${ghostSeconds})`
  return rows.count
}

/** Terminates the backend that took the lease with this token: the former connection of the same run. */
export async function endFormerBackend(sql: Db, token: number): Promise<void> {
  await sql`
    select pg_catalog.pg_terminate_backend(a.pid)
    from rethread.lease l join pg_catalog.pg_stat_activity a on a.pid = l.backend_pid and a.backend_start = l.backend_start
    where l.name = 'writer' and l.token = ${token} and a.pid <> pg_backend_pid()`
}

/** Writes a heartbeat. Returns false if the token is no longer valid. */
export async function beat(sql: Db, token: number): Promise<boolean> {
  const result = await sql`
    update rethread.lease set heartbeat = clock_timestamp() where name = 'writer' and token = ${token}`
  return result.count === 1
}

/** Releases the lease. */
export async function releaseLease(sql: Db, token: number): Promise<void> {
  await sql`
    update rethread.lease
    set holder = null, backend_pid = null, backend_start = null
    where name = 'writer' and token = ${token}`
  await sql`select pg_advisory_unlock(hashtext('rethread'), hashtext('writer'))`
}
