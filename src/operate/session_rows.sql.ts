import { withFullNames } from '../database/full_names.sql.js'
import { type Db, ident } from '../database/types.js'
import type { TrackInfo } from '../model/project.js'
import type { SessionDocumentTable } from '../model/session_document.js'
import { mergedColumns } from '../rollback/merged_table.sql.js'
import { ofSessions } from './prune.sql.js'

/** A table with rows of a session. */
export interface SessionTable {
  table: string
  /** A predicate over `t` for its rows. The parameter is the ids of sessions as a JSON array. */
  where: string
  /** Columns that identify rows; empty if there are none. */
  key: string[]
}

/** The messages of sessions as such a predicate, for messages that do not belong to sessions alone. */
export const messagesOf = (info: TrackInfo): string =>
  `t.${ident(info.messages!.session)} in (
     select s.${ident(info.messages!.to ?? info.sessions.id)} from ${info.sessions.table} s where ${ofSessions(info, 's')})`

/** All values of one session's rows as text. */
export async function readSessionRows(
  sql: Db,
  { table, where, key }: SessionTable,
  id: string,
): Promise<SessionDocumentTable> {
  // with schemas, because another session with another search_path may read the types
  const present = await withFullNames(sql, () => mergedColumns(sql, table))
  const columns = present.map(({ name, type }) => ({ name, type }))
  const order = key.length > 0 ? key.map(c => `t.${ident(c)}`).join(', ') : 't.tableoid, t.ctid'
  const rows = await sql
    .unsafe(
      `select ${columns.map(c => `t.${ident(c.name)}::text`).join(', ')} from ${table} t where ${where} order by ${order}`,
      [JSON.stringify([id])],
    )
    .values()
  return { table, columns, rows: [...rows] as (string | null)[][] }
}
