import {
  armsOf,
  bracketed,
  clausesOf,
  cutClause,
  insertedRows,
  lostPlaces,
  tableIsLeftOut,
  targetsOf,
} from './cut_clauses.js'
import {
  type Cutting,
  closingOf,
  cutParts,
  findAt,
  isLeftOut,
  isWord,
  itemsOf,
  level,
  mentionsMark,
  putValues,
  readInstead,
  separated,
  type TokenRange,
  Underivable,
  wordAt,
} from './cuts.js'

/** Calls that mean the same with fewer arguments. */
const variadic = ['coalesce', 'greatest', 'least', 'concat']

/**
 * Cuts from an expression what speaks of what is left out: terms of AND and OR, arms of CASE, places in rows.
 * True where nothing is left of it, and nothing is cut.
 */
export function cutExpression(c: Cutting, range: TokenRange): boolean {
  for (const word of ['or', 'and']) {
    let between = false
    const parts = separated(c, range, i => {
      if (isWord(c, i, 'between')) between = true
      if (!isWord(c, i, word)) return 0
      const isOfBetween = between && word === 'and'
      between = false
      return isOfBetween ? 0 : 1
    })
    if (parts.length === 1) continue
    const gone = parts.map(part => cutExpression(c, part))
    const kept = parts.filter((_, n) => !gone[n])
    if (kept.length === 1 && kept.length < parts.length) unwrap(c, range, kept[0]!)
    return cutParts(c, parts, gone)
  }
  return isWord(c, range.from, 'not')
    ? cutExpression(c, { ...range, from: range.from + 1 })
    : cutOperand(c, range)
}

/** Of `((a) and b)` without b leaves `(a)`, as the server prints it. */
function unwrap(c: Cutting, { from, to }: TokenRange, kept: TokenRange): void {
  const isWhole = c.tokens[kept.from]?.raw === '(' && closingOf(c, kept.from) === kept.to - 1
  const before = c.tokens[from - 2]
  const isBare = before === undefined || before.raw === '(' || /^(and|or|not)$/.test(before.name)
  if (!isWhole || !isBare || c.tokens[from - 1]?.raw !== '(' || closingOf(c, from - 1) !== to) return
  c.cut(c.tokens[from - 1]!.start, c.tokens[from - 1]!.end)
  c.cut(c.tokens[to]!.start, c.tokens[to]!.end)
}

/** A term without AND, OR and NOT: it is gone with any part of it. */
function cutOperand(c: Cutting, range: TokenRange): boolean {
  putValues(c, range)
  const compared = cutRows(c, range)
  if (compared !== null) return compared
  let gone = false
  for (const i of level(c, range)) {
    const { raw } = c.tokens[i]!
    if (raw === '(' || raw === '[') gone = cutBrackets(c, i) || gone
    else if (isWord(c, i, 'case')) gone = cutCase(c, i) || gone
    else gone = isLeftOut(c, i) || gone
  }
  return gone
}

