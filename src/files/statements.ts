import { createHash } from 'node:crypto'
import { type TableName, tableText } from '../model/table_name.js'
import { memoByText } from './memo.js'

/** A node of PostgreSQL's own parse tree, as libpg-query gives it: one key, the node's type. */
// biome-ignore lint/suspicious/noExplicitAny: the tree has hundreds of node types; who reads checks
export type Node = Record<string, any>

/** One statement of a file. */
export interface Statement {
  text: string
  /** Name of the node, such as `UpdateStmt`. */
  kind: string
  node: Node
  /** Offset of the first character in the file. */
  offset: number
  /** What is between the statement before and this one: comments, white space, a semicolon. */
  above: string
}

/** A token of PostgreSQL's own scanner; offsets are characters here (libpg-query counts bytes). */
interface Token {
  start: number
  end: number
  text: string
  name: string
  keyword: boolean
}

/** A parse error, with the offset of the character it points at. */
export class SyntaxFault extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message)
  }
}

/** libpg-query is 1 MB of WebAssembly: loaded when there is something to parse, never for `status`. */
async function parser() {
  const library = await import('libpg-query')
  await library.loadModule()
  return library
}

/** A function from byte offsets, which libpg-query counts in, to character offsets. */
export const charsOf = (text: string, bytes: Buffer) =>
  text.length === bytes.length
    ? (byte: number) => byte
    : (byte: number) => bytes.toString('utf8', 0, byte).length

/**
 * Characters of text whose trees and tokens are remembered: 12 and 9 bytes for each character, 20 MB at
 * most.
 */
const rememberedCharacters = 1_000_000

/**
 * Splits and parses a file by PostgreSQL's own grammar, once for each text; what it returns is
 * frozen. Throws SyntaxFault.
 */
export const parseStatements = (text: string): Promise<Statement[]> => parsed(withoutByteOrderMark(text))

const parsed = memoByText(rememberedCharacters, async (text): Promise<Statement[]> => {
  if (text.trim() === '') return []
  const { parse, hasSqlDetails } = await parser()
  const bytes = Buffer.from(text)
  const chars = charsOf(text, bytes)
  try {
    const tree = await parse(text)
    let end = 0
    return (tree.stmts ?? []).map(raw => {
      const from = raw.stmt_location ?? 0
      const to = raw.stmt_len ? from + raw.stmt_len : bytes.length
      const whole = bytes.toString('utf8', from, to)
      const lead = leadingBlank(whole)
      const node = raw.stmt as unknown as Node
      const kind = Object.keys(node)[0]!
      const trimmed = whole.slice(lead).replace(/[\s;]+$/, '')
      const offset = chars(from) + lead
      const above = text.slice(end, offset)
      end = offset + trimmed.length
      return { text: trimmed, kind, node: node[kind] as Node, offset, above }
    })
  } catch (error) {
    if (error instanceof Error && hasSqlDetails(error)) {
      // at the end of input there is nothing to see: shown is where the last word ends
      const at = error.sqlDetails?.cursorPosition ?? 0
      throw new SyntaxFault(error.message, Math.min(at, text.trimEnd().length))
    }
    throw error
  }
})

/**
 * What PL/pgSQL makes of a `create function` or `do` statement, as libpg-query gives it. Throws
 * SyntaxFault.
 */
export async function parsePlpgsql(statement: string): Promise<Node> {
  const { parsePlPgSQL } = await parser()
  try {
    return (await parsePlPgSQL(statement)) as unknown as Node
  } catch (error) {
    throw new SyntaxFault(error instanceof Error ? error.message : String(error), 0)
  }
}

/** Whether one of the nodes of a tree passes a test; the outer ones are tried first. */
export function someNode(tree: unknown, test: (node: Node) => boolean): boolean {
  if (Array.isArray(tree)) return tree.some(part => someNode(part, test))
  if (tree === null || typeof tree !== 'object') return false
  return test(tree as Node) || Object.values(tree).some(part => someNode(part, test))
}

/** Shows every node of a tree, the outer ones first. */
export function visitNodes(tree: unknown, visit: (node: Node) => void): void {
  someNode(tree, node => {
    visit(node)
    return false
  })
}

/** Every table or view that statements name with its schema, as SQL. */
export function relationsNamed(statements: Statement[]): Set<string> {
  const found = new Set<string>()
  for (const s of statements)
    visitNodes(s.node, part => {
      if (typeof part.relname === 'string' && part.schemaname) found.add(relationName(part))
    })
  return found
}

/** The words in a DO block, which may change whatever it names. */
export function wordsOfBlock(node: Node): string[] {
  const body: string =
    node.args?.find((a: Node) => a.DefElem?.defname === 'as')?.DefElem.arg.String.sval ?? ''
  return body.match(/[\p{L}\p{N}_$]+/gu) ?? []
}

/** The statements of a text, none where it does not parse: for those who leave that to `lint`. */
export async function statementsOrNone(text: string): Promise<Statement[]> {
  try {
    return await parseStatements(text)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return []
  }
}

