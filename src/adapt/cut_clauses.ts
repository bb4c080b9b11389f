import {
  type Cutting,
  closingOf,
  isLeftOut,
  isWord,
  itemsOf,
  level,
  mentionsMark,
  separated,
  type TokenRange,
  wordAt,
} from './cuts.js'

/** What is between the brackets at an index. */
export const bracketed = (c: Cutting, i: number): TokenRange => ({ from: i + 1, to: closingOf(c, i) })

/** Words that begin the clauses of a query. */
const clauseWords = [
  'select',
  'perform',
  'into',
  'from',
  'using',
  'where',
  'group',
  'having',
  'window',
  'order',
  'limit',
  'offset',
  'fetch',
  'for',
  'returning',
  'set',
  'values',
]

/** The clauses of a query by their first word, each without that word. */
export function clausesOf(c: Cutting, range: TokenRange): Map<string, TokenRange> {
  const found = new Map<string, TokenRange>()
  let open: string | null = null
  for (const i of level(c, range)) {
    const isDistinct = isWord(c, i, 'from') && isWord(c, i - 1, 'distinct')
    const isTarget = isWord(c, i, 'into') && isWord(c, i - 1, 'insert')
    // that of a join belongs to it
    const isJoined = isWord(c, i, 'using') && !isWord(c, range.from, 'delete')
    if (!isWord(c, i, ...clauseWords) || isDistinct || isTarget || isJoined || found.has(wordAt(c, i)))
      continue
    if (open !== null) found.get(open)!.to = i
    open = wordAt(c, i)
    found.set(open, { from: i + 1 + (isWord(c, i + 1, 'by') ? 1 : 0), to: range.to })
  }
  return found
}

/** True where the table that is written, the first that is named, is left out. */
export const tableIsLeftOut = (c: Cutting, { from }: TokenRange): boolean =>
  isLeftOut(c, from + (isWord(c, from + 1, 'from', 'into', 'only') ? 2 : 1))

/** Cuts a clause with its first words. */
export function cutClause(c: Cutting, list: TokenRange, word: string): void {
  const from = list.from - (word === 'group' || word === 'order' ? 2 : 1)
  c.cut(c.tokens[from - 1]!.end, c.tokens[list.to - 1]!.end)
}

/** The queries of a UNION and its like, and what the last of them begins to be sorted or limited with. */
export const armsOf = (c: Cutting, range: TokenRange): TokenRange[] =>
  separated(c, range, i =>
    isWord(c, i, 'union', 'intersect', 'except') ? (isWord(c, i + 1, 'all', 'distinct') ? 2 : 1) : 0,
  )

/** The items of a select list, without DISTINCT. */
export const targetsOf = (c: Cutting, list: TokenRange): TokenRange[] =>
  itemsOf(c, { ...list, from: isWord(c, list.from, 'distinct', 'all') ? list.from + 1 : list.from })

/** The values of the rows of an INSERT, by row. */
export function insertedRows(c: Cutting, rows: TokenRange): TokenRange[][] {
  return armsOf(c, rows).flatMap(arm => {
    const clauses = clausesOf(c, arm)
    const list = clauses.get('select')
    return list
      ? [targetsOf(c, list)]
      : itemsOf(c, clauses.get('values') ?? { from: 0, to: 0 }).map(row => itemsOf(c, bracketed(c, row.from)))
  })
}

/** Places of rows with values of columns that their tables lack: there the defaults are taken. */
export const lostPlaces = (c: Cutting, rows: TokenRange[][]): number[] =>
  rows.flatMap(items => items.flatMap((item, n) => (mentionsMark(c, item) ? [n] : [])))
