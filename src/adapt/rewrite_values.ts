import type { Node } from '../files/statements.js'
import { closing, type Edits, itemsIn } from './edits.js'
import type { Rewrite } from './scope.js'

/** Tokens of one value. */
interface Item {
  first: number
  last: number
}

/**
 * Rewrites the values of an INSERT for their columns. In probes, adds values for further required columns.
 */
export function rewriteValues(to: Rewrite, columns: Node[], query: Node, table: string): void {
  const { edits, names } = to
  const bound = columns.map(c => names.column(table, c.name))
  const absent = columns.map(c => to.probing && names.lacks(table, c.name))
  const more = to.probing ? names.filled(table) : []
  const always = bound.some(b => b?.always)
  if (!bound.some(b => b?.writes) && !absent.includes(true) && more.length === 0 && !always) return
  if (columns.length === 0) return
  const lists: Item[][] = query.valuesLists
    ? query.valuesLists.map((list: Node) => itemsIn(edits, opening(edits, edits.at(firstLocation(list)))))
    : [selectItems(edits, query)]
  for (const items of lists) {
    for (const [n, item] of items.entries()) {
      const writes = bound[n]?.writes
      if (absent[n]) leaveOut(edits, items, n)
      else if (writes) wrap(to, item, writes)
    }
    addItems(
      edits,
      items,
      more.map(m => m.value),
    )
  }
  const named = columns.map(c => ({ first: edits.at(c.location), last: edits.at(c.location) }))
  for (const n of named.keys()) if (absent[n]) leaveOut(edits, named, n)
  addItems(
    edits,
    named,
    more.map(m => m.text),
  )
  if (always) {
    const end = edits.tokens[closing(edits, opening(edits, named[0]!.first))]!.end
    edits.replace(end, end, ' overriding system value')
  }
}

/** Removes an item from a list, with its comma. */
function leaveOut(edits: Edits, items: Item[], n: number): void {
  const { first, last } = items[n]!
  const before = items[n - 1]
  const start = before ? edits.tokens[before.last]!.end : edits.tokens[first]!.start
  const end = before ? edits.tokens[last]!.end : edits.tokens[items[n + 1]?.first ?? last]!.start
  edits.replace(start, end, '')
}

function addItems(edits: Edits, items: Item[], texts: string[]): void {
  const end = edits.tokens[items.at(-1)!.last]!.end
  if (texts.length > 0) edits.replace(end, end, texts.map(t => `, ${t}`).join(''))
}

/** Index of the bracket that opens the list around a token. */
function opening({ tokens }: Edits, at: number): number {
  let depth = 0
  for (let i = at; i >= 0; i--) {
    if (tokens[i]!.raw === ')') depth++
    if (tokens[i]!.raw === '(' && depth-- === 0) return i
  }
  return 0
}

/** The smallest position in a tree. Nodes that the parser adds have the position -1 and are skipped. */
function firstLocation(node: unknown): number {
  let least = Number.POSITIVE_INFINITY
  JSON.stringify(node, (key, value) => {
    if (key === 'location' && typeof value === 'number' && value >= 0) least = Math.min(least, value)
    return value
  })
  return least
}

/** Words that end a select list, or the assignments of an UPDATE. */
const afterItems = /^(from|where|group|having|window|union|order|limit|offset|fetch|for|on|returning)$/i

/** Whether a value ends before this token. A name after a dot belongs to it, and so does IS DISTINCT FROM. */
export function endsValue({ tokens }: Edits, at: number): boolean {
  const raw = tokens[at]?.raw
  if (raw === undefined || raw === ',' || raw === ';' || raw === ')') return true
  const before = tokens[at - 1]?.raw ?? ''
  return afterItems.test(raw) && before !== '.' && !(/^from$/i.test(raw) && /^distinct$/i.test(before))
}

/** The items of a select list, each as its first and last token. */
function selectItems(edits: Edits, query: Node): Item[] {
  const first = edits.at(query.targetList[0].ResTarget.location)
  const items: Item[] = []
  let begin = first
  for (let i = first; i <= edits.tokens.length; i++) {
    if (edits.tokens[i]?.raw === '(') i = closing(edits, i)
    else if (endsValue(edits, i)) {
      items.push({ first: begin, last: i - 1 })
      begin = i + 1
      if (edits.tokens[i]?.raw !== ',') return items
    }
  }
  return items
}

/** Inserts the SQL of `writes` around the tokens of a value. */
export function wrap({ edits }: Rewrite, { first, last }: Item, writes: string): void {
  const [before, after] = writes.split('{}') as [string, string]
  const start = edits.tokens[first]!.start
  const end = edits.tokens[last]!.end
  edits.replace(start, start, `(${before}(`)
  edits.replace(end, end, `)${after})`)
}
