import type { Db } from '../database/types.js'
import { withoutLiterals } from '../files/redact.js'
import type { Blocker } from '../model/event.js'

/** Most characters of a blocker's statement to show, and to read before literals are removed. */
const shownCharacters = 100
const readCharacters = 2000

/** Removes the literals from the blockers' statements. */
const redacted = <B extends Blocker>(blockers: B[]): Promise<B[]> =>
  Promise.all(
    blockers.map(async b => ({ ...b, query: (await withoutLiterals(b.query)).slice(0, shownCharacters) })),
  )

/** The transactions that block a backend. */
export async function blockersOf(sql: Db, pid: number): Promise<Blocker[]> {
  const blockers = await sql<Blocker[]>`
    select
      a.pid,
      coalesce(a.application_name, '') as application,
      coalesce(a.state, a.backend_type) as state,
      round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.backend_start)), 1)::float8 as seconds,
      left(coalesce(a.query, ''), ${readCharacters}) as query
    from pg_catalog.pg_stat_activity a
    where a.pid = any (pg_catalog.pg_blocking_pids(${pid}))
    order by a.xact_start nulls last
    limit 5`
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
    select distinct on (a.pid)
      l.relation::regclass::text as table, l.mode, a.pid,
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
    order by a.pid`
  return redacted(holders)
}

/** Progress of an index build by this backend; null if there is none. */
export async function indexProgress(
  sql: Db,
  pid: number,
): Promise<{ name: string; phase: string; done: number; total: number; waitingFor: number | null } | null> {
  const [row] = await sql<
    { name: string; phase: string; done: number; total: number; waitingFor: number | null }[]
  >`
    select
      p.index_relid::regclass::text as name, p.phase,
      greatest(p.blocks_done, p.tuples_done, p.lockers_done)::float8 as done,
      greatest(p.blocks_total, p.tuples_total, p.lockers_total)::float8 as total,
      nullif(p.current_locker_pid, 0)::int as "waitingFor"
    from pg_catalog.pg_stat_progress_create_index p
    where p.pid = ${pid}`
  return row ?? null
}
