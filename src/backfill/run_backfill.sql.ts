import { relationExists } from '../database/catalog.sql.js'
import type { Db } from '../database/types.js'
import { livesSql } from '../run/at_work.sql.js'
import { forgetFailed } from './failed_rows.sql.js'
import type { Pace } from './pace.js'

/**
 * A backfill in the state tables. Its states and their transitions:
 *
 *   running -> done      a sweep found no pending row, except quarantined ones
 *           -> failed    rows are left without a reason, or too many rows failed
 *           -> running   interrupted, paused or killed: the next run continues from the checkpoints
 *   failed  -> running   the same command is run again
 *   done    -> running   there are new pending rows (it is reopened, with its counts), or it was rolled back
 *                        and is applied again (a new row)
 *
 * `paused` is `running` while `rethread.pauses` has a row for the track. A range goes pending -> claimed ->
 * done, and back to pending when the walk is repeated. The states of one row are in `failed_rows.ts`.
 */
export interface BackfillRow {
  id: number
  track: string
  migration: string
  state: 'running' | 'paused' | 'failed' | 'done'
  passes: number
  rows: number
  /** Seconds since it began while it runs, else the seconds of work. */
  seconds: number
  /** Why it is slow or waits, as its last run reported. */
  advice: string | null
  /** The pace of the current or last invocation; null before the first report. */
  pace: Pace | null
  ranges: number
  rangesDone: number
  batches: number
  /** Rows that were quarantined with a reason. */
  quarantined: number
  /** Rows that failed. */
  failed: number
  /**
   * Units that were counted at the end; 0 if they were not. `countedRows` and the hash are of their content.
   */
  countedUnits: number
  countedRows: number
  countedHash: string
  /** Finished pages, and all pages. */
  pagesDone: number
  pages: number
}

/** The newest backfill of a migration, with its sums. Without a name, of all migrations. */
export async function readBackfills(
  sql: Db,
  track: string,
  migration: string | null,
): Promise<BackfillRow[]> {
  // a ledger of an older version has no list of failed rows
  const failedColumn = (await relationExists(sql, 'rethread_archive.failed_rows'))
    ? sql`(select count(*)::int from rethread_archive.failed_rows f
        where f.track = b.track and f.migration = b.migration)`
    : sql`0`
  return sql<BackfillRow[]>`
    select distinct on (b.migration)
      b.id, b.track, b.migration, b.passes,
      case when b.state = 'running' and exists (select from rethread.pauses p where p.track = b.track)
        then 'paused' else b.state end as state, b.rows + r.rows as rows, b.advice,
      -- a ledger of an older version has no such column
      case when b.state = 'running' then to_jsonb(b) -> 'pace' end as pace,
      case when b.seconds = 0 and b.state <> 'done' then extract(epoch from clock_timestamp() - b.started_at)::float8 else b.seconds end as seconds,
      t.units as "countedUnits", t.rows as "countedRows", t.hash as "countedHash",
      r.ranges, r.done as "rangesDone", r.pages::float8 as pages, r.pages_done::float8 as "pagesDone",
      (select count(*)::int from rethread.batches x where x.backfill = b.id) as batches,
      (select count(*)::int from rethread_archive.quarantine q
        where q.track = b.track and q.migration = b.migration) as quarantined,
      ${failedColumn} as failed
    from rethread.backfills b
    cross join lateral (
      select
        count(*)::int as ranges,
        count(*) filter (where g.state = 'done')::int as done,
        coalesce(sum(g.rows), 0)::bigint as rows,
        coalesce(sum(g.to_page - g.from_page), 0) as pages,
        coalesce(sum(case when g.state = 'done' then g.to_page - g.from_page else g.cursor_page - g.from_page end), 0) as pages_done
      from rethread.ranges g
      where g.backfill = b.id
    ) r
    cross join lateral (
      select count(*)::int as units, coalesce(sum(x.rows), 0)::bigint as rows, lpad(to_hex(coalesce(bit_xor(x.hash), 0)), 16, '0') as hash
      from rethread.tallies x
      where x.backfill = b.id and x.kind = 'unit'
    ) t
    where b.track = ${track} and (${migration}::text is null or b.migration = ${migration})
    order by b.migration, b.id desc`
}

