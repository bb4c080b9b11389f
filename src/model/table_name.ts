/** The parts of a table's name as the catalog stores them, without quotes. */
export interface TableName {
  /** Null if a statement leaves it to the search path. */
  schema: string | null
  name: string
}

/**
 * Words that PostgreSQL 18 does not accept everywhere as a name: all keywords except the unreserved ones in
 * `src/include/parser/kwlist.h`. `quote_ident` quotes them.
 */
const keywords: ReadonlySet<string> = new Set(
  `
  all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
  boolean both case cast char character check coalesce collate collation column concurrently
  constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user dec decimal default deferrable desc distinct do else end except
  exists extract false fetch float for foreign freeze from full grant greatest group grouping
  having ilike in initially inner inout int integer intersect interval into is isnull join json
  json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar
  json_serialize json_table json_value lateral leading least left like limit localtime
  localtimestamp merge_action national natural nchar none normalize not notnull null nullif
  numeric offset on only or order out outer overlaps overlay placing position precision primary
  real references returning right row select session_user setof similar smallint some substring
  symmetric system_user table tablesample then time timestamp to trailing treat trim true union
  unique user using values varchar variadic verbose when where window with xmlattributes
  xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize
  xmltable
`
    .trim()
    .split(/\s+/),
)

/** Keywords since PostgreSQL 16, which an earlier server does not quote. */
export const newKeywords: readonly string[] =
  'json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value merge_action system_user'.split(
    ' ',
  )

/** Text in single quotes as an SQL literal. A backslash has no special meaning. */
export const quotedText = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** One part of a name, always in double quotes. It does not depend on the server's keywords. */
export const quotedPart = (part: string): string => `"${part.replaceAll('"', '""')}"`

/**
 * One part of a name as SQL, as `quote_ident` of PostgreSQL 18 writes it: quoted if it has capitals, special
 * characters or is a keyword.
 */
export const partText = (part: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(part) && !keywords.has(part) ? part : quotedPart(part)

/** The parts of a name as SQL, joined by points. */
export const dottedText = (parts: string[]): string => parts.map(partText).join('.')

/**
 * A table's name as SQL, in one form for each table: `public.chats`, `public."My.Chats"`. Reports and the
 * archive use it. A table without a schema is shown in `public`, because only the server knows the search
 * path.
 */
export const tableText = ({ schema, name }: TableName): string =>
  `${partText(schema ?? 'public')}.${partText(name)}`

/** A column's name as SQL: `public.chats.session_id`. */
export const columnText = (table: TableName, column: string): string =>
  `${tableText(table)}.${partText(column)}`

/**
 * Reads the dotted name at the beginning of a text, as SQL would: unquoted parts in lower case. Returns its
 * parts and the rest of the text; null if there is none.
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

/** The parts of a text that is a dotted name; null if it is none. */
export function namesIn(text: string): string[] | null {
  const found = nameAt(text)
  return found?.rest === '' ? found.parts : null
}
