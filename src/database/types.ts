import type postgres from 'postgres'
import { quotedPart, quotedText } from '../model/table_name.js'

/** int8 values become numbers: counts and ids stay below 2^53. The default of postgres.js is strings. */
export type Types = { bigint: number; textArray: string[] }

/** A connection or a transaction on it: anything that can send a statement. */
export type Db = postgres.ISql<Types>

/** A quoted identifier, for SQL that is sent. `partText` is for names to show or compare. */
export const ident = quotedPart

/** A text as an SQL literal. */
export const literal = (text: string): string => {
  const quoted = quotedText(text)
  // E'' because the server may treat a backslash as an escape or not
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** A connection, which can begin a transaction. */
export type Root = postgres.Sql<Types>

/** A text[] in the server's input format. */
export const writeTextArray = (list: string[]): string =>
  `{${list.map(text => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`).join(',')}}`

/** Parses the server's output of a one-dimensional text[] without NULL elements. */
export const readTextArray = (text: string): string[] =>
  [...text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? bare! : quoted.replace(/\\(.)/g, '$1'),
  )
