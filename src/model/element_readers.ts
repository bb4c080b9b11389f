/**
 * The JSON column with a track's messages, and the SQL functions of its migrations that read it. Their bodies
 * call no other function of the track: they are run as queries before the functions exist.
 */
export interface ElementReaders {
  table: string
  column: string
  /** Takes the column as text. Returns why it cannot be read, else null. */
  unreadable: string
  /** Takes the column as json. Returns where in it the messages are. */
  place: string
  /** Takes the column as json. Returns whether messages contain other messages. */
  nested: string
  /** Takes the column, its place and whether it is nested. Returns rows of n, key, value, is_current. */
  list: string
  /** Takes an element as jsonb. Returns a row of shape, role, content, hides. */
  read: string
  /**
   * Roles that become one of the track's own, in lower case. The setting `role_map` may add to them. Without
   * it, every role does.
   */
  roles?: string[] | undefined
}
