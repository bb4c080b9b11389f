/** A session as a file holds it: its rows, and those that go with it, each value as the server writes it. */
export interface SessionDocument {
  track: string
  /** The id of the session, as text. */
  id: string
  /** The table of sessions first; rows that others point at come before those. */
  tables: SessionDocumentTable[]
}

/** The rows of one table. */
export interface SessionDocumentTable {
  /** The name as SQL, such as `public.chats`. */
  table: string
  columns: DocumentColumn[]
  /** Text of each value in the order of the columns; null where there is none. */
  rows: (string | null)[][]
}

/** A column, and its type with length or precision. */
export interface DocumentColumn {
  name: string
  type: string
}

/** The most bytes that the file of a session may have. */
export const mostSessionBytes = 256 * 2 ** 20
