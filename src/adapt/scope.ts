import { type Node, rangeTable, strings } from '../files/statements.js'
import { readAs } from '../model/message_value.js'
import { partText, tableText } from '../model/table_name.js'
import type { Edits } from './edits.js'
import type { Names, NewColumn } from './names.js'

/** A row source of a FROM clause, with its name. */
export interface RowSource {
  name: string
  /** The table in the track's files. Null for a subquery, a CTE or a function. */
  table: string | null
  /** Names of its columns; null if they are not known. */
  columns: ReadonlySet<string> | null
  /** True if its name is the table's own name, which changes with the table. */
  bare: boolean
}

/** The names that are visible at one place: the sources of the query and of the queries around it. */
export interface NameScope {
  sources: RowSource[]
  /** CTEs with the names of their columns. */
  ctes: Map<string, ReadonlySet<string> | null>
  outer: NameScope | null
}

/** A text that is being rewritten: its replacements, and the meaning of names outside of queries. */
export interface Rewrite {
  edits: Edits
  names: Names
  /** True in files of probes, which write rows into the application's tables. */
  probing: boolean
  /** The function whose body is rewritten. A name may be a variable or a column there. */
  body: { name: string; parameters: ReadonlySet<string>; language: string } | null
}

/** A scope that adds no names. */
export const emptyScope = (outer: NameScope | null = null): NameScope => ({
  sources: [],
  ctes: new Map(),
  outer,
})

/** A row source for a table with a name. */
export const tableSource = (names: Names, table: string, name: string, bare = false): RowSource => ({
  name,
  table,
  columns: names.columns(table),
  bare,
})

/** The row source of a RangeVar. Also renames its table. */
export function rangeSource(to: Rewrite, range: Node, scope: NameScope): RowSource {
  const alias: string | undefined = range.alias?.aliasname
  if (!range.schemaname) {
    const cte = cteNamed(scope, range.relname)
    if (cte !== undefined) return { name: alias ?? range.relname, table: null, columns: cte, bare: false }
    // a transition table has the columns of the trigger's table
    const held = sourceNamed(scope, range.relname)
    return {
      name: alias ?? range.relname,
      table: held?.table ?? null,
      columns: held?.columns ?? null,
      bare: false,
    }
  }
  const table = tableText(rangeTable(range))
  renameTable(to, table, to.edits.at(range.location))
  return tableSource(to.names, table, alias ?? range.relname, alias === undefined)
}

/** Replaces the `schema.table` that begins at a token. */
export function renameTable({ edits, names }: Rewrite, table: string, at: number): void {
  if (!names.knows(table)) return
  const now = names.table(table)
  const [schema, , name] = edits.tokens.slice(at, at + 3)
  if (tableText(now) === table) return
  edits.replace(schema!.start, name!.end, tableText(now))
}

function cteNamed(scope: NameScope | null, name: string): ReadonlySet<string> | null | undefined {
  for (let s = scope; s; s = s.outer) if (s.ctes.has(name)) return s.ctes.get(name)!
  return undefined
}

/** The source with this name in the innermost scope that has one. */
export function sourceNamed(scope: NameScope | null, name: string): RowSource | null {
  for (let s = scope; s; s = s.outer) {
    const found = s.sources.find(x => x.name === name)
    if (found) return found
  }
  return null
}

/** The source with this column, for a name without a qualifier. Null if it is in no table of the track. */
function sourceWith(scope: NameScope | null, column: string): RowSource | null {
  for (let s = scope; s; s = s.outer) {
    const found = s.sources.find(x => x.columns?.has(column))
    if (found) return found
  }
  return null
}

/** The new name of the column of a ColumnRef. Null if it does not change. */
function resolve(names: Names, ref: Node, scope: NameScope): { column: NewColumn; source: RowSource } | null {
  const fields = strings(ref.fields)
  const last = fields.at(-1)
  if (!last || fields.length !== ref.fields.length) return null
  const source =
    fields.length === 1 ? sourceWith(scope, last) : qualified(names, fields.slice(0, -1), last, scope)
  const column = source?.table ? names.column(source.table, last) : null
  return source && column ? { column, source } : null
}

