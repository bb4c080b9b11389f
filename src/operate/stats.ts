import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { requireTrackInfo } from '../files/track_info.js'
import type { Track } from '../model/project.js'
import { emptyReport, type Report, tableOfCells } from '../model/report.js'
import { requireSessions } from './sessions.js'
import { countAll, estimatedMessages, largestSessions, sizesOf } from './sessions.sql.js'

/** Counts, recent activity, sizes and the largest sessions of a track. */
export async function stats(ctx: Context, track: Track): Promise<Report> {
  const info = await requireTrackInfo(track)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('stats', (await inspect(ctx, connection)).info)
  await requireSessions(connection.sql, info)
  const about = await estimatedMessages(connection.sql, info)
  const counts = await countAll(connection.sql, info, about)
  report.tables.push({
    title: 'Counts',
    columns: ['what', 'number'],
    rows: Object.entries(counts).filter(([, n]) => n !== null),
  })
  const tables = [info.sessions.table, ...(info.messages ? [info.messages.table] : [])]
  report.tables.push(tableOfCells('Sizes', await sizesOf(connection.sql, tables)))
  report.tables.push(tableOfCells('Largest sessions', await largestSessions(connection.sql, info, 10, about)))
  return report
}
