import type { Db } from '../database/types.js'

/** The writer's lease as it stands. */
interface LeaseRow {
  token: number
  holder: string | null
  backendPid: number | null
  /** Whether the backend that took it is still there. */
  alive: boolean
  heartbeatAge: number | null
}

/**
 * Who holds the lease. A backend is the same only with the same pid and the same start time; the start of
 * another role's backend is hidden from us, and then it counts as alive.
 */
export async function readLease(sql: Db): Promise<LeaseRow> {
  const [row] = await sql<LeaseRow[]>`
    select
      l.token, l.holder, l.backend_pid as "backendPid",
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
 * would wait for whoever waits.
 */
export async function takeLease(sql: Db, holder: string): Promise<number | null> {
  const [row] = await sql<{ token: number }[]>`
    with me as (
      select pid, backend_start from pg_catalog.pg_stat_activity where pid = pg_backend_pid()
    )
    update rethread.lease l
    set token = l.token + 1, holder = ${holder},
        backend_pid = me.pid, backend_start = me.backend_start, heartbeat = clock_timestamp()
    from me
    where l.name = 'writer'
      and not exists (
        select from pg_catalog.pg_stat_activity a
        where a.pid = l.backend_pid and coalesce(a.backend_start, l.backend_start) = l.backend_start and a.pid <> me.pid
      )
      and pg_try_advisory_lock(hashtext('rethread'), hashtext('writer'))
    returning l.token`
  return row?.token ?? null
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
