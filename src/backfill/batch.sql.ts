import { sendAlone } from '../database/send_alone.sql.js'
import { type Db, literal } from '../database/types.js'
import { inPages, sleptSql } from './batch_predicate.sql.js'
import type { Range } from './run_backfill.sql.js'

/** The rows that a batch wrote, what it said of them (first column of RETURNING), and how long it rested. */
export interface Batched {
  rows: number
  notices: string[]
  sleptMs: number
}

/** How far a range is: the next position and pass of its window, or the last key of a walk along the key. */
export interface RangePosition {
  cursorPage: number
  cursorKey: string[] | null
  pass: number
  windowPages: number
  done: boolean
}

/**
 * The checkpoint as two parts of a WITH: `moved`, which is empty where another worker has taken the range
 * over, and the note of the batch with the transaction id that proves later which rows nobody has touched
 * since. A batch that wrote no row of its table is noted only where the statement has a WITH, which may have
 * written other rows. `key`, `rows` and `ms` are SQL.
 */
const checkpointSql = (
  range: Range,
  to: RangePosition,
  { key, rows, ms, hasWith }: { key: string; rows: string; ms: string; hasWith: boolean },
): string =>
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
     select backfill, ${literal(range.relation)}, pg_current_xact_id(), rows, ${ms} from moved where rows > 0 or ${hasWith}
   )`

/**
 * The checkpoint, in the batch's own transaction: how far the range is. False when another worker
 * has taken the range over.
 */
export async function checkpoint(
  sql: Db,
  range: Range,
  to: RangePosition & { rows: number; ms: number; hasWith?: boolean },
): Promise<boolean> {
  const [row] = await sql.unsafe<{ moved: number }[]>(
    `with ${checkpointSql(range, to, { key: '$1::text[]', rows: String(to.rows), ms: String(to.ms), hasWith: to.hasWith ?? false })}
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
  /** Its log is on the disk when it ends; standby servers are not waited for. */
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
 * A batch and its checkpoint, in the same words for all batches: a server that keeps statistics by statement
 * counts utility statements by their text, and would forget its other entries over thousands of ours. A
 * statement that says nothing is counted by the server; rows that come back to be counted in a WITH cost an
 * eighth of an insert's speed.
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

/**
 * Where an error arose, as the server gives it, from the inside out, up to the statement of the
 * batch: in whatever language.
 */
export function withoutBatch(where: string, statement: string): string {
  const at = where.lastIndexOf(statement)
  const lastLine = where.lastIndexOf('\n') + 1
  if (at < 0 && !where.includes('inline_code_block', lastLine)) return where
  return where.slice(0, Math.max(0, at < 0 ? lastLine - 1 : where.lastIndexOf('\n', at)))
}

/** A batch that is one with its checkpoint. */
interface CheckpointedBatch {
  statement: string
  /**
   * Whether it returns rows, whose first column, where it is no number, is what the file has to say of them.
   */
  says: boolean
  hasWith: boolean
  range: Range
  /** Where the range is afterwards. */
  to: RangePosition
  limits: Limits
}

/**
 * One batch and its checkpoint in one message, and so one transaction without a round trip in it: row locks
 * are held for as long as the rows take, no longer. Where the range is no longer ours all of it is undone.
 */
export async function runAndCheckpoint(
  sql: Db,
  { statement, says, hasWith, range, to, limits }: CheckpointedBatch,
): Promise<Batched> {
  const ms = 'extract(epoch from clock_timestamp() - statement_timestamp()) * 1000'
  const batch = {
    says,
    statement: says
      ? `with done (said) as (${statement}
         )
         select count(*), array_agg(said::text) filter (where pg_typeof(said) <> 'int'::regtype and said is not null) from done`
      : statement,
    checkpoint: `with ${checkpointSql(range, to, { key: 'null', rows: '$1::bigint', ms, hasWith })} select exists (select from moved)`,
  }
  // a deferred constraint fails at the commit, when what the batch came to has been sent already
  const result = await sendAlone<{ batch: Omit<Batched, 'sleptMs'>; sleptMs: number }>(
    sql,
    `${limitsSql(limits)}
     select pg_catalog.set_config('${atWork}', ${literal(JSON.stringify(batch))}, true);
     ${batchSql};
     select pg_catalog.current_setting('${atWork}')::pg_catalog.jsonb as batch, ${sleptSql} as "sleptMs"`,
  )
  const done = result.flat().at(-1)!
  return { ...done.batch, sleptMs: done.sleptMs }
}

/** Notes a batch outside the ranges: a canary, a sweep, a row taken alone. */
export async function noteBatch(
  sql: Db,
  { backfill, relation, rows, ms }: { backfill: number; relation: string; rows: number; ms: number },
): Promise<void> {
  await sql`
    with noted as (
      insert into rethread.batches (backfill, relation, xid, rows, ms)
      values (${backfill}, ${relation}, pg_current_xact_id(), ${rows}, ${ms})
    )
    update rethread.backfills set rows = rows + ${rows} where id = ${backfill}`
}

/**
 * Reads pages whose last pass has just been committed: what it left dead is pruned, and its rows are marked
 * as committed, while the pages are in memory and changed already. Else the next to read them, after a
 * checkpoint, would do so, and every page would be logged and written once more.
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

/** The last line pointer of a page that holds a row; 0 for an empty one. */
export async function lastItem(sql: Db, table: string, page: number): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select coalesce((max(t.ctid)::text::point)[1], 0)::int as n from only ${table} t where ${inPages('t', page, page + 1)}`,
  )
  return row!.n
}

/** The addresses of the rows within one page that a batch would touch, to take them one by one. */
export async function rowsWithin(
  sql: Db,
  { table, alias, pending }: { table: string; alias: string; pending: string },
  from: number,
  to: number,
): Promise<string[]> {
  const rows = await sql.unsafe<{ tid: string }[]>(
    `select ${alias}.ctid::text as tid from only ${table} ${alias}
     where ${inPages(alias, from, to)} and (${pending})`,
  )
  return rows.map(r => r.tid)
}

/**
 * Transaction ids of a track's batches, as the 32 bits that `xmin` shows: of those that mean something here
 * and now. In a database that was restored from a dump all rows, those of `batches` too, have the ids of the
 * restore, and an id comes again after four billion others.
 */
export const batchXids = `(
  select (b.xid::text::numeric % 4294967296)::bigint
  from rethread.batches b
  join rethread.backfills f on f.id = b.backfill
  where f.track = $1
    and b.xmin::text::numeric = b.xid::text::numeric % 4294967296
    and b.xid::text::numeric > pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric - 4294967296
)`
