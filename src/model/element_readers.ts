/**
 * Where a JSON column has a track's messages, and the SQL functions of its migrations that read
 * them. Their bodies call no other function of the track: they are run as queries before they exist.
 */
export interface ElementReaders {
  table: string
  column: string
  /** Takes the column as text: why it can't be read, else null. */
  unreadable: string
  /** Takes the column as json: where in it the messages are. */
  place: string
  /** Takes the column as json: whether messages hold others. */
  nested: string
  /** Takes the column, its place and whether it is nested. Rows: n, key, value, is_current. */
  list: string
  /** Takes an element as jsonb; its row has shape, role, content and hides. */
  read: string
}
