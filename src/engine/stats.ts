import { emptyReport, type Report } from '../model/report.js'
import type { Track } from '../model/workspace.js'
import { countAll, largestSessions, sizesOf } from '../sql/sessions.js'
import { type Context, connect } from './context.js'
import { infoOf, mustStand, tableOf } from './sessions.js'
import { inspect } from './target.js'

/** Counts, recent activity, sizes and the largest sessions of a track. */
export async function stats(ctx: Context, track: Track): Promise<Report> {
  const info = await infoOf(track)
  await using session = await connect(ctx, 'reader')
  const report = emptyReport('stats', (await inspect(ctx, session)).info)
  await mustStand(session.sql, info.sessions.table)
  const counts = await countAll(session.sql, info)
  report.tables.push({
    title: 'Counts',
    columns: ['what', 'number'],
    rows: Object.entries(counts).filter(([, n]) => n !== null),
  })
  const tables = [info.sessions.table, ...(info.messages ? [info.messages.table] : [])]
  report.tables.push(tableOf('Sizes', await sizesOf(session.sql, tables)))
  report.tables.push(tableOf('Largest sessions', await largestSessions(session.sql, info, 10)))
  return report
}