/** The tokens of a text, comments included; scanned once for each text, and frozen. Throws SyntaxFault. */
export const scanTokens = (text: string): Promise<Token[]> => scanned(withoutByteOrderMark(text))

const scanned = memoByText(rememberedCharacters, async (text): Promise<Token[]> => {
  if (text === '') return []
  const { scan } = await parser()
  const bytes = Buffer.from(text)
  const chars = charsOf(text, bytes)
  try {
    return (await scan(text)).tokens.map(token => ({
      start: chars(token.start),
      end: chars(token.end),
      text: token.text,
      name: token.tokenName,
      keyword: token.keywordKind > 0,
    }))
  } catch (error) {
    // the scanner gives what it has against a text where its JSON should be, or as an
    // error that begins like this
    const refused =
      error instanceof SyntaxError || (error instanceof Error && /^(syntax error|ERROR)/.test(error.message))
    if (!refused) throw error
    throw new SyntaxFault('the scanner cannot read it', 0)
  }
})

/**
 * Length of the white space and comments before a statement, so that its text starts with its first word.
 */
function leadingBlank(text: string): number {
  const match = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(text)
  return match ? match[0].length : 0
}

/** Node keeps U+FEFF, the server chokes on it, psql strips it: we strip it. */
export const withoutByteOrderMark = (text: string): string => text.replace(/^\uFEFF/, '')

/** sha256 of the text with BOM dropped and line ends normalised, hex. */
export const rawChecksum = (text: string): string =>
  createHash('sha256').update(withoutByteOrderMark(text).replace(/\r\n?/g, '\n')).digest('hex')

/** sha256 of the tokens without comments: a licence header or new indentation is not a change. */
export const tokenChecksum = (text: string): Promise<string> => checksummed(withoutByteOrderMark(text))

const checksummed = memoByText(rememberedCharacters, async text => {
  const hash = createHash('sha256')
  for (const token of await scanTokens(text)) {
    if (token.name === 'SQL_COMMENT' || token.name === 'C_COMMENT') continue
    // keywords and bare names fold to lower case as the server folds them; quoted ones and literals stay
    const folds = token.keyword || (token.name === 'IDENT' && !token.text.startsWith('"'))
    hash.update((folds ? token.text.toLowerCase() : token.text.replace(/\r\n?/g, '\n')) + '\0')
  }
  return hash.digest('hex')
})

/** Where the lines of the newest text begin: a long file is asked about for each of its statements. */
let lined: { text: string; starts: number[] } = { text: '', starts: [0] }

function lineStarts(text: string): number[] {
  if (lined.text !== text) {
    const starts = [0]
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    lined = { text, starts }
  }
  return lined.starts
}

/** Line and column (from 1, in characters) of an offset, with the line's text. */
export function lineOf(text: string, offset: number): { line: number; column: number; excerpt: string } {
  const starts = lineStarts(text)
  let [low, high] = [0, starts.length]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (starts[middle]! <= offset) low = middle
    else high = middle
  }
  const excerpt = text.slice(starts[low], (starts[low + 1] ?? text.length + 1) - 1)
  return { line: low + 1, column: offset - starts[low]! + 1, excerpt: excerpt.replace(/\r$/, '') }
}

/** The table that a RangeVar names. */
export const rangeTable = (range: Node): TableName => ({
  schema: range.schemaname ?? null,
  name: range.relname,
})

/** The table that the parts of a dotted name lead to. */
export const pathTable = (path: string[]): TableName => ({
  schema: path.at(-2) ?? null,
  name: path.at(-1) ?? '',
})

/** `schema.name` of a RangeVar as SQL, `public` when it has no schema. */
export const relationName = (range: Node): string => tableText(rangeTable(range))

/** `schema.name` of the parts of a dotted name as SQL, `public` when it has no schema. */
export const pathName = (path: string[]): string => tableText(pathTable(path))

/** `schema.index` of an index that has a name; it is in its table's schema. */
export const indexName = (node: Node): string =>
  tableText({ schema: rangeTable(node.relation).schema, name: node.idxname })

/** The strings of a list of String nodes. */
export const strings = (list: Node[] | undefined): string[] =>
  (list ?? []).flatMap(n => (n.List ? strings(n.List.items) : n.String ? [n.String.sval as string] : []))

/** A parse tree without positions, as text: equal for statements that mean the same. */
export const nodeShape = (node: unknown): string =>
  JSON.stringify(node, (key, value) => (key === 'location' || key.endsWith('_location') ? undefined : value))

/** Whether a command of ALTER TABLE adds a column. */
export const addsColumn = ({ AlterTableCmd: c }: Node): boolean => c?.subtype === 'AT_AddColumn'

/** True for a command of ALTER TABLE that adds a foreign key NOT VALID. */
export function isUnprovenKey({ AlterTableCmd: c }: Node): boolean {
  const added = c?.subtype === 'AT_AddConstraint' ? c.def.Constraint : null
  return added?.contype === 'CONSTR_FOREIGN' && added.skip_validation === true
}
