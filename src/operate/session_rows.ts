import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { writeSessionDocument } from '../files/session_file.js'
import { Failure } from '../model/failure.js'
import type { Track, TrackInfo } from '../model/project.js'
import { mostSessionBytes, type SessionDocumentTable } from '../model/session_document.js'
import { followsOf } from './delete_sessions.js'
import { messagesOf, readSessionRows, type SessionTable } from './session_rows.sql.js'

/**
 * The tables with rows of a session, those that others point at first: the session, what a deletion takes
 * along, and its messages where they belong to something else as well.
 */
export async function tablesOfSession(
  sql: Db,
  info: TrackInfo,
): Promise<Pick<SessionTable, 'table' | 'where'>[]> {
  const tables = (await followsOf(sql, info)).follows
    .filter(f => f.columns === null)
    .map(({ table, where }) => ({ table, where }))
    .reverse()
  const messages = info.messages?.table
  if (messages && !tables.some(t => t.table === messages))
    tables.push({ table: messages, where: messagesOf(info) })
  return tables
}

/** The same with what tells their rows apart. */
export async function sessionTables(sql: Db, info: TrackInfo): Promise<SessionTable[]> {
  const tables = await tablesOfSession(sql, info)
  return Promise.all(tables.map(async t => ({ ...t, key: await primaryKey(sql, t.table) })))
}

/** One session as a document that an import takes. Throws SESSION_TOO_LARGE. */
export async function readDocument(sql: Db, track: Track, info: TrackInfo, id: string): Promise<string> {
  const tables: SessionDocumentTable[] = []
  const refuseOver = (bytes: number): void => {
    if (bytes > mostSessionBytes)
      throw new Failure('SESSION_TOO_LARGE', id, { mostMiB: mostSessionBytes / 2 ** 20 })
  }
  let bytes = 0
  for (const t of await sessionTables(sql, info)) {
    const read = await readSessionRows(sql, t, id)
    for (const row of read.rows) for (const text of row) bytes += Buffer.byteLength(text ?? '')
    refuseOver(bytes)
    tables.push(read)
  }
  const document = writeSessionDocument({ track: track.name, id, tables })
  // an import takes no more than it reads: with names and escapes
  refuseOver(Buffer.byteLength(document))
  return document
}
