import { createHash } from 'node:crypto'
import { type TableName, tableText } from '../model/table_name.js'
import { memoByText } from './memo.js'

/** A node of PostgreSQL's parse tree, as libpg-query returns it. Its only key is the node's type. */
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
  /** The text between the previous statement and this one: comments, white space, a semicolon. */
  above: string
}

/** A token of PostgreSQL's scanner. Offsets are in characters; libpg-query counts bytes. */
interface Token {
  start: number
  end: number
  text: string
  name: string
  keyword: boolean
}

/** A parse error with the offset of the offending character. */
export class SyntaxFault extends Error {
  constructor(
    message: string,
    readonly offset: number,
  ) {
    super(message)
  }
}

/** Loads libpg-query, 1 MB of WebAssembly, on first use. */
async function parser() {
  const library = await import('libpg-query')
  await library.loadModule()
  return library
}

/** Returns a function that converts byte offsets of libpg-query to character offsets. */
export const charsOf = (text: string, bytes: Buffer) =>
  text.length === bytes.length
    ? (byte: number) => byte
    : (byte: number) => bytes.toString('utf8', 0, byte).length

/**
 * Limit of the caches, in characters of text. A tree needs 12 bytes per character and tokens 9: 20 MB at
 * most.
 */
const rememberedCharacters = 1_000_000

/**
 * The largest file that is read, in characters. The tree of one that is nothing but numbers takes a gigabyte.
 */
export const mostCharacters = 8_000_000

/**
 * Splits and parses a file with PostgreSQL's grammar. Each text is parsed once; the result is frozen. Throws
 * SyntaxFault, also for a text of more than `mostCharacters`.
 */
export const parseStatements = (text: string): Promise<Statement[]> => parsed(withoutByteOrderMark(text))

function refuseTooLarge(text: string): void {
  if (text.length > mostCharacters) throw new SyntaxFault(`it has more than ${mostCharacters} characters`, 0)
}

const parsed = memoByText(rememberedCharacters, async (text): Promise<Statement[]> => {
  if (text.trim() === '') return []
  refuseTooLarge(text)
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
      const node = withoutConstantRows(raw.stmt as unknown as Node)
      const kind = Object.keys(node)[0]!
      const trimmed = whole.slice(lead).replace(/[\s;]+$/, '')
      const offset = chars(from) + lead
      const above = text.slice(end, offset)
      end = offset + trimmed.length
      return { text: trimmed, kind, node: node[kind] as Node, offset, above }
    })
  } catch (error) {
    if (error instanceof Error && hasSqlDetails(error)) {
      // at the end of the input show the end of the last word
      const at = error.sqlDetails?.cursorPosition ?? 0
      throw new SyntaxFault(error.message, Math.min(at, text.trimEnd().length))
    }
    throw error
  }
})

/** Rows of a VALUES list that stay in its tree. */
const rowsParsed = 1000

/**
 * An INSERT whose VALUES list is long, without the later rows that only hold constants. Nobody asks for
 * these, and each walk over the tree would visit them.
 */
function withoutConstantRows(statement: Node): Node {
  const select = statement.InsertStmt?.selectStmt?.SelectStmt
  if (select?.valuesLists?.length > rowsParsed)
    select.valuesLists = select.valuesLists.filter(
      (row: Node, i: number) => i < rowsParsed || !row.List.items.every((item: Node) => item.A_Const),
    )
  return statement
}

/** Parses the body of a `create function` or `do` statement as PL/pgSQL. Throws SyntaxFault. */
export async function parsePlpgsql(statement: string): Promise<Node> {
  const { parsePlPgSQL } = await parser()
  try {
    return (await parsePlPgSQL(statement)) as unknown as Node
  } catch (error) {
    throw new SyntaxFault(error instanceof Error ? error.message : String(error), 0)
  }
}

/** Whether a node of a tree satisfies a test. Outer nodes are tested first. */
export function someNode(tree: unknown, test: (node: Node) => boolean): boolean {
  if (Array.isArray(tree)) return tree.some(part => someNode(part, test))
  if (tree === null || typeof tree !== 'object') return false
  return test(tree as Node) || Object.values(tree).some(part => someNode(part, test))
}

/** Calls a function for every node of a tree, outer nodes first. */
export function visitNodes(tree: unknown, visit: (node: Node) => void): void {
  someNode(tree, node => {
    visit(node)
    return false
  })
}

/** The tables and views that statements name with a schema, as SQL. */
export function relationsNamed(statements: Statement[]): Set<string> {
  const found = new Set<string>()
  for (const s of statements)
    visitNodes(s.node, part => {
      if (typeof part.relname === 'string' && part.schemaname) found.add(relationName(part))
    })
  return found
}

