import { batchXids } from '../backfill/batch.sql.js'
import type { Db } from '../database/types.js'
import { inStretch, type Stretch, sameKey, type TableMerge } from './restore.sql.js'

/**
 * Deletes unchanged rows that a migrate before this restore made because the archived ones were missing. The
 * track's predicate identifies them after the archive is restored. A row that is in the archive was there
 * beside the others before.
 */
export async function removeSuperseded(sql: Db, m: TableMerge, superseded: string): Promise<number> {
  const result = await sql.unsafe(
    `delete from ${m.table}
     where (${m.ours ?? 'false'}) and (${superseded})
       and not exists (select from ${m.storedAs} a where ${sameKey(m.key, m.table, 'a')})
       and ${m.table}.xmin::text::bigint in ${batchXids}`,
    [m.track],
  )
  return result.count
}

/**
 * Evaluates an expression of the track for each row of a stretch. The rows are locked, so what it reads
 * cannot change.
 */
export async function catchUpRows(
  sql: Db,
  relation: string,
  expression: string,
  stretch: Stretch,
): Promise<void> {
  const rows = `from only ${relation} a where ${inStretch(stretch)}`
  // a separate statement: FOR UPDATE would skip rows that the expression has written for another row
  await sql.unsafe(`select count(*) from (select ${rows} for no key update) locked`)
  await sql.unsafe(`select count((${expression})::text) from (select a.* ${rows}) own`)
}
