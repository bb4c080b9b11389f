import type { Db } from '../database/types.js'

/** A run as `status` lists it. */
export interface RecentRun {
  id: number
  command: string
  who: string
  /** `killed` for a run that was not closed and has no session any more. */
  outcome: string
  at: string
  seconds: number | null
}

/**
 * Whether a run has a session. Sessions have the run's number in their application_name, which every role may
 * read.
 */
const isAtWork = (sql: Db) => sql`exists (
  select from pg_catalog.pg_stat_activity a
  where a.datname = current_database() and a.application_name = 'rethread writer run ' || r.id::text
)`

/** Sets the application_name of a session that was opened before the run had a number. */
export async function nameSession(sql: Db, application: string): Promise<void> {
  await sql`select pg_catalog.set_config('application_name', ${`rethread ${application}`}, false)`
}

/** The newest runs. One that was not closed and has no session is listed as killed. */
export async function recentRuns(sql: Db, limit: number): Promise<RecentRun[]> {
  return sql<RecentRun[]>`
    select r.id, r.command, r.who,
      case when r.outcome = 'running' and not ${isAtWork(sql)} then 'killed' else r.outcome end as outcome,
      to_char(r.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
      round(extract(epoch from coalesce(r.finished_at, case when ${isAtWork(sql)} then clock_timestamp() end) - r.started_at), 1)::float8 as seconds
    from rethread.runs r
    order by r.id desc
    limit ${limit}`
}

/** Whether a run has a session. */
export async function anyAtWork(sql: Db): Promise<boolean> {
  const [row] = await sql<{ any: boolean }[]>`
    select exists (
      select from pg_catalog.pg_stat_activity a
      where a.datname = current_database() and a.application_name like 'rethread writer run %'
    ) as any`
  return row!.any
}

/** Closes runs that were killed. The caller must hold the lease. */
export async function closeKilledRuns(sql: Db, own: number): Promise<void> {
  await sql`
    update rethread.runs r set outcome = 'killed'
    where r.outcome = 'running' and r.id <> ${own} and not ${isAtWork(sql)}`
}
