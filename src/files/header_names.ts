import type { Rollback } from '../model/project.js'
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

/** Where an object of `ours` ends and the next one begins: its name, a colon, a blank. */
export function splitOurs(text: string): string[] {
  const parts: string[] = []
  for (const part of text.split(/;\s+/)) {
    if (parts.length > 0 && !readOurs(part)) parts[parts.length - 1] += `; ${part}`
    else parts.push(part)
  }
  return parts.filter(Boolean)
}

/** One object with its predicate; null where it is not one. */
export function readOurs(part: string): Rollback['ours'][number] | null {
  const name = nameAt(part)
  const [, predicate] = /^: +(.+)$/.exec(name?.rest ?? '') ?? []
  const dotted = name !== null && name.parts.length > 1 && name.parts.length < 4
  return dotted && predicate !== undefined ? { object: dottedText(name.parts), predicate } : null
}
