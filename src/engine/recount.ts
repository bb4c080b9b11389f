import type { Session } from '../db/session.js'
import { finding } from '../model/report.js'
import type { Track } from '../model/workspace.js'
import { primaryKey } from '../sql/catalog.js'
import { contentColumns, storedTallies, unitCounts } from '../sql/tally.js'
import { cutBackfill } from '../workspace/cut.js'
import type { Context } from './context.js'
import type { Probed } from './probe.js'

/**
 * Counts and hashes again, unit by unit, what stood when a backfill ended, and tells which units differ. The application
 * goes on writing, so a difference is something to look at and not a fault.
 */
export async function recount(ctx: Context, session: Session, track: Track): Promise<Probed> {
  const probed: Probed = { found: [], tables: [], findings: [], skipped: null }
  let counted = 0
  for (const m of track.migrations) {
    if (!m.backfill?.unit || ctx.signal.aborted) continue
    const stored = await storedTallies(session.sql, track.name, m.name)
    if (stored.size === 0) continue
    const cut = await cutBackfill(m.file.text, m.file.path, m.backfill)
    const columns = await contentColumns(session.sql, m.backfill.table, cut.sets)
    const now = await unitCounts(
      session.sql,
      m.backfill.table,
      {
        backfill: 0,
        unit: m.backfill.unit,
        columns: columns.map(c => c.name),
        asText: columns.some(c => !c.hashable),
      },
      await primaryKey(session.sql, m.backfill.table),
    )
    counted += stored.size
    for (const [unit, then] of stored) {
      const { rows, hash } = now.get(unit) ?? { rows: 0, hash: '0' }
      if (rows === then.rows && hash === then.hash) continue
      const detail =
        rows < then.rows
          ? `${then.rows - rows} row(s) of ${then.rows} are gone since the backfill: deleted by somebody, or lost`
          : rows > then.rows
            ? `${rows - then.rows} row(s) more than the ${then.rows} of the backfill`
            : 'as many rows as the backfill has left, with other content'
      // rows that came since are what an application is for
      if (rows <= then.rows)
        probed.found.push({ object: `${m.backfill.table} ${m.backfill.unit} ${unit}`, detail })
    }
  }
  if (counted === 0) probed.skipped = 'no backfill of this track has left counts'
  else probed.findings.push(finding('RECOUNTED', track.name, { units: counted, differ: probed.found.length }))
  return probed
}
