import { Failure } from '../model/failure.js'
import type { BackfillSpec } from '../model/project.js'
import { partText } from '../model/table_name.js'
import { type Node, parseStatements, relationName, scanTokens } from './statements.js'

/** The statement of a backfill, which can be restricted to a part of its table. */
export interface BackfillStatement {
  /** The alias of the processed table, or its name. */
  alias: string
  /**
   * True if the statement updates the processed table itself. Then several passes with free space between
   * them allow HOT updates.
   */
  updatesTable: boolean
  /** True if the statement deletes rows of the processed table. */
  deletesTable: boolean
  /** The columns that an UPDATE sets; empty for other statements. */
  sets: string[]
  /** The table that the statement writes. */
  writes: string
  /**
   * True if it inserts one row for each group of rows. Each batch writes its groups, so smaller batches write
   * more rows.
   */
  groups: boolean
  /** True if it has RETURNING. */
  says: boolean
  /** True if it has a WITH. It cannot become part of another WITH then, and may write other rows. */
  hasWith: boolean
  /** Returns the statement with `predicate` added to its top-level WHERE. */
  restrict: (predicate: string) => string
}

/** Words that end a WHERE clause at the same nesting depth. ON ends it only before CONFLICT. */
const enders = new Set([
  'group',
  'having',
  'window',
  'order',
  'limit',
  'offset',
  'fetch',
  'returning',
  'union',
  'intersect',
  'except',
])

/** Finds the place for the predicate of a batch. Throws BAD_BACKFILL with the reason if there is none. */
export async function readBackfillStatement(
  text: string,
  path: string,
  spec: BackfillSpec,
): Promise<BackfillStatement> {
  const bad = (reason: string) => new Failure('BAD_BACKFILL', path, { reason })
  const statements = await parseStatements(text)
  const statement = statements[0]
  if (!statement || statements.length > 1)
    throw bad(`a backfill is one statement; this file has ${statements.length}`)
  const alias = batchedAlias(statement.node, statement.kind, spec.table)
  if (!alias)
    throw bad(
      `the statement does not read \`${spec.table}\` at its top level (INSERT ... SELECT, UPDATE or DELETE)`,
    )
  const where = await whereOf(statement.text)
  if (!where) throw bad('the statement needs one top-level WHERE')
  const { start, end } = where
  const updatesTable = alias.target && statement.kind === 'UpdateStmt'
  const select = statement.node.selectStmt?.SelectStmt
  const backfillStatement: BackfillStatement = {
    alias: alias.name,
    updatesTable,
    deletesTable: alias.target && statement.kind === 'DeleteStmt',
    sets:
      statement.kind === 'UpdateStmt'
        ? (statement.node.targetList ?? []).map((t: Node) => t.ResTarget?.name ?? '')
        : [],
    writes: relationName(statement.node.relation),
    groups: Boolean(select?.groupClause ?? select?.distinctClause),
    says: Boolean(statement.node.returningClause),
    hasWith: Boolean(statement.node.withClause),
    restrict: predicate =>
      `${statement.text.slice(0, start)} ${predicate} and (${statement.text.slice(start, end).trim()}\n) ${statement.text.slice(end)}`.trimEnd(),
  }
  // parse the result, to be sure that the predicate is in the right place
  await parseStatements(backfillStatement.restrict('true'))
  return backfillStatement
}

/** Words that may follow a table's name that has no alias. */
const notAnAlias = new Set(
  'set where using cross inner left right full natural join on group order limit returning union tablesample'.split(
    ' ',
  ),
)

/**
 * The alias of the processed table in a backfill's statement. Most texts show it without the parser, which a
 * run with nothing to do should not load.
 */
export async function aliasOf(text: string, path: string, spec: BackfillSpec): Promise<string> {
  return plainAlias(text, spec.table) ?? (await readBackfillStatement(text, path, spec)).alias
}

/** Pure: the alias, where the text has nothing that only the parser understands; else null. */
function plainAlias(text: string, table: string): string | null {
  const code = text.replace(/--.*$|'[^']*'|"[^"]*"/gm, part =>
    part.startsWith('--') ? '' : part.startsWith("'") ? "''" : /^"\w+"$/.test(part) ? part : '$',
  )
  if (/[$\\]|\/\*/.test(code)) return null
  for (let at = code.indexOf(table); at >= 0; at = code.indexOf(table, at + 1)) {
    const before = code.slice(0, at)
    const isOutside = before.split('(').length === before.split(')').length
    if (!isOutside || !/\b(?:from|join|update|using)\s+(?:only\s+)?$/i.test(before)) continue
    const [, alias] =
      /^\s+(?:as\s+)?([a-z_][a-z0-9_]*|"\w+")(?!\w|\s*[.(])/.exec(code.slice(at + table.length)) ?? []
    return alias && !notAnAlias.has(alias) ? alias : null
  }
  return null
}

async function whereOf(text: string): Promise<{ start: number; end: number } | null> {
  const tokens = await scanTokens(text)
  let depth = 0
  let start: number | null = null
  for (const [i, token] of tokens.entries()) {
    if (token.text === '(' || token.text === '[') depth++
    else if (token.text === ')' || token.text === ']') depth--
    else if (depth === 0 && token.keyword) {
      const word = token.text.toLowerCase()
      if (start === null && word === 'where') start = token.end
      else if (start !== null) {
        const conflict = word === 'on' && tokens[i + 1]?.text.toLowerCase() === 'conflict'
        if (enders.has(word) || conflict) return { start, end: token.start }
      }
    }
  }
  return start === null ? null : { start, end: text.length }
}

/** The alias of the processed table, as the target of UPDATE or DELETE or in FROM at the top level. */
function batchedAlias(node: Node, kind: string, table: string): { name: string; target: boolean } | null {
  const named = (range: Node | undefined) =>
    range && relationName(range) === table ? partText(range.alias?.aliasname ?? range.relname) : null
  if (kind === 'UpdateStmt' || kind === 'DeleteStmt') {
    const own = named(node.relation)
    if (own) return { name: own, target: true }
  }
  const from: Node[] =
    kind === 'InsertStmt'
      ? (node.selectStmt?.SelectStmt?.fromClause ?? [])
      : (node.fromClause ?? node.usingClause ?? [])
  for (const name of from.flatMap(rangesIn).map(named)) if (name) return { name, target: false }
  return null
}

/** The plain tables of a FROM item, including those of joins. */
function rangesIn(item: Node): Node[] {
  if (item.RangeVar) return [item.RangeVar]
  if (item.JoinExpr) return [...rangesIn(item.JoinExpr.larg ?? {}), ...rangesIn(item.JoinExpr.rarg ?? {})]
  return []
}
