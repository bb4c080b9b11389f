import { inPages, sleptSql } from './slice.js'
import { type Db, literal } from './types.js'

/** A backfill as the state tables know it. */
export interface BackfillRow {
  id: number
  track: string
  migration: string
  state: 'running' | 'paused' | 'done'
  passes: number
  rows: number
  /** Seconds since it began while it runs, else the seconds that were worked. */
  seconds: number
  /** Why it is slow or waits, as its last run said. */
  advice: string | null
  ranges: number
  rangesDone: number
  batches: number
  quarantined: number
  /** Units counted at the end, their rows and the order-free hash of their content; 0 units when they were not. */
  countedUnits: number
  countedRows: number
  countedHash: string
  /** Pages finished and pages in all, for progress. */
  pagesDone: number
  pages: number
}

/** The newest backfill of a migration, with its sums; of all migrations without a name. */
export async function readBackfills(
  sql: Db,
  track: string,
  migration: string | null,
): Promise<BackfillRow[]> {
  return sql<BackfillRow[]>`
    select distinct on (b.migration)
      b.id, b.track, b.migration, b.passes,
      case when b.state = 'running' and exists (select from rethread.pauses p where p.track = b.track)
        then 'paused' else b.state end as state, b.rows + r.rows as rows, b.advice,
      case when b.seconds = 0 and b.state <> 'done' then extract(epoch from clock_timestamp() - b.started_at)::float8 else b.seconds end as seconds,
      t.units as "countedUnits", t.rows as "countedRows", t.hash as "countedHash",
      r.ranges, r.done as "rangesDone", r.pages::float8 as pages, r.pages_done::float8 as "pagesDone",
      (select count(*)::int from rethread.batches x where x.backfill = b.id) as batches,
      (select count(*)::int from rethread_archive.quarantine q
        where q.track = b.track and q.migration = b.migration) as quarantined
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

/** Opens the backfill of a migration and cuts its heaps in ranges; an open one is taken up as it stands. */
export async function openBackfill(
  sql: Db,
  spec: { track: string; migration: string; passes: number; systemIdentifier: string | null },
  heaps: { relation: string; pages: number }[],
  rangePages: number,
): Promise<number> {
  const [made] = await sql<{ id: number }[]>`
    insert into rethread.backfills (track, migration, passes, system_identifier)
    values (${spec.track}, ${spec.migration}, ${spec.passes}, ${spec.systemIdentifier})
    on conflict (track, migration) where state <> 'done' do nothing
    returning id`
  if (!made) {
    const [open] = await sql<{ id: number }[]>`
      select id from rethread.backfills
      where track = ${spec.track} and migration = ${spec.migration} and state <> 'done'`
    return open!.id
  }
  for (const heap of heaps) {
    await sql`
      insert into rethread.ranges (backfill, relation, from_page, to_page, cursor_page)
      select ${made.id}, ${heap.relation}, p, least(p + ${rangePages}, ${heap.pages}), p
      from generate_series(0, ${heap.pages}::bigint - 1, ${rangePages}::bigint) p`
  }
  return made.id
}

/** A range as a worker holds it. */
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

/** A range that may be claimed: nobody has it, or the backend that had it is gone. */
const claimable = `(
  n.state = 'pending'
  or n.state = 'claimed' and not exists (
    select from pg_catalog.pg_stat_activity a
    where a.pid = n.backend_pid and coalesce(a.backend_start, n.backend_start) = n.backend_start and a.pid <> pg_backend_pid()
  )
)`

/**
 * Claims the next range, with a new number: whatever a former claimant still sends carries the old one and is refused.
 * SKIP LOCKED is right on ranges; on data rows it would lose them (pitfall P56).
 */
export async function claimRange(sql: Db, backfill: number): Promise<Range | null> {
  const [row] = await sql.unsafe<Range[]>(
    `update rethread.ranges g
     set state = 'claimed', claim = nextval('rethread.claims'), attempts = attempts + 1,
         backend_pid = me.pid, backend_start = me.backend_start
     from (select pid, backend_start from pg_catalog.pg_stat_activity where pid = pg_backend_pid()) me
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

/** Ranges that other backends are still at work on. */
export async function rangesElsewhere(sql: Db, backfill: number): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n from rethread.ranges where backfill = ${backfill} and state = 'claimed'`
  return row!.n
}

/** Keeps the present advice for `--status`, which another process asks for. */
export async function noteAdvice(sql: Db, backfill: number, advice: string | null): Promise<void> {
  await sql`update rethread.backfills set advice = ${advice} where id = ${backfill} and advice is distinct from ${advice}`
}

/** How far a range is: the next position and pass of its window, or the last key of a walk along the key. */
export interface Standing {
  cursorPage: number
  cursorKey: string[] | null
  pass: number
  windowPages: number
  done: boolean
}

/**
 * The checkpoint as two parts of a WITH: `moved`, which is empty where another worker has taken the range over, and the
 * note of the batch with the transaction id that proves later which rows nobody has touched since (decision 15).
 * `key`, `rows` and `ms` are SQL.
 */
const checkpointSql = (range: Range, to: Standing, key: string, rows: string, ms: string): string =>
  `moved as (
     update rethread.ranges g
     set cursor_page = ${to.cursorPage}, cursor_key = ${key}, pass = ${to.pass}, window_pages = ${to.windowPages},
         state = '${to.done ? 'done' : 'claimed'}', rows = g.rows + n.rows
     from (select ${rows} as rows) n
     where g.id = ${range.id} and g.claim = ${range.claim} and g.state = 'claimed'
     returning g.backfill, n.rows
   ),
   noted as (
     insert into rethread.batches (backfill, relation, xid, rows, ms)
     select backfill, ${literal(range.relation)}, pg_current_xact_id(), rows, ${ms} from moved where rows > 0
   )`

/** The checkpoint, in the batch's own transaction: where the range stands. False when another worker has taken the range over. */
export async function checkpoint(
  sql: Db,
  range: Range,
  to: Standing & { rows: number; ms: number },
): Promise<boolean> {
  const [row] = await sql.unsafe<{ moved: number }[]>(
    `with ${checkpointSql(range, to, '$1::text[]', String(to.rows), String(to.ms))}
     select count(*)::int as moved from moved`,
    [to.cursorKey],
  )
  return row!.moved === 1
}

/** The error of a batch that is one with its checkpoint, when another worker has taken its range over. */
const takenOver = 'RT001'

/** True for the error of a batch whose range another worker has taken over. */
export const isFenced = (fault: { code?: string } | null): boolean => fault?.code === takenOver

/** What holds for the transaction of one batch. */
export interface Limits {
  /** How long it may take, in milliseconds, before it gives its rows back; null for as long as it takes. */
  mostMs: number | null
  /** Its log is on the disk when it ends; where other servers stand by, they are not waited for. */
  flushed: boolean
}
/** For as long as it takes, its log flushed by whoever comes next. */
export const unlimited: Limits = { mostMs: null, flushed: false }

const limitsSql = ({ mostMs, flushed }: Limits): string =>
  [
    ...(mostMs === null ? [] : [`set local statement_timeout = ${Math.round(mostMs)};`]),
    ...(flushed ? ['set local synchronous_commit = local;'] : []),
  ].join('\n')

/** Where a transaction keeps its batch: what to run, then what came of it. */
const atWork = 'rethread.batch_at_work'

/**
 * A batch and its checkpoint, in the same words for all batches: a server that keeps statistics by statement counts utility
 * statements by their text, and would forget its other entries over thousands of ours. A statement that says nothing is
 * counted by the server; rows that come back to be counted in a WITH cost an eighth of an insert's speed.
 */
const batchSql = `do $batch$
declare
  batch constant pg_catalog.jsonb := pg_catalog.current_setting('${atWork}');
  written bigint;
  said text[];
  held boolean;
begin
  if (batch -> 'says')::boolean then
    execute batch ->> 'statement' into written, said;
  else
    execute batch ->> 'statement';
    get diagnostics written = row_count;
  end if;
  execute batch ->> 'checkpoint' into held using written;
  if not held then
    raise exception using errcode = '${takenOver}', message = 'its range was taken over';
  end if;
  perform pg_catalog.set_config('${atWork}', pg_catalog.jsonb_build_object('rows', written, 'notices', coalesce(said, '{}'))::text, true);
end
$batch$`

/** Where an error arose, as the server tells it from the inside out, up to the statement of the batch: in whatever language. */
export function withoutBatch(where: string, statement: string): string {
  const at = where.lastIndexOf(statement)
  const lastLine = where.lastIndexOf('\n') + 1
  if (at < 0 && !where.includes('inline_code_block', lastLine)) return where
  return where.slice(0, Math.max(0, at < 0 ? lastLine - 1 : where.lastIndexOf('\n', at)))
}

/**
 * One batch and its checkpoint in one message, and so one transaction without a round trip in it: row locks are held for
 * as long as the rows take, no longer. Where the range is no longer ours all of it is undone. `says`: the statement
 * returns rows, whose first column, where it is no number, is what the file has to say of them.
 */
export async function runAndCheckpoint(
  sql: Db,
  statement: string,
  says: boolean,
  range: Range,
  to: Standing,
  limits: Limits,
): Promise<Batched> {
  const ms = 'extract(epoch from clock_timestamp() - statement_timestamp()) * 1000'
  const batch = {
    says,
    statement: says
      ? `with done (said) as (${statement}
         )
         select count(*), array_agg(said::text) filter (where pg_typeof(said) <> 'int'::regtype and said is not null) from done`
      : statement,
    checkpoint: `with ${checkpointSql(range, to, 'null', '$1::bigint', ms)} select exists (select from moved)`,
  }
  const result = await sql.unsafe<{ batch: Omit<Batched, 'sleptMs'>; sleptMs: number }[]>(
    `${limitsSql(limits)}
     select pg_catalog.set_config('${atWork}', ${literal(JSON.stringify(batch))}, true);
     ${batchSql};
     select pg_catalog.current_setting('${atWork}')::pg_catalog.jsonb as batch, ${sleptSql} as "sleptMs"`,
  )
  const done = result.flat().at(-1)!
  return { ...done.batch, sleptMs: done.sleptMs }
}

/** Notes a batch that stands outside the ranges: a canary, a sweep, a row taken alone. */
export async function noteBatch(
  sql: Db,
  backfill: number,
  relation: string,
  rows: number,
  ms: number,
): Promise<void> {
  await sql`
    with noted as (
      insert into rethread.batches (backfill, relation, xid, rows, ms)
      values (${backfill}, ${relation}, pg_current_xact_id(), ${rows}, ${ms})
    )
    update rethread.backfills set rows = rows + ${rows} where id = ${backfill}`
}

/** Starts all ranges again, for a further pass of the closing sweep. Rows written are kept in the sum. */
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

/** Lets the last range of each heap reach the heap's present end. */
export async function extendRanges(
  sql: Db,
  backfill: number,
  heaps: { relation: string; pages: number }[],
  rangePages: number,
): Promise<void> {
  for (const heap of heaps) {
    await sql`
      insert into rethread.ranges (backfill, relation, from_page, to_page, cursor_page)
      select ${backfill}, ${heap.relation}, p, least(p + ${rangePages}, ${heap.pages}), p
      from (
        select coalesce(max(to_page), 0) as reached from rethread.ranges
        where backfill = ${backfill} and relation = ${heap.relation}
      ) r
      cross join lateral generate_series(r.reached, ${heap.pages}::bigint - 1, ${rangePages}::bigint) p`
  }
}

/** Adds time spent, or closes the backfill. */
export async function updateBackfill(
  sql: Db,
  backfill: number,
  seconds: number,
  state: 'running' | 'done',
): Promise<void> {
  await sql`
    update rethread.backfills
    set seconds = seconds + ${seconds},
        state = ${state},
        finished_at = case when ${state} = 'done' then clock_timestamp() end
    where id = ${backfill}`
}

/** Closes what is open of a migration that is rolled back, so that the next run starts from the first page. */
export async function closeBackfill(sql: Db, track: string, migration: string): Promise<void> {
  await sql`
    update rethread.backfills set state = 'done', finished_at = clock_timestamp()
    where track = ${track} and migration = ${migration} and state <> 'done'`
}

/** Sets or lifts the pause of a track's backfills; true when that changed anything. */
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

/** The rows that a batch wrote, what it said of them (first column of RETURNING), and how long it rested. */
export interface Batched {
  rows: number
  notices: string[]
  sleptMs: number
}

/**
 * Reads pages whose last pass has just been committed: what it left dead is pruned, and its rows are marked as committed,
 * while the pages are in memory and changed already. Else the next to read them, after a checkpoint, would do so,
 * and every page would be logged and written once more.
 */
export async function readOnceMore(sql: Db, relation: string, from: number, to: number): Promise<void> {
  await sql.unsafe(`select count(*) from only ${relation} t where ${inPages('t', from, to)}`)
}

/** Runs one batch, in a transaction. One after the other in one go: no round trip between them. */
export async function runBatch(sql: Db, statement: string, args: string[], limits: Limits): Promise<Batched> {
  const limited = limitsSql(limits)
  const [, result, [rest]] = await Promise.all([
    limited === '' ? null : sql.unsafe(limited),
    sql.unsafe<Record<string, string | null>[]>(statement, args),
    sql.unsafe<{ ms: number }[]>(`select ${sleptSql} as ms`),
  ])
  const notices = result.map(row => Object.values(row)[0]).filter((v): v is string => typeof v === 'string')
  return { rows: result.count, notices, sleptMs: rest!.ms }
}

/** The addresses of the rows within one page that a batch would touch, to take them one by one. */
export async function rowsWithin(
  sql: Db,
  table: string,
  alias: string,
  pending: string,
  from: number,
  to: number,
): Promise<string[]> {
  const rows = await sql.unsafe<{ tid: string }[]>(
    `select ${alias}.ctid::text as tid from only ${table} ${alias}
     where ${inPages(alias, from, to)} and (${pending})`,
  )
  return rows.map(r => r.tid)
}

/** Brings the planner's statistics up to date after a bulk change (pitfall P65). */
export async function analyze(sql: Db, table: string): Promise<void> {
  await sql.unsafe(`analyze ${table}`)
}
