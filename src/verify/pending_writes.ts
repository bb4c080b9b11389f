import { hasPending } from '../backfill/pending.sql.js'
import { readPendingSpec, takesOut } from '../backfill/pending_spec.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import type { Migration, Track } from '../model/project.js'

/** Time limit of the query for pending rows, in milliseconds. */
const askMs = 1000

/** The effect of a backfill on rows. `leaves` is set for one that removes rows. */
export interface PendingWrites {
  writes: { table: string; columns: string[] | null } | null
  leaves: { table: string; alias: string; predicate: string } | null
}

/** The effect of each pending backfill. A backfill without pending rows is left out. */
export async function pendingWrites(
  connection: Connection,
  track: Track,
  pending: Migration[],
): Promise<ReadonlyMap<string, PendingWrites>> {
  const found = new Map<string, PendingWrites>()
  for (const m of pending) {
    if (!m.backfill) continue
    try {
      const spec = await readAside(connection.sql, async tx => {
        await setLocal(tx, 0, askMs)
        const read = await readPendingSpec(tx, track, m)
        return (await hasPending(tx, read)) ? read : null
      })
      if (spec === null) continue
      if (takesOut(m)) {
        const { table, alias, pending: predicate } = spec
        found.set(m.name, { writes: null, leaves: { table, alias, predicate } })
        continue
      }
    } catch (error) {
      if (!isRefused(error)) throw error
    }
    const { writes, sets, hasWith } = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
    found.set(m.name, {
      writes: { table: writes, columns: sets.length > 0 && !hasWith ? sets : null },
      leaves: null,
    })
  }
  return found
}
