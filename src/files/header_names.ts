import { dottedText, nameAt, namesIn } from '../model/table_name.js'

/** The name of a column as SQL reads it; anything else is left for the server to refuse. */
export const columnOf = <T extends string | null>(written: T): T =>
  (written === null ? null : (namesIn(written)?.[0] ?? written)) as T

/** A requirement with the name of its table or column in the one way that names are written. */
export function readRequired(written: string): string {
  const [kind, rest] = /^(table|column) +(.+)$/.exec(written)?.slice(1) ?? []
  const name = rest === undefined ? null : nameAt(rest)
  return name ? `${kind} ${dottedText(name.parts)}${name.rest}` : written
}
