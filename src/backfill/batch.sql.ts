import { sendAlone } from '../database/send_alone.sql.js'
import { type Db, literal } from '../database/types.js'
import { inPages, sleptSql } from './batch_predicate.sql.js'
import type { Range } from './run_backfill.sql.js'

/**
 * The result of a batch: rows that it wrote, what it returned (first column of RETURNING), and its rests in
 * milliseconds.
 */
export interface Batched {
  rows: number
  notices: string[]
  sleptMs: number
}

/** The position in a range: the next page and pass of its window, or the last key of a walk along the key. */
export interface RangePosition {
  cursorPage: number
  cursorKey: string[] | null
  pass: number
  windowPages: number
  done: boolean
}

/**
 * The checkpoint as two parts of a WITH. `moved` is empty if another worker has taken the range over. The
 * other part records the batch with its transaction id, which later shows which rows nobody has changed
 * since. A batch that wrote no row is only recorded if its statement has a WITH, which may have written other
 * rows. `key`, `rows` and `ms` are SQL.
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
 * Stores the position in the range, in the batch's own transaction. Returns false if another worker has taken
 * the range over.
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

/** SQLSTATE that a batch with its checkpoint raises if another worker has taken its range over. */
const takenOver = 'RT001'

/** True for the error of a batch whose range another worker has taken over. */
export const isFenced = (fault: { code?: string } | null): boolean => fault?.code === takenOver

/** Limits of the transaction of one batch. */
export interface Limits {
  /** Time limit in milliseconds; null for none. A batch that exceeds it is rolled back. */
  mostMs: number | null
  /** True if the commit waits until its WAL is on disk. It never waits for standby servers. */
  flushed: boolean
}
/** No time limit, and no wait for the WAL. */
export const unlimited: Limits = { mostMs: null, flushed: false }

const limitsSql = ({ mostMs, flushed }: Limits): string =>
  [
    ...(mostMs === null ? [] : [`set local statement_timeout = ${Math.round(mostMs)};`]),
    ...(flushed ? ['set local synchronous_commit = local;'] : []),
  ].join('\n')

/** The setting that passes a batch to the server, and its result back. */
const atWork = 'rethread.batch_at_work'

/**
 * Runs a batch and its checkpoint. The text is the same for all batches, because pg_stat_statements has an
 * entry for each text of a utility statement, and thousands of texts would replace its other entries. The
 * server counts the rows of a statement without RETURNING. Counting them in a WITH would make an INSERT one
 * eighth slower.
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
 * The server's CONTEXT of an error, without the lines of the batch around the statement. It does not depend
 * on the language of the messages.
 */
export function withoutBatch(where: string, statement: string): string {
  const at = where.lastIndexOf(statement)
  const lastLine = where.lastIndexOf('\n') + 1
  if (at < 0 && !where.includes('inline_code_block', lastLine)) return where
  return where.slice(0, Math.max(0, at < 0 ? lastLine - 1 : where.lastIndexOf('\n', at)))
}

/** A batch that is sent together with its checkpoint. */
interface CheckpointedBatch {
  statement: string
  /** True if it has RETURNING. A first column that is no number is a message of the file. */
  says: boolean
  hasWith: boolean
  range: Range
  /** The position in the range afterwards. */
  to: RangePosition
  limits: Limits
}

/**
 * Sends a batch and its checkpoint in one message, as one transaction without round trips. Row locks are held
 * only while the statement runs. If another worker has taken the range over, everything is rolled back.
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
  // a deferred constraint fails at commit, after the batch has returned its result
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

/** Records a batch outside of the ranges: of a canary or a sweep, or of a single row. */
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
 * Reads pages whose last pass was just committed. This prunes dead rows and sets hint bits while the pages
 * are in memory and already changed. Otherwise the next reader would do it after a checkpoint, and every page
 * would be logged and written again.
 */
export async function readOnceMore(sql: Db, relation: string, from: number, to: number): Promise<void> {
  await sql.unsafe(`select count(*) from only ${relation} t where ${inPages('t', from, to)}`)
}

/** Runs one batch in a transaction. Its statements are sent together, without round trips in between. */
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

/** The number of the last line pointer of a page that has a row; 0 for an empty page. */
export async function lastItem(sql: Db, table: string, page: number): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select coalesce((max(t.ctid)::text::point)[1], 0)::int as n from only ${table} t where ${inPages('t', page, page + 1)}`,
  )
  return row!.n
}

/** The addresses (ctid) of the rows in a page that a batch would write, to process them one by one. */
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
 * Transaction ids of a track's batches, as the 32 bits that `xmin` shows. Ids of another server or epoch are
 * left out. After a restore from a dump all rows have the ids of the restore, and ids repeat after four
 * billion transactions.
 */
export const batchXids = `(
  select (b.xid::text::numeric % 4294967296)::bigint
  from rethread.batches b
  join rethread.backfills f on f.id = b.backfill
  where f.track = $1
    and b.xmin::text::numeric = b.xid::text::numeric % 4294967296
    and b.xid::text::numeric > pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::numeric - 4294967296
)`
