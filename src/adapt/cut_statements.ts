import { bracketed } from './cut_clauses.js'
import { cutExpression, cutQuery } from './cut_queries.js'
import {
  type Cutting,
  cutMentioned,
  cuttingOf,
  findAt,
  isLeftOut,
  isWord,
  level,
  mentions,
  separated,
  type TokenRange,
  Underivable,
  wordAt,
} from './cuts.js'
import type { LeftOut } from './left_out.js'

/** A text of statements without what is left out, bodies of functions included. Throws Underivable. */
export async function cutSql(text: string, out: LeftOut): Promise<string> {
  return out.named.test(text) ? await cutText(text, out, 'file') : text
}

/** An expression without what is left out; null where nothing is left. Throws Underivable. */
export async function cutValue(text: string, out: LeftOut): Promise<string | null> {
  if (!out.named.test(text)) return text
  const c = await cuttingOf(text, out)
  return cutExpression(c, { from: 0, to: c.tokens.length }) ? null : c.apply()
}

/** A dollar-quoted literal: its tag, and the text within. */
const dollarQuoted = /^(\$\w*\$)([\s\S]*)\1$/

async function cutText(text: string, out: LeftOut, kind: 'file' | 'sql' | 'block'): Promise<string> {
  const c = await cuttingOf(text, out)
  const all = { from: 0, to: c.tokens.length }
  await cutBodies(c, out)
  if (kind === 'block') cutBlock(c, all)
  else {
    const statements = separated(c, all, i => (c.tokens[i]!.raw === ';' ? 1 : 0)).filter(s => s.from < s.to)
    const gone = statements.filter(statement => {
      c.aliases.clear()
      return mentions(c, statement) && cutStatement(c, statement)
    })
    // a function that does nothing any more, and is not said to be left out
    if (kind === 'sql' && gone.length === statements.length) throw new Underivable(c, all)
    for (const statement of gone) cutWhole(c, statement)
  }
  return c.apply()
}

/** Bodies of functions and of DO, and statements that are literals in them. */
async function cutBodies(c: Cutting, out: LeftOut): Promise<void> {
  let start = 0
  for (const [i, token] of c.tokens.entries()) {
    if (token.raw === ';') start = i + 1
    const [, quote, body] = dollarQuoted.exec(token.raw) ?? []
    if (body === undefined || !out.named.test(body)) continue
    const end = findAt(c, { from: i, to: c.tokens.length }, at => c.tokens[at]!.raw === ';')
    const statement = { from: start, to: end < 0 ? c.tokens.length : end }
    if (createsLeftOut(c, statement)) continue
    const language = findAt(c, statement, at => isWord(c, at, 'language'))
    const isBlock = language < 0 ? isWord(c, start, 'do') : isWord(c, language + 1, 'plpgsql')
    const now = await cutText(body, out, isBlock ? 'block' : 'sql')
    if (now !== body) c.cut(token.start, token.end, `${quote}${now}${quote}`)
  }
}

/** Cuts a statement with its semicolon, and the line that it has for itself. */
function cutWhole(c: Cutting, { from, to }: TokenRange): void {
  const start = c.tokens[from]!.start
  const indent = /(?<=^|\n)[ \t]*$/.exec(c.text.slice(0, start))?.[0].length ?? 0
  const end = c.tokens[to]?.end ?? c.tokens[to - 1]!.end
  c.cut(start - indent, end + /^[ \t]*\n?/.exec(c.text.slice(end))![0].length)
}

/** Cuts from a statement what speaks of what is left out; true where nothing is left of it. */
function cutStatement(c: Cutting, range: TokenRange): boolean {
  const { from } = range
  if (isWord(c, from, 'select', 'insert', 'update', 'delete', 'with')) return cutQuery(c, range)
  if (isWord(c, from, 'grant', 'revoke')) return cutObjects(c, range, 'on', /^(to|from)$/)
  if (isWord(c, from, 'drop')) return cutObjects(c, range, 'drop', /^(cascade|restrict)$/)
  if (isWord(c, from, 'comment')) return true
  if (isWord(c, from, 'alter')) return cutCommands(c, range)
  if (!isWord(c, from, 'create')) throw new Underivable(c, range)
  const kind = findAt(c, range, i => isWord(c, i, 'table', 'index', 'function', 'policy', 'trigger', 'view'))
  if (isWord(c, kind, 'table')) return nameIsLeftOut(c, kind + 1) || cutColumns(c, range)
  if (isWord(c, kind, 'function')) return createdIsLeftOut(c, kind + 1, range)
  const on = findAt(c, range, i => isWord(c, i, 'on'))
  if (isLeftOut(c, on + 1)) return true
  if (isWord(c, kind, 'index')) return cutIndex(c, { ...range, from: on })
  if (isWord(c, kind, 'policy')) return cutPolicy(c, range)
  throw new Underivable(c, range)
}

/** True for CREATE FUNCTION of one that is left out, whatever its body is. */
function createsLeftOut(c: Cutting, range: TokenRange): boolean {
  const kind = findAt(c, range, i => isWord(c, i, 'function'))
  return isWord(c, range.from, 'create') && kind > 0 && isLeftOut(c, kind + 1)
}

