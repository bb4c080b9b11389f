import { namesIn, tableText } from '../model/table_name.js'
import { indexStatement } from './frames.sql.js'
import { type Names, newTable } from './names.js'
import { type Rewriting, rewriteSql } from './rewrite_body.js'
import { rewriteExpression } from './rewrite_header.js'

/** A document of a track. */
// biome-ignore lint/suspicious/noExplicitAny: documents whose shape their own readers check
export type Json = any

const tableNow = (names: Names, table: string): string =>
  names.knows(table) ? newTable(names, table) : table
const columnNow = (names: Names, table: string, column: string): string =>
  names.column(table, column)?.column ?? column

/** The new name of `schema.table.column`. */
function dotted(names: Names, text: string): string {
  const parts = namesIn(text)
  if (parts?.length !== 3) return text
  const table = tableText({ schema: parts[0]!, name: parts[1]! })
  const column = names.column(table, parts[2]!)
  return `${tableNow(names, table)}.${column?.text ?? parts[2]!}`
}

const mapKeys = (object: Json, key: (k: string) => string): Json =>
  object && Object.fromEntries(Object.entries(object).map(([k, v]) => [key(k), v]))

/** Rewrites track.json: the values that name a table or column. */
export async function rewriteTrackInfo(track: Rewriting, text: string): Promise<string> {
  const { names } = track
  const info: Json = JSON.parse(text)
  const own = (holder: Json, keys: string[]): void => {
    for (const key of keys)
      if (typeof holder?.[key] === 'string') holder[key] = columnNow(names, holder.table, holder[key])
      else if (Array.isArray(holder?.[key]))
        holder[key] = holder[key].map((c: string) => columnNow(names, holder.table, c))
    if (holder) holder.table = tableNow(names, holder.table)
  }
  for (const beside of info.sessions.with ?? []) {
    beside.on = columnNow(names, info.sessions.table, beside.on)
    own(beside, ['columns'])
  }
  for (const filter of Object.values<Json>(info.filters ?? {}))
    filter.column = columnNow(names, info.sessions.table, filter.column)
  if (info.messages?.to) info.messages.to = columnNow(names, info.sessions.table, info.messages.to)
  const reads = messageReads(names, info.messages)
  own(info.messages, ['session', 'role', 'content', 'created'])
  if (reads) info.reads = reads
  own(info.sessions, [
    'id',
    'active',
    'started',
    'title',
    'workspace',
    'status',
    'ended',
    'deleted',
    'history',
  ])
  for (const shape of info.shapes ?? []) {
    shape.is = await rewriteExpression(track, shape.is, shape.table, null)
    shape.table = tableNow(names, shape.table)
  }
  own(info.elements, ['column'])
  info.persona.of = dotted(names, info.persona.of)
  if (info.sight) {
    info.sight.persons = dotted(names, info.sight.persons)
    for (const { before, after } of info.sight.rows) {
      own(before, ['id'])
      own(after, ['id'])
    }
  }
  for (const setting of Object.values<Json>(info.settings ?? {}))
    if (setting.role && names.isNumber(setting.role)) setting.pattern = '-?[0-9]+'
  // the copy has the names of one database, so roles are not needed to find them
  delete info.roles
  return `${JSON.stringify(info, null, 2)}\n`
}

/** How to read the columns of messages whose values differ from the track's. Null if none does. */
function messageReads(names: Names, messages: Json): Json | null {
  const found = ['role', 'content', 'created'].flatMap(key => {
    const reads = typeof messages?.[key] === 'string' && names.column(messages.table, messages[key])?.reads
    return reads ? [[key, reads]] : []
  })
  return found.length > 0 ? Object.fromEntries(found) : null
}