/** The words in a DO block, which may change anything that it names. */
export function wordsOfBlock(node: Node): string[] {
  const body: string =
    node.args?.find((a: Node) => a.DefElem?.defname === 'as')?.DefElem.arg.String.sval ?? ''
  return body.match(/[\p{L}\p{N}_$]+/gu) ?? []
}

/** The statements of a text. Empty if it does not parse, for callers that leave this fault to `lint`. */
export async function statementsOrNone(text: string): Promise<Statement[]> {
  try {
    return await parseStatements(text)
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    return []
  }
}

/**
 * The tokens of a text, with comments. Each text is scanned once; the result is frozen. Throws SyntaxFault.
 */
export const scanTokens = (text: string): Promise<Token[]> => scanned(withoutByteOrderMark(text))

const scanned = memoByText(rememberedCharacters, async (text): Promise<Token[]> => {
  if (text === '') return []
  refuseTooLarge(text)
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
    // the scanner reports an error as invalid JSON, or as an error that begins like this
    const refused =
      error instanceof SyntaxError || (error instanceof Error && /^(syntax error|ERROR)/.test(error.message))
    if (!refused) throw error
    throw new SyntaxFault('the scanner cannot read it', 0)
  }
})

/** Length of the white space and comments before a statement. */
function leadingBlank(text: string): number {
  const match = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/.exec(text)
  return match ? match[0].length : 0
}

/** Removes U+FEFF, as psql does. The server refuses it, and Node keeps it. */
export const withoutByteOrderMark = (text: string): string => text.replace(/^\uFEFF/, '')

/** sha256 in hex of the text without BOM and with normalised line ends. */
export const rawChecksum = (text: string): string =>
  createHash('sha256').update(withoutByteOrderMark(text).replace(/\r\n?/g, '\n')).digest('hex')

/**
 * sha256 of the tokens without comments. It does not change with comments or indentation, except that of a
 * text of more than `rememberedCharacters`, of which it is the raw checksum.
 */
export const tokenChecksum = (text: string): Promise<string> => checksummed(withoutByteOrderMark(text))

const checksummed = memoByText(rememberedCharacters, async text => {
  // its tokens would take more memory than its tree
  if (text.length > rememberedCharacters) return rawChecksum(text)
  const hash = createHash('sha256')
  for (const token of await scanTokens(text)) {
    if (token.name === 'SQL_COMMENT' || token.name === 'C_COMMENT') continue
    // fold keywords and unquoted names to lower case as the server does; keep quoted names and literals
    const folds = token.keyword || (token.name === 'IDENT' && !token.text.startsWith('"'))
    hash.update((folds ? token.text.toLowerCase() : token.text.replace(/\r\n?/g, '\n')) + '\0')
  }
  return hash.digest('hex')
})

/** The line starts of the last text. It is used for each statement of a file. */
let lined: { text: string; starts: number[] } = { text: '', starts: [0] }

function lineStarts(text: string): number[] {
  if (lined.text !== text) {
    const starts = [0]
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    lined = { text, starts }
  }
  return lined.starts
}

/** Line and column (from 1, in characters) of an offset, with the text of the line. */
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

/** The table of a RangeVar. */
export const rangeTable = (range: Node): TableName => ({
  schema: range.schemaname ?? null,
  name: range.relname,
})

/** The table in a list of name parts. */
export const pathTable = (path: string[]): TableName => ({
  schema: path.at(-2) ?? null,
  name: path.at(-1) ?? '',
})

/** `schema.name` of a RangeVar as SQL; `public` if it has no schema. */
export const relationName = (range: Node): string => tableText(rangeTable(range))

/** `schema.name` of a list of name parts as SQL; `public` if it has no schema. */
export const pathName = (path: string[]): string => tableText(pathTable(path))

/** `schema.index` of a named index. It is in the schema of its table. */
export const indexName = (node: Node): string =>
  tableText({ schema: rangeTable(node.relation).schema, name: node.idxname })

/** The strings in a list of String nodes. */
export const strings = (list: Node[] | undefined): string[] =>
  (list ?? []).flatMap(n => (n.List ? strings(n.List.items) : n.String ? [n.String.sval as string] : []))

/** A parse tree as text without positions. Equal for statements with equal meaning. */
export const nodeShape = (node: unknown): string =>
  JSON.stringify(node, (key, value) => (key === 'location' || key.endsWith('_location') ? undefined : value))

/** Whether a command of ALTER TABLE adds a column. */
export const addsColumn = ({ AlterTableCmd: c }: Node): boolean => c?.subtype === 'AT_AddColumn'

/** True for a command of ALTER TABLE that adds a foreign key NOT VALID. */
export function isUnprovenKey({ AlterTableCmd: c }: Node): boolean {
  const added = c?.subtype === 'AT_AddConstraint' ? c.def.Constraint : null
  return added?.contype === 'CONSTR_FOREIGN' && added.skip_validation === true
}
