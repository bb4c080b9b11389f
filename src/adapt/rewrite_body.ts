import {
  type Node,
  parsePlpgsql,
  parseStatements,
  type Statement,
  SyntaxFault,
  strings,
} from '../files/statements.js'
import { tableText } from '../model/table_name.js'
import { type Edits, editsOf, inDollars, type SqlToken } from './edits.js'
import type { Names } from './names.js'
import { rewriteDynamic } from './rewrite_dynamic.js'
import { visit } from './rewrite_query.js'
import { type FiredBy, rewriteStatement } from './rewrite_statement.js'
import {
  emptyScope,
  type NameScope,
  type Rewrite,
  type RowSource,
  renameTable,
  tableSource,
} from './scope.js'

/** What rewriting needs besides the text. */
export interface Rewriting {
  names: Names
  /** True for files of probes. */
  probing?: boolean
  fired: Map<string, FiredBy[]>
}

/** The parts of a dollar-quoted literal. */
const dollars = /^(\$\w*\$)([\s\S]*)\1$/

/** Rewrites the statements of a text, with function bodies and dynamic SQL. Throws SyntaxFault. */
export async function rewriteSql(
  track: Rewriting,
  text: string,
  scope: NameScope = emptyScope(),
  body: Rewrite['body'] = null,
): Promise<string> {
  if (text.trim() === '') return text
  const edits = await editsOf(text)
  const to: Rewrite = { edits, names: track.names, probing: track.probing ?? false, body }
  for (const statement of await parseStatements(text)) {
    const from = edits.tokens.findIndex(t => t.start >= statement.offset)
    if (scope.sources.length > 0) visit(to, { [statement.kind]: statement.node }, scope)
    else rewriteStatement(to, statement, from)
    if (statement.kind === 'CreateFunctionStmt' || statement.kind === 'DoStmt')
      await rewriteBody(track, to, statement, from)
  }
  return edits.apply()
}

const option = (node: Node, name: string): Node | undefined =>
  (node.options ?? node.args ?? []).find((o: Node) => o.DefElem.defname === name)?.DefElem.arg

async function rewriteBody(track: Rewriting, to: Rewrite, statement: Statement, from: number): Promise<void> {
  const { node, kind } = statement
  const end = statement.offset + statement.text.length
  const literal = to.edits.tokens.find(
    (t, i) => i >= from && t.start < end && t.kind === 'SCONST' && dollars.test(t.raw),
  )
  const [, quote, text] = dollars.exec(literal?.raw ?? '') ?? []
  if (!literal || text === undefined) return
  const language = option(node, 'language')?.String?.sval ?? 'plpgsql'
  const name = strings(node.funcname)
  const parameters: Node[] = (node.parameters ?? []).map((p: Node) => p.FunctionParameter)
  const scope: NameScope = { ...emptyScope(), sources: bodySources(track, name.join('.'), parameters) }
  const body = {
    name: name.at(-1) ?? '',
    parameters: new Set(parameters.map(p => p.name as string)),
    language,
  }
  const now =
    language === 'plpgsql'
      ? await rewritePlpgsql(track, statement.text, text, scope, kind === 'DoStmt' ? null : body)
      : await rewriteSql(track, sentinels(track.names, text, body.name), scope, body)
  if (now !== text) to.edits.replace(literal.start, literal.end, inDollars(quote!, now))
}

/** The row sources in a function body: NEW and OLD, transition tables, and parameters of a row type. */
function bodySources(track: Rewriting, name: string, parameters: Node[]): RowSource[] {
  const fired = track.fired.get(name) ?? []
  return [
    ...fired.flatMap(({ table, transition }) =>
      ['new', 'old', ...transition].map(row => tableSource(track.names, table, row)),
    ),
    ...parameters.flatMap(p => {
      const path = strings(p.argType.names)
      const table = path.length === 2 ? tableText({ schema: path[0]!, name: path[1]! }) : null
      return table && track.names.knows(table) && p.name ? [tableSource(track.names, table, p.name)] : []
    }),
  ]
}

