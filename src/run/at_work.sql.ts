import type { Db } from '../database/types.js'

/** A run as `status` lists it. */
export interface RecentRun {
  id: number
  command: string
  who: string
  /** `killed` for a run that was not closed and has no living session any more. */
  outcome: string
  at: string
  seconds: number | null
}

/** After this number of seconds in which no session of a run has done anything, its client is gone. */
const silentSeconds = 10

/**
 * A condition on the text of a run's number: the run has a writer, and not all of its sessions are silent.
 * Its monitor does something every second or two, so all are silent only if the server does not know that
 * the client is gone. Their application_name has the number, which every role may read. A session whose state
 * this role may not see counts as awake.
 */
export const livesSql = (run: string): string => `exists (
  select from pg_catalog.pg_stat_activity a
  where a.datname = current_database() and a.application_name like 'rethread % run %'
    and substring(a.application_name from ' run ([0-9]+)$') = ${run}
  having bool_or(a.application_name like 'rethread writer %')
    and bool_or(coalesce(a.state not like 'idle%' or a.state_change > clock_timestamp() - interval '${silentSeconds} s', true))
)`

const isAtWork = livesSql('r.id::text')

/** Sets the application_name of a session that was opened before the run had a number. */
export async function nameSession(sql: Db, application: string): Promise<void> {
  await sql`select pg_catalog.set_config('application_name', ${`rethread ${application}`}, false)`
}

/** The newest runs. One that was not closed and has no living session is listed as killed. */
export async function recentRuns(sql: Db, limit: number): Promise<RecentRun[]> {
  return sql.unsafe<RecentRun[]>(
    `select r.id, r.command, r.who,
      case when r.outcome = 'running' and not ${isAtWork} then 'killed' else r.outcome end as outcome,
      to_char(r.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
      round(extract(epoch from coalesce(r.finished_at, case when ${isAtWork} then clock_timestamp() end) - r.started_at), 1)::float8 as seconds
    from rethread.runs r
    order by r.id desc
    limit $1`,
    [limit],
  )
}

/** Whether a run that was not closed has living sessions. */
export async function anyAtWork(sql: Db): Promise<boolean> {
  const [row] = await sql.unsafe<{ any: boolean }[]>(
    `select exists (select from rethread.runs r where r.outcome = 'running' and ${isAtWork}) as any`,
  )
  return row!.any
}

/** Closes runs that were killed. The caller must hold the lease. */
export async function closeKilledRuns(sql: Db, own: number): Promise<void> {
  await sql.unsafe(
    `update rethread.runs r set outcome = 'killed'
     where r.outcome = 'running' and r.id <> $1 and not ${isAtWork}`,
    [own],
  )
}
