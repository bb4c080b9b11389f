import { relationFacts } from '../database/catalog.sql.js'
import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { requireTrackInfo } from '../files/track_info.js'
import { Failure, UsageError } from '../model/failure.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, type Report, tableOfCells } from '../model/report.js'
import { listSessions, readMessages, readSession, unknownParents } from './sessions.sql.js'

/** What `sessions list` was asked for: values by the name of the track's filter. */
export type SessionsOptions = Record<string, string[]>

/** The filters of a list, with the track's defaults. Throws USAGE for a name or value that does not exist. */
function filtersOf(track: Track, info: TrackInfo, options: SessionsOptions): SessionsOptions {
  const filters = info.filters ?? {}
  const where: SessionsOptions = {}
  for (const [name, { default: usual }] of Object.entries(filters)) if (usual) where[name] = usual
  for (const [name, values] of Object.entries(options)) {
    const filter = filters[name]
    if (!filter)
      throw new UsageError(`--filter ${name}`, `the sessions of ${track.name} have no such filter`, {
        known: Object.keys(filters),
      })
    const strange = values.find(v => filter.values && !filter.values.includes(v))
    if (strange !== undefined)
      throw new UsageError(`--filter ${name}=${strange}`, `there is no such ${name}`, {
        known: filter.values!,
      })
    where[name] = values
  }
  return where
}

/** Lists sessions, most recent first. Content of messages is not quoted. */
export async function sessionsList(
  ctx: Context,
  track: Track,
  options: SessionsOptions,
  limit: number,
): Promise<Report> {
  const info = await requireTrackInfo(track)
  const where = filtersOf(track, info, options)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireTable(connection.sql, info.sessions.table)
  const sessions = await listSessions(connection.sql, info, where, limit)
  if (sessions.length === 0) await refuseUnknown(connection.sql, info, options)
  report.tables.push(tableOfCells('Sessions', sessions))
  return report
}

/** Throws USAGE for a value that names a row of another table, such as a user, where there is no such row. */
async function refuseUnknown(sql: Db, info: TrackInfo, options: SessionsOptions): Promise<void> {
  for (const [name, values] of Object.entries(options)) {
    const [unknown] = await unknownParents(sql, info.sessions.table, info.filters![name]!.column, values)
    if (unknown)
      throw new UsageError(
        `--filter ${name}=${unknown.value}`,
        `there is no such ${name}: no row of ${unknown.table} has it as its ${unknown.column}`,
      )
  }
}

/** One session with its messages: what a person asked to read, so their content is in the report. */
export async function sessionsShow(
  ctx: Context,
  track: Track,
  id: string,
  limit: number | null,
): Promise<Report> {
  const info = await requireTrackInfo(track)
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('sessions', (await inspect(ctx, connection)).info)
  await requireTable(connection.sql, info.sessions.table)
  const found = await readSession(connection.sql, info, id)
  if (!found) throw new Failure('NO_SUCH_SESSION', id, { table: info.sessions.table })
  report.tables.push({
    title: 'Session',
    columns: ['column', 'value'],
    rows: Object.entries(found).map(([k, v]) => [
      k,
      typeof v === 'object' && v !== null ? JSON.stringify(v) : v,
    ]),
  })
  const messages = await readMessages(connection.sql, info, id, limit)
  report.tables.push({
    title: 'Messages',
    columns: ['at', 'role', 'content'],
    rows: messages.map(m => [m.at, m.role, m.content]),
  })
  return report
}

/** The table of a track that is not applied yet is not there to be read. */
export async function requireTable(sql: Parameters<typeof relationFacts>[0], table: string): Promise<void> {
  if ((await relationFacts(sql, [table])).length === 0) throw new Failure('NO_SESSIONS_TABLE', table)
}
