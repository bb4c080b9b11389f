import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { writeSessionDocument } from '../files/session_file.js'
import { Failure } from '../model/failure.js'
import type { Track, TrackInfo } from '../model/project.js'
import { mostSessionBytes, type SessionDocumentTable } from '../model/session_document.js'
import { followsOf } from './delete_sessions.js'
import { messagesOf, readSessionRows, type SessionTable } from './session_rows.sql.js'

/**
 * The tables with rows of a session, referenced tables first: the session, what is deleted with it, and its
 * messages if they do not belong to it alone.
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

/** The same tables, with the columns that identify their rows. */
export async function sessionTables(sql: Db, info: TrackInfo): Promise<SessionTable[]> {
  const tables = await tablesOfSession(sql, info)
  return Promise.all(tables.map(async t => ({ ...t, key: await primaryKey(sql, t.table) })))
}

/** One session as a document for an import. Throws SESSION_TOO_LARGE. */
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
  // check again with names and escapes, because an import accepts no larger document
  refuseOver(Buffer.byteLength(document))
  return document
}
