import { walPosition } from './trace.js'
import type { Db, Root } from './types.js'
import { savepoint, takenBack, transaction } from './undo.js'

/** Rows that the planner expects of a statement; null where it can't be planned yet. Runs nothing. */
export async function explainedRows(sql: Db, statement: string): Promise<number | null> {
  try {
    const rows = await savepoint(sql)(tx =>
      tx.unsafe<{ 'QUERY PLAN': unknown }[]>(`explain (format json) ${statement}`),
    )
    const told = rows[0]!['QUERY PLAN']
    const [{ Plan }] = (typeof told === 'string' ? JSON.parse(told) : told) as [{ Plan: ExplainNode }]
    // the node that writes tells no rows of its own
    return Math.max(Plan['Plan Rows'], ...(Plan.Plans ?? []).map(p => p['Plan Rows']))
  } catch {
    return null
  }
}

interface ExplainNode {
  'Plan Rows': number
  Plans?: ExplainNode[]
}

/** Rows a second that this backfill has made in this database before; null when it never ran long enough to tell. */
export async function storedRate(sql: Db, track: string, migration: string): Promise<number | null> {
  const [row] = await sql<{ rate: number | null }[]>`
    select (sum(x.rows) / nullif(sum(x.ms), 0) * 1000)::float8 as rate
    from rethread.batches x
    join rethread.backfills b on b.id = x.backfill
    where b.track = ${track} and b.migration = ${migration}
    having sum(x.rows) > 1000`
  return row?.rate ?? null
}

/** Runs one batch and takes it back: rows that it wrote, and bytes of WAL. */
export const sampleBatch = (
  sql: Root,
  statement: string,
  args: string[],
): Promise<{ rows: number; wal: number }> =>
  takenBack(transaction(sql), async tx => {
    const before = await walPosition(tx)
    const rows = (await tx.unsafe(statement, args)).count
    return { rows, wal: (await walPosition(tx)) - before }
  })
