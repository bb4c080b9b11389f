import { hasWholeRowIndex } from '../database/create_like.sql.js'
import { queryPlan } from '../database/query_plan.sql.js'
import { savepoint, takenBack, transaction } from '../database/scopes.js'
import { type Db, ident, type Root } from '../database/types.js'
import { walPosition } from '../run/lock_trace.sql.js'

/**
 * The planner's estimate of the rows that satisfy a condition. Runs nothing. An error, for example if it
 * cannot be planned yet, is rolled back to a savepoint. It plans a SELECT, because planning the statement
 * that writes would take a writer's lock.
 */
export async function expectedRows(
  sql: Db,
  { table, pending }: { table: string; pending: string },
  alias: string,
): Promise<number> {
  const plan = await savepoint(sql)(tx => queryPlan(tx, `select from ${table} ${alias} where (${pending})`))
  return plan['Plan Rows']
}

/**
 * Rows per second of earlier runs of this backfill in this database, including rests inside its batches. Null
 * if it never ran long enough.
 */
export async function storedRate(sql: Db, track: string, migration: string): Promise<number | null> {
  const [row] = await sql<{ rate: number | null }[]>`
    select (sum(x.rows) / nullif(sum(x.ms), 0) * 1000)::float8 as rate
    from rethread.batches x
    join rethread.backfills b on b.id = x.backfill
    where b.track = ${track} and b.migration = ${migration}
    having sum(x.rows) > 1000`
  return row?.rate ?? null
}

/** The cost of a batch that was run and rolled back. */
export interface BatchCost {
  rows: number
  /** Bytes of WAL. */
  wal: number
  /** The part of its time for finding rows and values, from 0 to 1. Null if that was not measured. */
  reading: number | null
}

/** Runs one batch and rolls it back. With `split`, EXPLAIN ANALYZE measures how much of it was reading. */
export const sampleBatch = (sql: Root, statement: string, split: boolean): Promise<BatchCost> =>
  takenBack(transaction(sql), async tx => {
    const before = await walPosition(tx)
    const ran = await tx.unsafe<{ 'QUERY PLAN': string }[]>(
      split ? `explain (analyze, buffers off) ${statement}` : statement,
    )
    const wal = (await walPosition(tx)) - before
    return split
      ? { ...explainedCost(ran.map(r => r['QUERY PLAN'])), wal }
      : { rows: ran.count, wal, reading: null }
  })

/** Rows written and the share of reading, from the output of EXPLAIN ANALYZE. */
function explainedCost(lines: string[]): Omit<BatchCost, 'wal'> {
  const nodes = lines.flatMap(line => {
    const found = /actual time=[\d.]+\.\.([\d.]+) rows=([\d.]+)/.exec(line)
    return found ? [{ ms: Number(found[1]), rows: Number(found[2]) }] : []
  })
  const whole = lines.map(l => /^Execution Time: ([\d.]+) ms/.exec(l)?.[1]).find(Boolean)
  const reads = nodes[1]
  return reads && whole
    ? { rows: reads.rows, reading: Math.min(1, reads.ms / Number(whole)) }
    : { rows: 0, reading: null }
}

/**
 * Compares an update that stays on its page (HOT: no new page, no index entries) with one that does not, as
 * shares of time and WAL. Measured on two copies of a few pages, one with free space and one without, in a
 * transaction that is rolled back. A batch that is rolled back leaves no free space, so batches cannot show
 * it.
 */
export const sampleRoom = (
  sql: Root,
  relation: string,
  pages: [string, string],
  columns: string[],
  now: () => number,
): Promise<{ ms: number; wal: number }> =>
  takenBack(transaction(sql), async tx => {
    // with such an index no update is HOT, and it cannot be copied
    if (await hasWholeRowIndex(tx, relation)) return { ms: 1, wal: 1 }
    const update = async (copy: string, room: number) => {
      await tx.unsafe(
        `create table ${copy} (like ${relation} including indexes including storage) with (fillfactor = ${room}, autovacuum_enabled = off)`,
      )
      await tx.unsafe(
        `insert into ${copy} select * from only ${relation} where ctid >= $1::tid and ctid < $2::tid`,
        pages,
      )
      const before = await walPosition(tx)
      const start = now()
      await tx.unsafe(`update ${copy} set ${columns.map(c => `${ident(c)} = ${ident(c)}`).join(', ')}`)
      return { ms: now() - start, wal: (await walPosition(tx)) - before }
    }
    const moved = await update('rethread_without_room', 100)
    const stayed = await update('rethread_with_room', 40)
    return { ms: Math.min(1, stayed.ms / moved.ms), wal: Math.min(1, stayed.wal / moved.wal) }
  })