const qualified = (names: Names, path: string[], column: string, scope: NameScope): RowSource | null =>
  path.length === 2
    ? tableSource(names, tableText({ schema: path[0]!, name: path[1]! }), path[1]!)
    : (sourcesNamed(scope, path[0]!).find(s => s.columns?.has(column)) ?? sourceNamed(scope, path[0]!))

/**
 * All sources with this name in the innermost scope that has one. NEW has one for each table with the
 * trigger.
 */
function sourcesNamed(scope: NameScope | null, name: string): RowSource[] {
  for (let s = scope; s; s = s.outer) {
    const found = s.sources.filter(x => x.name === name)
    if (found.length > 0) return found
  }
  return []
}

/**
 * Rewrites a reference to a column. `plain` is for places where an expression is not allowed, or where only
 * the order of values matters. Returns true if the output name of the expression changes.
 */
export function renameColumn(to: Rewrite, ref: Node, scope: NameScope, plain: boolean): boolean {
  const { edits, names } = to
  const at = edits.at(ref.location)
  const fields = strings(ref.fields)
  if (fields.length !== ref.fields.length) {
    // `chats.*`
    renameQualifier(to, fields[0], at, scope)
    return false
  }
  const found = resolve(names, ref, scope)
  if (fields.length === 1 && !found) {
    const whole = sourceNamed(scope, fields[0]!)
    if (whole?.bare && whole.table) renameQualifier(to, fields[0], at, scope)
    else if (!whole) qualifyParameter(to, fields[0]!, at, scope)
    return false
  }
  const first = edits.tokens[at]!
  const last = edits.tokens[at + 2 * (fields.length - 1)]!
  // in a function body an unqualified name could be a variable
  const owner = fields.length === 1 && to.body ? found!.source.name : null
  if (!found || plain || !found.column.reads) {
    if (fields.length === 2) renameQualifier(to, fields[0], at, scope)
    if (fields.length === 3) renameTable(to, tableText({ schema: fields[0]!, name: fields[1]! }), at)
    if (found && found.column.column !== fields.at(-1))
      edits.replace(
        last.start,
        last.end,
        owner ? `${partText(owner)}.${found.column.text}` : found.column.text,
      )
    return found !== null && found.column.column !== fields.at(-1)
  }
  const qualifier =
    fields.length === 2
      ? `${newQualifier(to, fields[0]!, scope) ?? first.raw}.`
      : fields.length === 3
        ? `${tableText(names.table(found.source.table!))}.`
        : owner
          ? `${partText(owner)}.`
          : ''
  edits.replace(first.start, last.end, filled(found.column.reads, `${qualifier}${found.column.text}`))
  return true
}

/** Inserts a value into an SQL template at `{}`. */
export const filled = (template: string, value: string): string =>
  template === '{}' ? value : readAs(template, value)

/**
 * Qualifies a parameter in an SQL body: a column of the application with the same name would take precedence.
 */
function qualifyParameter({ edits, body }: Rewrite, name: string, at: number, scope: NameScope): void {
  if (body?.language !== 'sql' || !body.parameters.has(name)) return
  let reads = false
  for (let s: NameScope | null = scope; s; s = s.outer) reads ||= s.sources.some(x => x.table !== null)
  const token = edits.tokens[at]!
  if (reads) edits.replace(token.start, token.start, `${partText(body.name)}.`)
}

function newQualifier(to: Rewrite, name: string, scope: NameScope): string | null {
  const source = sourceNamed(scope, name)
  if (!source?.bare || !source.table) return null
  const now = to.names.table(source.table).name
  return now === name ? null : partText(now)
}

function renameQualifier(to: Rewrite, name: string | undefined, at: number, scope: NameScope): void {
  const now = name === undefined ? null : newQualifier(to, name, scope)
  const token = to.edits.tokens[at]
  if (now !== null && token) to.edits.replace(token.start, token.end, now)
}
