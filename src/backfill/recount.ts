import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { primaryKey } from '../database/row_key.sql.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { agreeing, number, plural } from '../model/plural.js'
import type { Track } from '../model/project.js'
import { finding, type Probed } from '../model/report.js'
import { contentCountSpec } from './content_counts.js'
import { type ContentCount, type Counted, storedContentCounts, unitCounts } from './content_counts.sql.js'
import { takesOut } from './pending_spec.js'

/**
 * Counts and hashes again, by unit, the rows that existed when a backfill ended, and reports units that
 * differ. The application continues to write, so a difference is no error by itself.
 */
export async function recount(ctx: Context, connection: Connection, track: Track): Promise<Probed> {
  const probed: Probed = { found: [], tables: [], findings: [], skipped: null }
  const by = track.migrations.filter(takesOut).map(m => m.name)
  let counted = 0
  for (const m of track.migrations) {
    if (!m.backfill?.unit || ctx.signal.aborted) continue
    const stored = await storedContentCounts(connection.sql, track.name, m.name)
    if (!stored) continue
    const { table, unit } = m.backfill
    const statement = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
    const spec = await contentCountSpec(connection.sql, track, {
      migration: m,
      statement,
      backfill: stored.backfill,
    })
    const key = await primaryKey(connection.sql, table)
    const now = await unitCounts(connection.sql, table, spec, { key, track: track.name, by })
    counted += stored.units.size
    for (const [name, then] of stored.units) {
      const detail = countDifference(then, now.get(name) ?? { ...noRows, past: null })
      if (detail !== null) probed.found.push({ object: `${table} ${unit} ${name}`, detail })
    }
  }
  if (counted === 0) probed.skipped = 'no backfill of this track has left counts'
  else probed.findings.push(finding('RECOUNTED', track.name, { units: counted, differ: probed.found.length }))
  return probed
}

const noRows: Counted = { rows: 0, hash: '0' }

/** How a unit differs from the stored counts; null if it does not. */
function countDifference(then: ContentCount, now: ContentCount): string | null {
  if (now.rows <= then.rows) return differs(then, now, `of ${plural(then.rows, 'row')}`)
  // new rows are normal; if rows have a time they cannot hide a loss, because older rows are counted
  // separately
  return (
    then.past &&
    differs(then.past, now.past ?? noRows, `of the ${plural(then.past.rows, 'row')} from before it`)
  )
}

function differs(then: Counted, now: Counted, rows: string): string | null {
  if (now.rows > then.rows || (now.rows === then.rows && now.hash === then.hash)) return null
  return now.rows < then.rows
    ? `${number(then.rows - now.rows)} ${rows} ${agreeing(then.rows - now.rows, 'are')} gone since the backfill: deleted by somebody, or lost`
    : 'as many rows as the backfill has left, with other content'
}