/**
 * Opens the backfill of a migration and divides its heaps into ranges. An open one is continued. One that was
 * done and has pending rows again keeps its ranges and counts, and only the sweep looks for the rows.
 */
export async function openBackfill(
  sql: Db,
  spec: {
    track: string
    migration: string
    passes: number
    reopened: boolean
  },
  heaps: { relation: string; pages: number }[],
  leastPages: number,
): Promise<number> {
  const [open] = await sql<{ id: number }[]>`
    update rethread.backfills set state = 'running', finished_at = null
    where id = (
      select id from rethread.backfills
      where track = ${spec.track} and migration = ${spec.migration}
      order by id desc limit 1
    ) and (state <> 'done' or ${spec.reopened})
    returning id`
  if (open) return open.id
  const [made] = await sql<{ id: number }[]>`
    insert into rethread.backfills (track, migration, passes)
    values (${spec.track}, ${spec.migration}, ${spec.passes})
    returning id`
  await createRanges(sql, made!.id, heaps, leastPages)
  return made!.id
}

/** Most pages of a range, the part that a worker claims: 16 MB. */
export const rangePages = 2048
/**
 * Divides what no range covers yet of each heap, up to its current end. Ranges become shorter towards the
 * end, so that workers finish together: an eighth of what is left, but at least `leastPages`.
 */
export async function createRanges(
  sql: Db,
  backfill: number,
  heaps: { relation: string; pages: number }[],
  leastPages: number,
): Promise<void> {
  for (const { relation, pages } of heaps) {
    await sql`
      insert into rethread.ranges (backfill, relation, from_page, to_page, cursor_page)
      with recursive cut (from_page, to_page) as (
        select null::bigint, coalesce(max(to_page), 0) from rethread.ranges
        where backfill = ${backfill} and relation = ${relation}
        union all
        select to_page, least(
          ${pages}::bigint,
          to_page + greatest(${leastPages}, least(${rangePages}, (${pages}::bigint - to_page) / 8))
        )
        from cut where to_page < ${pages}::bigint
      )
      select ${backfill}, ${relation}, from_page, to_page, from_page from cut where from_page is not null order by from_page`
  }
}

/** A range that a worker has claimed. */
export interface Range {
  id: number
  claim: number
  relation: string
  toPage: number
  cursorPage: number
  cursorKey: string[] | null
  pass: number
  windowPages: number
}

/**
 * A range that may be claimed: nobody has it, or the backend that had it is gone. The backend is looked up by
 * its pid, because reading all of pg_stat_activity made a claim take 3 ms instead of 1.
 */
const claimable = `(
  n.state = 'pending'
  or n.state = 'claimed' and not exists (
    select from pg_catalog.pg_stat_get_activity(n.backend_pid) a
    where a.pid = n.backend_pid and coalesce(a.backend_start, n.backend_start) = n.backend_start and a.pid <> pg_backend_pid()
  )
)`

/**
 * Claims the next range under a new number. Requests of an earlier claimant have the old number and are
 * refused. SKIP LOCKED is right for ranges; for rows of data it would skip some.
 */
export async function claimRange(sql: Db, backfill: number): Promise<Range | null> {
  const [row] = await sql.unsafe<Range[]>(
    `update rethread.ranges g
     set state = 'claimed', claim = nextval('rethread.claims'), attempts = attempts + 1,
         backend_pid = me.pid, backend_start = me.backend_start
     from pg_catalog.pg_stat_get_activity(pg_backend_pid()) me
     where g.id = (
       select n.id from rethread.ranges n
       where n.backfill = $1 and ${claimable}
       order by n.id
       limit 1
       for update skip locked
     )
     returning g.id, g.claim, g.relation, g.to_page as "toPage", g.cursor_page as "cursorPage", g.cursor_key as "cursorKey", g.pass,
       g.window_pages as "windowPages"`,
    [backfill],
  )
  return row ?? null
}