/** True where an object is left out whose name is at an index, after IF NOT EXISTS. */
const nameIsLeftOut = (c: Cutting, at: number): boolean => isLeftOut(c, isWord(c, at, 'if') ? at + 3 : at)

/** A function by its name; what its parameters and results are cannot be cut. */
function createdIsLeftOut(c: Cutting, at: number, range: TokenRange): boolean {
  if (isLeftOut(c, at)) return true
  throw new Underivable(c, range)
}

/** The columns and constraints of a table: one is gone with anything in it. */
function cutColumns(c: Cutting, range: TokenRange): boolean {
  const open = findAt(c, range, i => c.tokens[i]!.raw === '(')
  return cutMentioned(c, bracketed(c, open))
}

function cutIndex(c: Cutting, range: TokenRange): boolean {
  const open = findAt(c, range, i => c.tokens[i]!.raw === '(')
  if (cutMentioned(c, bracketed(c, open))) return true
  const where = findAt(c, range, i => isWord(c, i, 'where'))
  return where > 0 && cutExpression(c, { from: where + 1, to: range.to })
}

function cutPolicy(c: Cutting, range: TokenRange): boolean {
  let gone = false
  for (const i of level(c, range))
    if (c.tokens[i]!.raw === '(') gone = cutExpression(c, bracketed(c, i)) || gone
  return gone
}

/** Commands of ALTER TABLE: one is gone with anything in it. */
function cutCommands(c: Cutting, range: TokenRange): boolean {
  const table = findAt(c, range, i => c.tokens[i]!.raw === '.')
  if (!isWord(c, range.from + 1, 'table') || isLeftOut(c, table - 1)) return true
  return cutMentioned(c, { from: table + 2, to: range.to })
}

/** The objects of GRANT, REVOKE and DROP, which are named after a word and end with another. */
function cutObjects(c: Cutting, range: TokenRange, after: string, end: RegExp): boolean {
  const word = findAt(c, range, i => isWord(c, i, after))
  let from = word + 1
  while (isWord(c, from, 'table', 'function', 'schema', 'index', 'view', 'if', 'exists')) from++
  const last = findAt(c, { from, to: range.to }, i => end.test(wordAt(c, i)))
  return cutMentioned(c, { from, to: last < 0 ? range.to : last })
}

/** Statements of PL/pgSQL, which THEN, LOOP and the words of blocks separate too. */
function cutBlock(c: Cutting, range: TokenRange): void {
  let from = range.from
  for (const i of level(c, range)) {
    const isEnd = c.tokens[i]!.raw === ';'
    const opens = i === from && isWord(c, i, 'begin', 'else', 'declare', 'exception')
    if (!isEnd && !opens && !isWord(c, i, 'then', 'loop')) continue
    const part = { from, to: i }
    from = i + 1
    if (!mentions(c, part)) continue
    c.aliases.clear()
    if (cutPart(c, part)) {
      if (!isEnd) throw new Underivable(c, part)
      cutWhole(c, part)
    }
  }
}

/** A statement of PL/pgSQL, or the head of one; true where nothing is left of it. */
function cutPart(c: Cutting, range: TokenRange): boolean {
  const { from, to } = range
  const after = { from: from + 1, to }
  if (isWord(c, from, 'if', 'elsif', 'elseif', 'while', 'return', 'exit', 'continue')) {
    const when = isWord(c, from, 'exit', 'continue') ? findAt(c, range, i => isWord(c, i, 'when')) : from
    const query = isWord(c, from + 1, 'query')
    if (query ? cutQuery(c, { from: from + 2, to }) : cutExpression(c, { from: when + 1, to }))
      throw new Underivable(c, range)
    return false
  }
  if (isWord(c, from, 'for', 'foreach')) {
    const rows = { from: findAt(c, after, i => isWord(c, i, 'in')) + 1, to }
    const isQuery = isWord(c, rows.from, 'select', 'with', 'insert', 'update', 'delete')
    if (isQuery ? cutQuery(c, rows) : cutExpression(c, rows)) throw new Underivable(c, range)
    return false
  }
  if (isWord(c, from, 'perform')) return cutQuery(c, range)
  const assigned = findAt(c, range, i => c.tokens[i]!.raw === ':=')
  if (assigned > 0) return cutExpression(c, { from: assigned + 1, to })
  return cutStatement(c, range)
}

/** The items of a list in brackets that an index is defined on, without what is left out; null for none. */
export async function cutDefinition(text: string, out: LeftOut): Promise<string | null> {
  if (!out.named.test(text)) return text
  const c = await cuttingOf(text, out)
  return cutIndex(c, { from: 0, to: c.tokens.length }) ? null : c.apply()
}

/** True for a call, an index or a name in a text that is left out, wherever it is. */
export async function isMentioned(text: string, out: LeftOut): Promise<boolean> {
  if (!out.named.test(text)) return false
  const c = await cuttingOf(text, out)
  return mentions(c, { from: 0, to: c.tokens.length })
}
