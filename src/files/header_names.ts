import type { Rollback } from '../model/project.js'
import { dottedText, nameAt, namesIn } from '../model/table_name.js'

/** A column's name as SQL reads it. A text that is no name stays, and the server refuses it. */
export const columnOf = <T extends string | null>(written: T): T =>
  (written === null ? null : (namesIn(written)?.[0] ?? written)) as T

/** A requirement with the name of its table or column in normal form. */
export function readRequired(written: string): string {
  const [kind, rest] = /^(table|column) +(.+)$/.exec(written)?.slice(1) ?? []
  const name = rest === undefined ? null : nameAt(rest)
  return name ? `${kind} ${dottedText(name.parts)}${name.rest}` : written
}

/** Splits `ours` into objects. A new object begins with its name, a colon and a blank. */
export function splitOurs(text: string): string[] {
  const parts: string[] = []
  for (const part of text.split(/;\s+/)) {
    if (parts.length > 0 && !readOurs(part)) parts[parts.length - 1] += `; ${part}`
    else parts.push(part)
  }
  return parts.filter(Boolean)
}

/** Reads one object with its predicate. Null if the text is none. */
export function readOurs(part: string): Rollback['ours'][number] | null {
  const name = nameAt(part)
  const [, predicate] = /^: +(.+)$/.exec(name?.rest ?? '') ?? []
  const dotted = name !== null && name.parts.length > 1 && name.parts.length < 4
  return dotted && predicate !== undefined ? { object: dottedText(name.parts), predicate } : null
}