function cutBrackets(c: Cutting, i: number): boolean {
  const range = bracketed(c, i)
  if (range.from >= range.to) return false
  if (isWord(c, range.from, 'select', 'with', 'values', 'insert', 'update', 'delete'))
    return cutQuery(c, range)
  const items = itemsOf(c, range)
  const before = c.tokens[i - 1]
  const isCall = before !== undefined && before.end === c.tokens[i]!.start && /^[\w"]/.test(before.raw)
  // what is worked out from a column that is not there is not known either
  if (isCall && mentionsMark(c, range)) return true
  const gone = items.map(item => cutExpression(c, item))
  if (isCall && !variadic.includes(before.name)) return gone.some(Boolean)
  return cutParts(c, items, gone)
}

/** Rows that are compared place by place: what is gone from one of them goes from the other. */
function cutRows(c: Cutting, range: TokenRange): boolean | null {
  const open = [...level(c, range)].filter(i => c.tokens[i]!.raw === '(')
  const [left, right] = open.map(i => itemsOf(c, bracketed(c, i)))
  if (open.length !== 2 || !left || left.length < 2 || left.length !== right?.length) return null
  if (open[0] !== range.from || closingOf(c, open[1]!) !== range.to - 1) return null
  const gone = left.map((item, n) => [item, right[n]!].map(of => cutExpression(c, of)).some(Boolean))
  cutParts(c, left, gone)
  return cutParts(c, right, gone)
}

function cutCase(c: Cutting, i: number): boolean {
  const range = bracketed(c, i)
  const marks = [...level(c, range)].filter(at => isWord(c, at, 'when', 'else'))
  if (cutOperandIn(c, { from: range.from, to: marks[0]! })) return true
  const arms = marks.map((from, n) => ({ from, to: marks[n + 1] ?? range.to }))
  let left = 0
  for (const arm of arms) {
    const then = findAt(c, arm, at => isWord(c, at, 'then'))
    if (then < 0) {
      if (cutExpression(c, { from: arm.from + 1, to: arm.to })) return true
      continue
    }
    const when = { from: arm.from + 1, to: then }
    // which of the arms would be taken is not known
    if (mentionsMark(c, when)) return true
    if (cutExpression(c, when)) {
      c.cut(c.tokens[arm.from]!.start, c.tokens[arm.to]!.start)
      continue
    }
    if (cutExpression(c, { from: then + 1, to: arm.to })) return true
    left++
  }
  return left === 0
}

const cutOperandIn = (c: Cutting, range: TokenRange): boolean =>
  range.from < range.to && cutExpression(c, range)

/**
 * Cuts from a query what speaks of what is left out. True where it is about nothing else, and nothing is cut:
 * all that it reads, all that it asks or all that it returns is left out. `dropped` are places of its columns
 * that whoever inserts them does without.
 */
export function cutQuery(c: Cutting, range: TokenRange, dropped: number[] = []): boolean {
  const main = skipWith(c, range)
  // a UNION in it is of what it inserts
  if (isWord(c, main.from, 'insert')) return cutInsert(c, main)
  const arms = armsOf(c, main)
  if (arms.length === 1) return cutArm(c, main, dropped)
  const last = arms.at(-1)!
  const order = findAt(c, last, i => isWord(c, i, 'order', 'limit', 'offset', 'fetch', 'for'))
  if (order > 0) last.to = order
  return cutParts(
    c,
    arms,
    arms.map(arm => cutArm(c, arm, dropped)),
  )
}

/** A query without its WITH, whose queries have to be of use to somebody still. */
function skipWith(c: Cutting, range: TokenRange): TokenRange {
  if (!isWord(c, range.from, 'with')) return range
  for (const i of level(c, range)) {
    if (i > range.from && isWord(c, i, 'select', 'insert', 'update', 'delete')) return { ...range, from: i }
    if (c.tokens[i]!.raw === '(' && cutBrackets(c, i)) throw new Underivable(c, range)
  }
  return range
}

function cutArm(c: Cutting, range: TokenRange, dropped: number[]): boolean {
  if (c.tokens[range.from]?.raw === '(') return cutBrackets(c, range.from)
  if (isWord(c, range.from, 'update', 'delete') && tableIsLeftOut(c, range)) return true
  const clauses = clausesOf(c, range)
  // first of all, for what it calls rows of tables that are left out
  for (const word of ['from', 'using']) if (clauses.has(word) && cutFrom(c, clauses.get(word)!)) return true
  for (const word of ['where', 'having'])
    if (clauses.has(word) && cutExpression(c, clauses.get(word)!)) return true
  const set = clauses.get('set')
  if (set && cutAssignments(c, set)) return true
  for (const [word, list] of clauses) {
    if ((word === 'select' || word === 'perform') && cutTargets(c, list, clauses.get('into'), dropped))
      return true
    if (word === 'values') for (const row of itemsOf(c, list)) cutRow(c, row.from, dropped)
    if (word === 'order') for (const item of itemsOf(c, list)) readInstead(c, item)
    if (/^(group|order|returning)$/.test(word) && cutList(c, list)) cutClause(c, list, word)
  }
  return false
}

/** Cuts what is assigned to columns that are left out, and what is worked out from them. */
const cutAssignments = (c: Cutting, list: TokenRange): boolean => {
  const items = itemsOf(c, list)
  return cutParts(
    c,
    items,
    items.map(item => isLeftOut(c, item.from) || cutExpression(c, item)),
  )
}

const cutList = (c: Cutting, list: TokenRange): boolean => {
  const items = itemsOf(c, list)
  return (
    items.length > 0 &&
    cutParts(
      c,
      items,
      items.map(item => cutExpression(c, item)),
    )
  )
}

/** A FROM clause: true where its first table is left out. A table that is joined goes with its condition. */
function cutFrom(c: Cutting, list: TokenRange): boolean {
  const items = itemsOf(c, list)
  const gone = items.map(item => {
    const joins = [...level(c, item)].filter(i => isWord(c, i, 'join'))
    // CROSS, LEFT OUTER, INNER: what is before JOIN belongs to it
    const starts = joins.map(i => {
      let at = i
      while (isWord(c, at - 1, 'cross', 'left', 'right', 'full', 'inner', 'outer', 'natural')) at--
      return at
    })
    const first = { from: item.from, to: starts[0] ?? item.to }
    if (cutSource(c, first)) return true
    for (const [n, from] of starts.entries()) {
      const joined = { from: joins[n]! + 1, to: starts[n + 1] ?? item.to }
      const on = findAt(c, joined, i => isWord(c, i, 'on', 'using'))
      if (cutSource(c, { ...joined, to: on < 0 ? joined.to : on }))
        c.cut(c.tokens[from - 1]!.end, c.tokens[joined.to - 1]!.end)
      else if (on > 0 && cutExpression(c, { from: on + 1, to: joined.to })) throw new Underivable(c, item)
    }
    return false
  })
  return gone[0] === true || (items.length > 0 && cutParts(c, items, gone))
}

/** A table, function or query of a FROM clause, and the name that its rows have there. */
function cutSource(c: Cutting, source: TokenRange): boolean {
  if (source.from >= source.to) return false
  const at = isWord(c, source.from, 'only', 'lateral') ? source.from + 1 : source.from
  const isTable = wordAt(c, at + 1) === '.' && c.tokens[at + 3]?.raw !== '('
  if (!isTable) return cutOperand(c, source)
  if (!isLeftOut(c, at)) return false
  const alias = at + 3 + (isWord(c, at + 3, 'as') ? 1 : 0)
  c.aliases.add(alias < source.to ? wordAt(c, alias) : wordAt(c, at + 2))
  return true
}

/** A select list; what INTO names is at the same places. */
function cutTargets(c: Cutting, list: TokenRange, into: TokenRange | undefined, dropped: number[]): boolean {
  const items = targetsOf(c, list)
  const gone = goneItems(c, items, dropped)
  if (items.length === 0 || !gone.some(Boolean)) return false
  const variables = into ? itemsOf(c, into) : []
  if (variables.length > 1) cutParts(c, variables, gone)
  return cutParts(c, items, gone)
}

/** A row of VALUES, without the places of columns that are left out. */
function cutRow(c: Cutting, open: number, dropped: number[]): void {
  const items = itemsOf(c, bracketed(c, open))
  cutParts(c, items, goneItems(c, items, dropped))
}

const goneItems = (c: Cutting, items: TokenRange[], dropped: number[]): boolean[] =>
  items.map((item, n) => {
    readInstead(c, item)
    return cutExpression(c, item) || dropped.includes(n)
  })

function cutInsert(c: Cutting, range: TokenRange): boolean {
  if (tableIsLeftOut(c, range)) return true
  const body = findAt(c, range, i => isWord(c, i, 'values', 'select', 'with', 'default'))
  const conflict = findAt(c, range, i => isWord(c, i, 'on') && isWord(c, i + 1, 'conflict'))
  const columns = findAt(c, { from: range.from, to: body }, i => c.tokens[i]!.raw === '(')
  const names = columns < 0 ? [] : itemsOf(c, bracketed(c, columns))
  const rows = { from: body, to: conflict < 0 ? range.to : conflict }
  const values = body < 0 ? [] : insertedRows(c, rows)
  for (const item of values.flat()) readInstead(c, item)
  const lost = lostPlaces(c, values)
  const gone = names.map((name, n) => isLeftOut(c, name.from) || lost.includes(n))
  if (names.length > 0 && cutParts(c, names, gone)) return true
  const dropped = gone.flatMap((is, n) => (is ? [n] : []))
  if (cutQuery(c, rows, dropped)) return true
  if (conflict < 0) return false
  const rest = { from: conflict, to: range.to }
  const target = findAt(c, rest, i => c.tokens[i]!.raw === '(')
  if (target > 0 && isWord(c, target - 1, 'conflict')) cutBrackets(c, target)
  const clauses = clausesOf(c, rest)
  const set = clauses.get('set')
  if (set && cutAssignments(c, set)) throw new Underivable(c, rest)
  const where = clauses.get('where')
  if (where && cutExpression(c, where)) cutClause(c, where, 'where')
  return false
}