/** Replaces the id that means nobody, if ids have another type. */
function sentinels(names: Names, text: string, name: string): string {
  const type = names.type(name)
  if (!type) return text
  const least: Record<string, string> = {
    bigint: '-9223372036854775807',
    integer: '-2147483647',
    smallint: '-32767',
  }
  const nobody = least[type] ?? ''
  return text.replaceAll("'00000000-0000-0000-0000-000000000000'::uuid", `'${nobody}'::${type}`)
}

/** An expression or statement in a PL/pgSQL body, with the line that it begins in. */
interface BodyPart {
  query: string
  mode: number
  line: number
  /** True if its value is executed as SQL. */
  runs: boolean
}

function bodyParts(tree: unknown, line: number, runs: boolean, found: BodyPart[]): BodyPart[] {
  if (Array.isArray(tree)) for (const item of tree) bodyParts(item, line, runs, found)
  else if (typeof tree === 'object' && tree !== null)
    for (const [key, value] of Object.entries(tree as Node)) {
      if (key === 'PLpgSQL_expr') found.push({ query: value.query, mode: value.parseMode ?? 0, line, runs })
      else if (typeof value === 'object')
        bodyParts(
          value,
          value?.lineno ?? line,
          key === 'PLpgSQL_stmt_dynexecute' || key === 'dynquery' || (runs && key !== 'params'),
          found,
        )
    }
  return found
}

async function rewritePlpgsql(
  track: Rewriting,
  statement: string,
  text: string,
  scope: NameScope,
  body: Rewrite['body'],
): Promise<string> {
  const source = sentinels(track.names, text, body?.name ?? '')
  const tree = await parsePlpgsql(source === text ? statement : statement.replace(text, () => source))
  const edits = await editsOf(source)
  const to: Rewrite = { edits, names: track.names, probing: track.probing ?? false, body }
  const lines = source.split('\n')
  const startOf = (line: number): number =>
    lines.slice(0, Math.max(0, line - 1)).reduce((sum, l) => sum + l.length + 1, 0)
  const taken = new Set<number>()
  const all = [...edits.tokens]
  for (const part of bodyParts(tree, 1, false, [])) {
    const inner = await editsOf(part.query)
    const places = placesOf(inner.tokens, edits.tokens, startOf(part.line), taken)
    if (!places) throw new SyntaxFault(`cannot find \`${part.query}\` in the body`, 0)
    taken.add(places[0]!)
    for (const { lead, first, end, isTarget } of piecesOf(part, inner.tokens)) {
      const text = lead + part.query.slice(inner.tokens[first]!.start, inner.tokens[end - 1]!.end)
      const own = await editsOf(text)
      const shift = lead ? 1 : 0
      const placed = editsElsewhere(own, edits, isTarget, i => all[places[i - shift + first]!]!)
      for (const parsed of await parseStatements(text)) {
        await rewritePart(track, { ...to, edits: placed }, parsed, scope)
        if (part.runs) await rewriteDynamic({ ...to, edits: placed }, inner => rewriteSql(track, inner))
      }
    }
  }
  rewriteDeclarations(to)
  rewriteTargets(to, scope)
  const out = edits.apply()
  return body && out !== text && !text.includes('#variable_conflict')
    ? out.replace(/^\s*\n/, first => `${first}#variable_conflict use_variable\n`)
    : out
}

/** The tokens of a part that are read together, and what makes a statement of them. */
interface Piece {
  lead: '' | 'select '
  first: number
  end: number
  /** True for the variable that an assignment sets. */
  isTarget: boolean
}

/** A part is read whole. An assignment is `target := expression`; the target is a variable's. */
function piecesOf({ mode }: BodyPart, tokens: SqlToken[]): Piece[] {
  const assignment = mode > 2 ? tokens.findIndex(t => t.raw === ':=' || t.raw === '=') : -1
  const pieces: Piece[] =
    assignment < 0
      ? [{ lead: mode === 2 ? 'select ' : '', first: 0, end: tokens.length, isTarget: false }]
      : [
          { lead: 'select ', first: 0, end: assignment, isTarget: true },
          { lead: 'select ', first: assignment + 1, end: tokens.length, isTarget: false },
        ]
  return pieces.filter(p => p.first < p.end)
}

