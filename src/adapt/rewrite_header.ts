import { columnText, dottedText, nameAt, namesIn } from '../model/table_name.js'
import { framed, unframed } from './frames.sql.js'
import { type Names, newTable } from './names.js'
import { type Rewriting, rewriteSql } from './rewrite_body.js'
import { rowScope } from './rewrite_query.js'
import { emptyScope, type RowSource, tableSource } from './scope.js'

/** A key of a header with its value, which may continue on further lines. */
const entry = /^--! ([a-z][a-z-]*): *([^\n]*(?:\n--! {3,}\S[^\n]*)*)/gm

/** Rewrites the lines `--! key: value` of a file. Values in plain language stay. */
export async function rewriteHeader(track: Rewriting, text: string, alias: string | null): Promise<string> {
  const found = [...text.matchAll(entry)]
  const said = new Map(found.map(([, key, value]) => [key!, value!.trim()]))
  const table = said.get('table') ?? null
  let out = ''
  let at = 0
  for (const match of found) {
    const [all, key, value] = match as unknown as [string, string, string]
    const start = match.index + all.length - value.length
    // replace the prefix of continued lines by spaces, which keeps positions the same
    const plain = value.replaceAll('\n--! ', '\n    ')
    const now = await rewriteValue(track, key, plain, table, alias)
    out += text.slice(at, start) + (now === plain ? value : now.replace(/\n(?: {4})?/g, '\n--! '))
    at = start + value.length
  }
  return out + text.slice(at)
}

async function rewriteValue(
  track: Rewriting,
  key: string,
  value: string,
  table: string | null,
  alias: string | null,
): Promise<string> {
  const { names } = track
  switch (key) {
    case 'requires':
      return requiredItems(value)
        .flatMap(item => rewriteRequired(names, item))
        .join(', ')
    case 'table':
      return names.knows(value.trim()) ? newTable(names, value.trim()) : value
    case 'unit':
    case 'key':
      return value.replace(/[a-z_]\w*/g, word => (table && names.column(table, word)?.text) ?? word)
    case 'pending':
    case 'reason':
      return table ? rewriteExpression(track, value, table, alias) : value
    case 'superseded':
      return rewriteSupersedes(track, value)
    case 'ours':
    case 'mirrored':
    case 'catch-up':
    case 'alike':
      return rewriteOwned(track, key, value)
    case 'mutant':
      return rewriteSql(track, value)
    default:
      return value
  }
}

/** The items of a list, separated by commas outside of brackets. */
export function requiredItems(value: string): string[] {
  const items: string[] = []
  let depth = 0
  let item = ''
  for (const c of value) {
    if (c === '(') depth++
    if (c === ')') depth--
    if (c === ',' && depth === 0) {
      items.push(item.trim())
      item = ''
    } else item += c
  }
  return [...items, item.trim()].filter(i => i !== '')
}

/** An item of `requires` with the names and types of the database. Empty if it does not apply there. */
export function rewriteRequired(names: Names, item: string): string[] {
  const [, kind, rest] = /^(\w+) +([\s\S]+)$/.exec(item) ?? []
  const name = rest === undefined ? null : nameAt(rest)
  if (!kind || !name) return [item]
  if (kind === 'function')
    return names.identity !== null && /^auth\.(uid|jwt)\(\)$/.test(rest!)
      ? /auth\.jwt\(\)/.test(names.identity)
        ? ['function auth.jwt()']
        : []
      : [item]
  if (kind === 'table' && name.parts.length === 2)
    return [`table ${newTable(names, dottedText(name.parts))}${name.rest}`]
  if (kind !== 'column' || name.parts.length !== 3) return [item]
  const table = dottedText(name.parts.slice(0, 2))
  if (names.lacks(table, name.parts[2]!)) return []
  const now = names.column(table, name.parts[2]!)
  const type = now?.type ? ` ${now.type}` : name.rest
  return [`column ${columnText(names.table(table), now?.column ?? name.parts[2]!)}${type}`]
}

/** Rewrites an expression over a row of a table. */
export async function rewriteExpression(
  track: Rewriting,
  value: string,
  table: string,
  alias: string | null,
  more: RowSource[] = [],
): Promise<string> {
  const scope = rowScope({ names: track.names } as never, table, alias, more)
  const now = await rewriteSql(track, framed(value), scope)
  return unframed(now)
}

/** Rewrites `schema.table[.column]: predicate`, several separated by semicolons. */
async function rewriteOwned(track: Rewriting, key: string, value: string): Promise<string> {
  const { names } = track
  const out: string[] = []
  for (const part of value.split(/;\s*/)) {
    const object = nameAt(part.trimStart())
    const predicate = object?.rest.replace(/^\s*:/, '')
    if (!object || predicate === undefined || predicate === object.rest || object.parts.length < 2)
      return value
    const table = dottedText(object.parts.slice(0, 2))
    const column = object.parts[2]
    const now =
      column === undefined
        ? newTable(names, table)
        : columnText(names.table(table), names.column(table, column)?.column ?? column)
    const rewritten =
      key === 'alike'
        ? predicate.replace(/[a-z_]\w*/g, word => names.column(table, word)?.text ?? word)
        : await rewriteExpression(track, predicate, table, null)
    out.push(`${now}:${rewritten}`)
  }
  return out.join('; ')
}

/** Rewrites a predicate on rows of a table that the track creates. The table is named in the predicate. */
async function rewriteSupersedes(track: Rewriting, value: string): Promise<string> {
  const sources = [...value.matchAll(/\b([a-z_]\w*)\.[a-z_]\w*/g)]
    .map(m => `public.${m[1]!}`)
    .filter(table => track.names.knows(table))
    .map(table => tableSource(track.names, table, namesIn(table)![1]!, true))
  const now = await rewriteSql(track, framed(value), { ...emptyScope(), sources })
  return unframed(now)
}