/** Number of ranges that other backends still process. */
export async function rangesElsewhere(sql: Db, backfill: number): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from rethread.ranges where backfill = ${backfill} and state = 'claimed'`
  return row!.n
}

/**
 * Gives back ranges whose claimant works no more although its session is still there: a pooler keeps it for
 * others, or the server does not know that its client is gone. At work are sessions `pids` of this run, and
 * workers of another run that lives.
 */
export async function freeRanges(
  sql: Db,
  backfill: number,
  { run, pids }: { run: number; pids: Iterable<number> },
): Promise<void> {
  await sql.unsafe(
    `update rethread.ranges n set state = 'pending'
     where n.backfill = $1 and n.state = 'claimed' and not n.backend_pid = any ($2::int[])
       and not exists (
         select from pg_catalog.pg_stat_activity w
         where w.pid = n.backend_pid and w.application_name like 'rethread worker run %' and w.application_name <> $3
           and ${livesSql("substring(w.application_name from '[0-9]+$')")})`,
    [backfill, `{${[...pids].join(',')}}`, `rethread worker run ${run}`],
  )
}

/** Stores the current advice and pace, which `status` reads in another process. */
export async function notePace(sql: Db, backfill: number, advice: string | null, pace: Pace): Promise<void> {
  await sql`update rethread.backfills set advice = ${advice}, pace = ${sql.json(pace as never)} where id = ${backfill}`
}

/** Resets all ranges for another pass of the closing sweep. The sum of rows written is kept. */
export async function resetRanges(sql: Db, backfill: number): Promise<void> {
  await sql`
    with old as (
      select coalesce(sum(rows), 0) as rows from rethread.ranges where backfill = ${backfill}
    ),
    reset as (
      update rethread.ranges
      set state = 'pending', cursor_page = from_page, cursor_key = null, pass = 0, window_pages = 0, claim = null, rows = 0
      where backfill = ${backfill}
    )
    update rethread.backfills b set rows = b.rows + old.rows from old where b.id = ${backfill}`
}

/** Adds time that was spent, or closes the backfill. */
export async function updateBackfill(
  sql: Db,
  backfill: number,
  seconds: number,
  state: 'running' | 'failed' | 'done',
): Promise<void> {
  await sql`
    update rethread.backfills
    set seconds = seconds + ${seconds},
        state = ${state},
        finished_at = case when ${state} = 'done' then clock_timestamp() end
    where id = ${backfill}`
}

/** Closes an open backfill of a migration that is rolled back. The next run starts from the first page. */
export async function closeBackfill(sql: Db, track: string, migration: string): Promise<void> {
  await sql`
    update rethread.backfills set state = 'done', finished_at = clock_timestamp()
    where track = ${track} and migration = ${migration} and state <> 'done'`
  await forgetFailed(sql, track, migration)
}

/** Pauses or resumes the backfills of a track. Returns true if that changed anything. */
export async function pauseBackfills(sql: Db, track: string, pause: boolean): Promise<boolean> {
  const result = pause
    ? await sql`insert into rethread.pauses (track) values (${track}) on conflict do nothing`
    : await sql`delete from rethread.pauses where track = ${track}`
  return result.count > 0
}

/** Whether an operator has paused the backfills of a track. */
export async function isPaused(sql: Db, track: string): Promise<boolean> {
  const [row] = await sql<{ paused: boolean }[]>`
    select exists (select from rethread.pauses where track = ${track}) as paused`
  return row!.paused
}

/** Updates the planner's statistics after a bulk change. */
export async function analyze(sql: Db, table: string): Promise<void> {
  await sql.unsafe(`analyze ${table}`)
}

/** Whether a table has no rows. */
export async function isEmpty(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql.unsafe<{ empty: boolean }[]>(`select not exists (select from ${table}) as empty`)
  return row!.empty
}