/** Edits of a piece that are made in its body; `tokenOf` is a token of the piece as the body has it. */
const editsElsewhere = (
  own: Edits,
  body: Edits,
  isTarget: boolean,
  tokenOf: (index: number) => SqlToken,
): Edits => ({
  ...own,
  replace: (from, until, now) => {
    // what a value is assigned to is read by no name: a label would be no SQL there
    if (isTarget && from === until) return
    const at = own.tokens.findIndex(t => t.start === from)
    const last = own.tokens.findIndex(t => t.end === until)
    // an insertion is before a token, or after one
    if (from === until && at >= 0) body.replace(tokenOf(at).start, tokenOf(at).start, now)
    else if (from === until) body.replace(tokenOf(last).end, tokenOf(last).end, now)
    else body.replace(tokenOf(at).start, tokenOf(last).end, now)
  },
})

/** Rewrites a statement or an expression of a body. */
async function rewritePart(
  track: Rewriting,
  to: Rewrite,
  parsed: Statement,
  scope: NameScope,
): Promise<void> {
  if (/^(Select|Insert|Update|Delete)Stmt$/.test(parsed.kind))
    visit(to, { [parsed.kind]: parsed.node }, scope)
  else rewriteStatement(to, parsed, 0)
  // a function that a block makes has a body of its own
  if (parsed.kind === 'CreateFunctionStmt') await rewriteBody(track, to, parsed, 0)
}

/** Where the tokens of a part are in its body: in a row, but for an INTO that the part has lost. */
function placesOf(part: SqlToken[], body: SqlToken[], start: number, taken: Set<number>): number[] | null {
  const first = body.findIndex(t => t.start >= start)
  for (let i = Math.max(0, first); i < body.length; i++) {
    if (taken.has(i)) continue
    const places: number[] = []
    let at = i
    for (const [n, token] of part.entries()) {
      const performed = n === 0 && token.raw === 'SELECT' && body[at]?.name === 'perform'
      if (body[at]?.raw !== token.raw && !performed) {
        if (n === 0 || body[at]?.name !== 'into') break
        let skip = at + 1
        while (skip < body.length && (body[skip]!.raw !== token.raw || /^[,.]$/.test(body[skip - 1]!.raw)))
          skip++
        at = skip
        if (body[at]?.raw !== token.raw) break
      }
      places.push(at++)
    }
    if (places.length === part.length) return places
  }
  return null
}

/** Rewrites the columns in `into new.column, ...`, which the parse tree does not contain either. */
function rewriteTargets({ edits, names }: Rewrite, scope: NameScope): void {
  const { tokens } = edits
  for (const [i, token] of tokens.entries()) {
    if (token.name !== 'into') continue
    for (let at = i + 1; tokens[at + 1]?.raw === '.'; at += 4) {
      const row = scope.sources.find(s => s.name === tokens[at]!.name)
      const column = tokens[at + 2]!
      const now = row?.table ? names.column(row.table, column.name) : null
      if (now) edits.replace(column.start, column.end, now.text)
      if (tokens[at + 3]?.raw !== ',') break
    }
  }
}

/** Rewrites types of variables and `schema.table.column%type`, which the parse tree does not contain. */
function rewriteDeclarations(to: Rewrite): void {
  const { tokens } = to.edits
  for (const [i, token] of tokens.entries()) {
    const type = to.names.type(token.name, to.body?.name)
    if (type && tokens[i + 1]?.name === 'uuid' && tokens[i - 1]?.raw !== '.')
      to.edits.replace(tokens[i + 1]!.start, tokens[i + 1]!.end, type)
    if (token.raw !== '%' || !/^(type|rowtype)$/.test(tokens[i + 1]?.name ?? '')) continue
    const isColumn = tokens[i - 4]?.raw === '.'
    const first = isColumn ? i - 5 : i - 3
    const table = tableText({ schema: tokens[first]!.name, name: tokens[first + 2]!.name })
    renameTable(to, table, first)
    const now = isColumn ? to.names.column(table, tokens[i - 1]!.name) : null
    if (now) to.edits.replace(tokens[i - 1]!.start, tokens[i - 1]!.end, now.text)
  }
}
