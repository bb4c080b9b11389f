import type { Db } from '../database/types.js'

/** The writer's lease as it is. */
interface LeaseRow {
  token: number
  holder: string | null
  backendPid: number | null
  /** Whether the backend that took it is still there. */
  alive: boolean
  heartbeatAge: number | null
}

/** Backends that hold the advisory lock, the columns of a select. */
const lockHolder = (sql: Db) => sql`k.pid from pg_catalog.pg_locks k
  where k.locktype = 'advisory' and k.objsubid = 2 and k.granted and k.pid <> pg_backend_pid()
    and k.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and k.classid::bigint = hashtext('rethread')::bigint & 4294967295
    and k.objid::bigint = hashtext('writer')::bigint & 4294967295`

/**
 * Who holds the lease. A backend is the same only with the same pid and the same start time; the start of
 * another role's backend is hidden from us, and then it counts as alive.
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
 * Takes the lease when nobody holds it or when its holder's backend is gone, and raises the fencing token:
 * whatever the former holder still sends is refused by its old token. Null when somebody holds it. The
 * advisory lock is an extra on direct connections; it is tried, never waited for: a concurrent index build
 * would wait for whoever waits. A row of the lease that somebody has locked is not waited for either.
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
      )
      and pg_try_advisory_lock(hashtext('rethread'), hashtext('writer'))
    returning l.token`
  return row?.token ?? null
}

/** After how many seconds without a heartbeat a holder that does nothing is taken for a ghost. */
const ghostSeconds = 10

/**
 * Ends a backend that holds the lease or its advisory lock for a client that is gone, although the network
 * keeps the connection: it has said nothing for a while, does nothing, and is of this role. How many there
 * were.
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

/** Ends the backend that took the lease of this token: the former connection of the same run. */
export async function endFormerBackend(sql: Db, token: number): Promise<void> {
  await sql`
    select pg_catalog.pg_terminate_backend(a.pid)
    from rethread.lease l join pg_catalog.pg_stat_activity a on a.pid = l.backend_pid and a.backend_start = l.backend_start
    where l.name = 'writer' and l.token = ${token} and a.pid <> pg_backend_pid()`
}

/** Says that the holder lives. False when the token is no longer ours. */
export async function beat(sql: Db, token: number): Promise<boolean> {
  const result = await sql`
    update rethread.lease set heartbeat = clock_timestamp() where name = 'writer' and token = ${token}`
  return result.count === 1
}

/** Gives the lease back. */
export async function releaseLease(sql: Db, token: number): Promise<void> {
  await sql`
    update rethread.lease
    set holder = null, backend_pid = null, backend_start = null
    where name = 'writer' and token = ${token}`
  await sql`select pg_advisory_unlock(hashtext('rethread'), hashtext('writer'))`
}
