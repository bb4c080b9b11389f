/** A session in a file: its rows and those that belong to it, with each value as the server writes it. */
export interface SessionDocument {
  track: string
  /** The id of the session, as text. */
  id: string
  /** The table of sessions first. Rows that others reference come before those. */
  tables: SessionDocumentTable[]
}

/** The rows of one table. */
export interface SessionDocumentTable {
  /** The name as SQL, such as `public.chats`. */
  table: string
  columns: DocumentColumn[]
  /** The text of each value, in the order of the columns; null for NULL. */
  rows: (string | null)[][]
}

/** A column and its type, with length or precision. */
export interface DocumentColumn {
  name: string
  type: string
}

/** The largest size of a session's file, in bytes. */
export const mostSessionBytes = 256 * 2 ** 20
