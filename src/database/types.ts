import type postgres from 'postgres'
import { quotedPart, quotedText } from '../model/table_name.js'

/** int8 arrives as a number: our counts and ids stay far below 2^53 (postgres.js would give strings). */
export type Types = { bigint: number; textArray: string[] }

/** A connection or a transaction on it; the only thing a statement needs. */
export type Db = postgres.ISql<Types>

/** A name as an identifier of SQL that is sent, always in quotes; shown and compared is `partText`. */
export const ident = quotedPart

/** A text as a literal of SQL. */
export const literal = (text: string): string => {
  const quoted = quotedText(text)
  // a server may be set to read a backslash as an escape: said outright, it means the same everywhere
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** A connection that can start a transaction. */
export type Root = postgres.Sql<Types>

/** A text[] as the server reads it. */
export const writeTextArray = (list: string[]): string =>
  `{${list.map(text => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`

/** A one-dimensional text[] as the server writes it; NULL elements do not occur in ours. */
export const readTextArray = (text: string): string[] =>
  [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? bare! : quoted.replace(/\\(.)/g, '$1'),
  )
