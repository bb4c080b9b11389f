import { partText } from '../model/table_name.js'
import { editsOf, type SqlToken } from './edits.js'
import type { LeftOut } from './left_out.js'

/** Tokens from one index up to another, which is not among them. */
export interface TokenRange {
  from: number
  to: number
}

/** A text from which parts are cut. A cut within a larger one is lost with it. */
export interface Cutting {
  text: string
  tokens: SqlToken[]
  out: LeftOut
  /** Names that FROM clauses give to tables which are left out. */
  aliases: Set<string>
  /** Indexes of columns in whose place another is read. */
  replaced: Set<number>
  /** Cuts what is between two positions, or puts something in its place. */
  cut(start: number, end: number, by?: string): void
  /** The text without what was cut. */
  apply(): string
}

/** Opens a text for cuts. Throws SyntaxFault where the scanner cannot read it. */
export async function cuttingOf(text: string, out: LeftOut): Promise<Cutting> {
  const { tokens } = await editsOf(text)
  const cuts: { start: number; end: number; by: string }[] = []
  return {
    text,
    tokens,
    out,
    aliases: new Set(),
    replaced: new Set(),
    cut: (start, end, by = '') => void cuts.push({ start, end, by }),
    apply() {
      cuts.sort((a, b) => a.start - b.start || b.end - a.end)
      let result = ''
      let at = 0
      for (const { start, end, by } of cuts) {
        if (end <= at && at > 0) continue
        // two cuts that meet in one stretch of white space are one
        result += text.slice(at, Math.max(at, start)) + by
        at = end
      }
      return result + text.slice(at)
    },
  }
}

/** The word, name or sign at an index, folded as the server reads it. */
export const wordAt = (c: Cutting, i: number): string => c.tokens[i]?.name ?? ''

/** True where one of some words is at an index, and is no quoted name or literal. */
export const isWord = (c: Cutting, i: number, ...words: string[]): boolean =>
  words.includes(wordAt(c, i)) && !/^["'$]/.test(c.tokens[i]!.raw)

/** Index of what closes a bracket or a CASE; the index itself where nothing opens. */
export function closingOf(c: Cutting, i: number): number {
  const raw = c.tokens[i]?.raw
  const isCase = isWord(c, i, 'case')
  if (raw !== '(' && raw !== '[' && !isCase) return i
  let depth = 0
  for (let at = i; at < c.tokens.length; at++) {
    const { raw: now } = c.tokens[at]!
    if (isCase ? isWord(c, at, 'case') : now === '(' || now === '[') depth++
    else if ((isCase ? isWord(c, at, 'end') : now === ')' || now === ']') && --depth === 0) return at
  }
  return c.tokens.length - 1
}

/** The indexes of a range, where what is in brackets or a CASE counts as one, by what opens it. */
export function* level(c: Cutting, { from, to }: TokenRange): Generator<number> {
  for (let i = from; i < to; i = closingOf(c, i) + 1) yield i
}

/** The first index of a range at which a test holds outside of brackets; -1 for none. */
export function findAt(c: Cutting, range: TokenRange, test: (i: number) => boolean): number {
  for (const i of level(c, range)) if (test(i)) return i
  return -1
}

/** A range in its parts: `separator` gives the number of tokens that separate two of them at an index. */
export function separated(c: Cutting, range: TokenRange, separator: (i: number) => number): TokenRange[] {
  const parts: TokenRange[] = []
  let from = range.from
  for (const i of level(c, range)) {
    const length = i < from ? 0 : separator(i)
    if (length === 0) continue
    parts.push({ from, to: i })
    from = i + length
  }
  return [...parts, { from, to: range.to }]
}

/** A range in its parts between commas. */
export const itemsOf = (c: Cutting, range: TokenRange): TokenRange[] =>
  range.from >= range.to ? [] : separated(c, range, i => (c.tokens[i]!.raw === ',' ? 1 : 0))

const afterBlank = (text: string, at: number): number => at + /^\s*/.exec(text.slice(at))![0].length

/**
 * Cuts those parts of a list, with what separates them, that are gone; comments between them stay. True where
 * all are gone, and nothing is cut.
 */
export function cutParts(c: Cutting, parts: TokenRange[], gone: boolean[]): boolean {
  if (gone.every(Boolean)) return true
  const lastKept = gone.lastIndexOf(false)
  for (const [n, part] of parts.entries()) {
    if (!gone[n]) continue
    const next = parts[n + 1]
    const start = c.tokens[part.from]!.start
    if (n < lastKept) c.cut(start, afterBlank(c.text, c.tokens[next!.from - 1]!.end))
    else c.cut(c.tokens[parts[lastKept]!.to - 1]!.end, c.tokens[part.to - 1]!.end)
  }
  return false
}

/**
 * True where a table, function or column that is left out is named at an index, or a name for its rows. A
 * literal may be the name of a column that its table lacks, for a query over the catalog.
 */
export function isLeftOut(c: Cutting, i: number): boolean {
  const token = c.tokens[i]!
  if (token.raw.startsWith("'") && c.out.marks.has(token.raw.slice(1, -1))) return true
  if (/^['$]/.test(token.raw) || token.kind === 'SCONST' || c.replaced.has(i)) return false
  if (c.out.columns.has(token.name)) return true
  if (c.tokens[i + 1]?.raw !== '.') return false
  return c.aliases.has(token.name) || c.out.objects.has(`${token.name}.${wordAt(c, i + 2)}`)
}

/** True where anything that is left out is named in a range, in brackets too. */
export function mentions(c: Cutting, { from, to }: TokenRange): boolean {
  for (let i = from; i < to; i++) if (isLeftOut(c, i)) return true
  return false
}

/** True where a column is named in a range that its table lacks, in brackets too. */
export const mentionsMark = (c: Cutting, range: TokenRange): boolean => marksIn(c, range).length > 0

const marksIn = (c: Cutting, { from, to }: TokenRange): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, n) => from + n).filter(
    i => c.out.marks.has(wordAt(c, i)) && isLeftOut(c, i),
  )

/** Reads other columns in place of those that their tables lack, if there is one for each in a range. */
export function readInstead(c: Cutting, range: TokenRange): void {
  putValues(c, range)
  const found = marksIn(c, range).map(i => ({ i, by: c.out.marks.get(wordAt(c, i))!.instead }))
  if (found.some(({ by }) => by === undefined)) return
  for (const { i, by } of found) {
    c.cut(c.tokens[i]!.start, c.tokens[i]!.end, partText(by!))
    c.replaced.add(i)
  }
}

/** Reads the value that all rows have in place of columns that their tables lack. */
export function putValues(c: Cutting, range: TokenRange): void {
  for (const i of marksIn(c, range)) {
    const { value } = c.out.marks.get(wordAt(c, i))!
    if (value === undefined) continue
    let first = i
    while (first - 2 >= range.from && c.tokens[first - 1]!.raw === '.') first -= 2
    c.cut(c.tokens[first]!.start, c.tokens[i]!.end, value)
    c.replaced.add(i)
  }
}

/** Cuts the items of a list that mention what is left out. True where all do, and nothing is cut. */
export function cutMentioned(c: Cutting, range: TokenRange): boolean {
  const items = itemsOf(c, range)
  return cutParts(
    c,
    items,
    items.map(item => mentions(c, item)),
  )
}

/** A part of a file that cannot be derived without a role. */
export class Underivable extends Error {
  constructor(c: Cutting, { from, to }: TokenRange) {
    super(c.text.slice(c.tokens[from]!.start, c.tokens[to - 1]!.end))
  }
}
