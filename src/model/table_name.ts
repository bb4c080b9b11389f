/** A table's name in its parts, as the catalog stores them: neither folded nor quoted. */
export interface TableName {
  /** Null where a statement leaves it to the search path. */
  schema: string | null
  name: string
}

/**
 * What a part of a name looks like that stands without quotes; the same pattern for JavaScript and the
 * server.
 */
export const barePart = '^[a-z_][a-z0-9_$]*$'

/** One part of a name as SQL: in quotes where PostgreSQL would fold it or stop reading. */
export const partText = (part: string): string =>
  new RegExp(barePart).test(part) ? part : `"${part.replaceAll('"', '""')}"`

/** The parts of a name as SQL. */
export const dottedText = (parts: string[]): string => parts.map(partText).join('.')

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
 * The parts of the dotted name that a text begins with, as a person writes it in SQL and folded like there,
 * and what follows it; null where it begins with none.
 */
export function nameAt(text: string): { parts: string[]; rest: string } | null {
  const part = /"((?:[^"]|"")+)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/y
  const parts: string[] = []
  for (let at = 0; ; at = part.lastIndex + 1) {
    part.lastIndex = at
    const found = part.exec(text)
    if (!found) return null
    parts.push(found[1]?.replaceAll('""', '"') ?? found[2]!.toLowerCase())
    if (text[part.lastIndex] !== '.') return { parts, rest: text.slice(part.lastIndex) }
  }
}

/** The parts of a dotted name that is all of a text; null where it is no such name. */
export function namesIn(text: string): string[] | null {
  const found = nameAt(text)
  return found?.rest === '' ? found.parts : null
}
