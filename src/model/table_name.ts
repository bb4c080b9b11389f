/** A table's name in its parts, as the catalog stores them: neither folded nor quoted. */
export interface TableName {
  /** Null where a statement leaves it to the search path. */
  schema: string | null
  name: string
}

/** One part of a name as SQL: in quotes where PostgreSQL would fold it or stop reading. */
export const partText = (part: string): string =>
  /^[a-z_][a-z0-9_$]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`

/**
 * A table's name as SQL, the same for the same table: `public.chats`, `public."My.Chats"`. Reports
 * and the archive use it. A table without a schema is shown in `public`; only the server knows
 * where the search path leads.
 */
export const tableText = ({ schema, name }: TableName): string =>
  `${partText(schema ?? 'public')}.${partText(name)}`

/** A column's name as SQL: `public.chats.session_id`. */
export const columnText = (table: TableName, column: string): string =>
  `${tableText(table)}.${partText(column)}`

/**
 * The parts of a dotted name as a person writes it in SQL, folded like there; null when it is no such name.
 */
export function namesIn(text: string): string[] | null {
  const part = /"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/y
  const names: string[] = []
  for (let at = 0; ; at = part.lastIndex + 1) {
    part.lastIndex = at
    const found = part.exec(text)
    if (!found) return null
    names.push(found[1]?.replaceAll('""', '"') ?? found[2]!.toLowerCase())
    if (part.lastIndex === text.length) return names
    if (text[part.lastIndex] !== '.') return null
  }
}
