import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Report } from '../model/report.js'
import { infoOf, mustStand, tableOf } from './sessions.js'
import { countAll, largestSessions, sizesOf } from './sessions.sql.js'

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
