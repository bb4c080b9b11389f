import { type Db, ident, literal } from '../database/types.js'
import { parseStatements, relationName, type Statement, scanTokens } from '../files/statements.js'
import { anyValue, type SeededColumn, seededColumns } from './fit_seeds.sql.js'

/** Uuids of a file that were replaced, each with the number that replaces it. */
export type Renumbered = Map<string, string>

/** The first id for seeds of a table with numbers as ids. Numbers that high are rarely used. */
const firstNumber = 2_147_000_000

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Adapts the statements that seed a check to the actual tables. Required columns that the track does not know
 * get a value: that of another row if it may repeat, else one of their type. Where the table has numbers as
 * ids, uuids of the file become numbers. A column for which no value is known, such as a reference to another
 * seeded row, is left out, and the server refuses the row.
 */
export async function fitSeeds(tx: Db, text: string, renumbered: Renumbered): Promise<string> {
  const inserts = (await parseStatements(text)).filter(
    s => s.kind === 'InsertStmt' && s.node.cols && s.node.selectStmt?.SelectStmt?.valuesLists,
  )
  const seeded = new Set(inserts.map(s => relationName(s.node.relation)))
  const columns = await seededColumns(tx, [...seeded])
  let fitted = text
  // from the last one, so that the offsets of the others stay valid
  for (const s of inserts.reverse()) {
    const own = columns.filter(c => c.table === relationName(s.node.relation))
    const given: string[] = s.node.cols.map((c: { ResTarget: { name: string } }) => c.ResTarget.name)
    renumberIds(s, given, own, renumbered)
    const added: { column: string; value: string }[] = []
    for (const c of own.filter(c => c.isRequired && !given.includes(c.name))) {
      const value = await valueFor(tx, c, seeded)
      if (value !== null) added.push({ column: ident(c.name), value })
    }
    const overrides =
      own.some(c => c.isIdentity && given.includes(c.name)) && !s.node.override?.match(/SYSTEM/)
    const statement = await withColumns(s, added, overrides)
    fitted = fitted.slice(0, s.offset) + statement + fitted.slice(s.offset + s.text.length)
  }
  return renumber(fitted, renumbered)
}

/** Replaces the same uuids in another text of the check, such as a call of its personas. */
export const renumber = (text: string, renumbered: Renumbered): string =>
  [...renumbered].reduce((all, [id, n]) => all.replaceAll(id, n), text)

async function valueFor(tx: Db, c: SeededColumn, seeded: ReadonlySet<string>): Promise<string | null> {
  // whose row it is decides what the check finds, so the track must say it
  if (c.refersTo && seeded.has(c.refersTo.table)) return null
  const other = c.refersTo
    ? await anyValue(tx, c.refersTo.table, c.refersTo.column)
    : c.isUnique
      ? null
      : await anyValue(tx, c.table, c.name)
  return other === null ? (c.refersTo ? null : c.made) : literal(other)
}

/** Assigns a number to each uuid in a column of integers. */
function renumberIds(s: Statement, given: string[], own: SeededColumn[], renumbered: Renumbered): void {
  for (const { List } of s.node.selectStmt.SelectStmt.valuesLists)
    for (const [i, item] of List.items.entries()) {
      const value: string | undefined = item.A_Const?.sval?.sval
      if (!value || !uuid.test(value) || renumbered.has(value)) continue
      if (own.find(c => c.name === given[i])?.isInteger) {
        renumbered.set(value, String(firstNumber + renumbered.size))
      }
    }
}

/** An INSERT of literal rows, with further columns. */
async function withColumns(
  { text }: Statement,
  added: { column: string; value: string }[],
  overrides: boolean,
): Promise<string> {
  const insertions: { at: number; text: string }[] = []
  const further = (values: string[]) => values.map(v => `, ${v}`).join('')
  let depth = 0
  let part: 'columns' | 'between' | 'rows' | 'rest' = 'columns'
  for (const token of await scanTokens(text)) {
    if (token.text === ')') depth--
    if (depth === 0 && token.text === ')' && part === 'columns') {
      insertions.push({ at: token.start, text: further(added.map(a => a.column)) })
      if (overrides) insertions.push({ at: token.end, text: ' overriding system value' })
      part = 'between'
    } else if (depth === 0 && token.text === ')' && part === 'rows')
      insertions.push({ at: token.start, text: further(added.map(a => a.value)) })
    if (depth === 0 && part === 'between' && /^values$/i.test(token.text)) part = 'rows'
    else if (depth === 0 && part === 'rows' && !['(', ')', ','].includes(token.text)) part = 'rest'
    if (token.text === '(') depth++
  }
  return insertions
    .reverse()
    .reduce((all, { at, text: more }) => all.slice(0, at) + more + all.slice(at), text)
}