/** Rewrites expected.json: tables, columns and definitions. In patterns only names of new tables change. */
export async function rewriteExpected(track: Rewriting, text: string): Promise<string> {
  const { names } = track
  const parts: Json[] = JSON.parse(text)
  for (const part of parts) {
    for (const [table, wanted] of Object.entries<Json>(part.tables ?? {})) {
      for (const [name, column] of Object.entries<Json>(wanted.columns ?? {})) {
        const type = column.type === 'uuid' ? names.type(name, namesIn(table)!.at(-1)) : null
        if (type) column.type = type
        column.default = names.makes(table, name)?.made ?? column.default
      }
      wanted.columns = mapKeys(wanted.columns, c => columnNow(names, table, c))
      for (const index of Object.values<Json>(wanted.indexes ?? {})) {
        index.definition = await rewriteIndex(track, index.definition, table)
        if (index.where) index.where = await rewriteExpression(track, index.where, table, null)
      }
      wanted.constraints = mapValues(wanted.constraints, pattern => constraintPattern(names, pattern, table))
      for (const policy of Object.values<Json>(wanted.policies ?? {}))
        for (const key of ['using', 'check'])
          if (policy[key]) policy[key] = policyPattern(names, policy[key], table)
    }
    part.tables = mapKeys(part.tables, t => tableNow(names, t))
  }
  // do not add keys that were missing
  return `${JSON.stringify(parts, null, 2)}\n`
}

const mapValues = (object: Json, of: (value: string) => string): Json =>
  object && Object.fromEntries(Object.entries<string>(object).map(([k, v]) => [k, of(v)]))

/** Rewrites an index definition such as `btree (a, b DESC) WHERE ...`. */
async function rewriteIndex(track: Rewriting, definition: string, table: string): Promise<string> {
  const now = await rewriteSql(track, indexStatement(table, definition))
  return now.slice(now.indexOf(' using ') + ' using '.length)
}

/** Rewrites the names of columns and tables in the output of pg_get_constraintdef. */
function constraintPattern(names: Names, pattern: string, table: string): string {
  const key = /^FOREIGN KEY \(([^)]*)\) REFERENCES (%?)([\w.]+)\(([^)]*)\)(.*)$/.exec(pattern)
  if (!key)
    return pattern.replace(/'(?:[^']|'')*'|\b[a-z_]\w*/g, word => names.column(table, word)?.text ?? word)
  const [, columns, any, to, of, rest] = key as unknown as string[]
  const other = `public.${to!.replace(/^public\./, '')}`
  const target = names.knows(to!) ? to! : other
  const list = (from: string, all: string): string =>
    all
      .split(', ')
      .map(c => names.column(from, c)?.text ?? c)
      .join(', ')
  const name = newTable(names, target)
  const shown = name === target ? `${any}${to}` : `%${name.slice(name.indexOf('.') + 1)}`
  return `FOREIGN KEY (${list(table, columns!)}) REFERENCES ${shown}(${list(target, of!)})${rest}`
}

/**
 * Rewrites the output of pg_get_expr for a policy: the expression for the current user, and tables' names.
 */
function policyPattern(names: Names, pattern: string, table: string): string {
  const own = names.table(table).name
  const before = namesIn(table)!.at(-1)!
  let now = pattern
  if (names.identity !== null)
    now = now.replace(/\( SELECT auth\.uid\(\) AS uid\)/g, '%').replace(/auth\.uid\(\)/g, '')
  if (own !== before) now = now.replaceAll(`${before}.`, '%')
  for (const word of new Set(pattern.match(/[a-z_]\w*/g) ?? [])) {
    const column = names.column(table, word)
    if (column && column.column !== word) now = now.replace(new RegExp(`\\b${word}\\b`, 'g'), '%')
    const other = `public.${word}`
    if (names.knows(other) && newTable(names, other) !== other)
      now = now.replace(new RegExp(`\\b${word}\\b`, 'g'), () => `%${names.table(other).name}%`)
  }
  return now.replace(/%{2,}/g, '%')
}

/** Rewrites the JSON of an access file: tables, columns, and the statements that it tries. */
export async function rewriteAccess(track: Rewriting, text: string): Promise<string> {
  const { names } = track
  const access: Json = JSON.parse(text)
  for (const t of access.tables ?? []) {
    const { table } = t
    t.row = mapKeys(t.row, c => columnNow(names, table, c))
    t.touch = columnNow(names, table, t.touch)
    if (t.move) t.move = mapKeys(t.move, c => columnNow(names, table, c))
    if (t.reads) t.reads = await rewriteSql(track, t.reads)
    if (t.sees) t.sees = await rewriteExpression(track, t.sees, table, null)
    t.table = tableNow(names, table)
  }
  for (const call of access.calls ?? []) call.sql = await rewriteSql(track, call.sql)
  return JSON.stringify(access, null, 2)
}
