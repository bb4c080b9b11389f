import { isEmpty } from '../backfill/run_backfill.sql.js'
import { isRefused } from '../database/faults.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { parseStatements } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { rowEstimate } from '../verify/probes.sql.js'

/**
 * Why a step cannot be rehearsed inside a transaction on a live target, and whether
 * those after it build on it.
 */
export async function whyNotInPlace(tx: Db, m: Migration): Promise<{ reason: string; ends: boolean } | null> {
  if (m.backfill) {
    const rows = await rowsToLock(tx, m.backfill.table)
    return rows === null
      ? null
      : {
          reason: `a backfill of ${rows} in one transaction would lock them all; \`plan --sample\` measures batches`,
          ends: true,
        }
  }
  if (m.transaction === 'parts' || m.transaction === 'each')
    return { reason: 'it needs more than one transaction; a copy can have them: --rehearse-url', ends: true }
  if (m.transaction !== 'none') return null
  const statements = await parseStatements(m.file.text)
  return statements.some(s => s.node.concurrent)
    ? {
        reason: 'an index can’t be built concurrently inside a transaction; a copy can: --rehearse-url',
        // no later step needs an index, but may need what else the file makes
        ends: !statements.every(s => s.node.concurrent),
      }
    : null
}

/** How many rows a backfill would lock, in words; null where the table has none. */
async function rowsToLock(tx: Db, table: string): Promise<string | null> {
  const estimate = await rowEstimate(tx, table)
  if (estimate > 0) return `${estimate} rows`
  // nobody has counted the rows of a small table yet
  const none = await savepoint(tx)(inner => isEmpty(inner, table)).catch(error => {
    if (!isRefused(error)) throw error
    return false
  })
  return none ? null : `the rows of ${table}`
}
