import { type Db, ident, literal } from '../database/types.js'
import { type Node, parseStatements, relationName, type Statement, scanTokens } from '../files/statements.js'
import { anyValue, parentRows, type SeededColumn, seededColumns } from './fit_seeds.sql.js'
import { whyNotAct } from './lent_rights.js'
import { reachingOut } from './probes.sql.js'

/** Uuids of a file that were replaced, each with the number that replaces it. */
export type Renumbered = Map<string, string>

/** The first id for seeds of a table with numbers as ids. Numbers that high are rarely used. */
const firstNumber = 2_147_000_000

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * The statements that seed a check, for the tables as somebody has them: columns of which the track knows
 * nothing and that must be given get a value (that of another row where it may repeat, else one of their
 * type), and ids that are uuids in the file become numbers where the table has numbers. Rows that they refer
 * to in tables which no seed writes are made first. What cannot be given a value, such as a key to another
 * seeded row, is left to the server to refuse. `written` are tables that other seeds write; null for
 * statements of a persona, who make no rows for others.
 */
export async function fitSeeds(
  tx: Db,
  text: string,
  renumbered: Renumbered,
  written: ReadonlySet<string> | null = null,
): Promise<string> {
  const writes = (await parseStatements(text)).filter(s => s.kind === 'InsertStmt')
  const inserts = writes.filter(s => s.node.cols && s.node.selectStmt?.SelectStmt?.valuesLists)
  const tables = new Set(writes.map(s => relationName(s.node.relation)))
  const seeded = new Set([...(written ?? []), ...tables])
  const columns = await seededColumns(tx, [...tables])
  let fitted = text
  // from the last one, so that the offsets of the others stay valid
  for (const s of inserts.reverse()) {
    const own = columns.filter(c => c.table === relationName(s.node.relation))
    const given: string[] = s.node.cols.map((c: { ResTarget: { name: string } }) => c.ResTarget.name)
    const parents: string[] = []
    for (const c of written === null ? [] : own)
      parents.push(...(await seedParent(tx, s, given.indexOf(c.name), c, seeded, renumbered)))
    renumberIds(s, given, own, renumbered)
    const added: { column: string; value: string }[] = []
    for (const c of own.filter(c => c.isRequired && !given.includes(c.name))) {
      const value = await valueFor(tx, c, written === null ? seeded : noTables)
      if (value !== null) added.push({ column: ident(c.name), value })
    }
    const overrides =
      own.some(c => c.isIdentity && given.includes(c.name)) && !s.node.override?.match(/SYSTEM/)
    const filled = await withColumns(s, added, overrides)
    // a trigger of the table that it refers to may have made the row
    const statement =
      parents.length > 0 && !s.node.onConflictClause && !s.node.returningClause
        ? `${parents.join('\n')}\n${filled} on conflict do nothing`
        : filled
    fitted = fitted.slice(0, s.offset) + statement + fitted.slice(s.offset + s.text.length)
  }
  return renumber(fitted, renumbered)
}

/**
 * The rows that a given column refers to, in a table that no seed writes: people who stand in a table of the
 * application's own stand in another one too. None where writing them would run what no probe may.
 */
async function seedParent(
  tx: Db,
  s: Statement,
  at: number,
  { refersTo }: SeededColumn,
  seeded: ReadonlySet<string>,
  renumbered: Renumbered,
): Promise<string[]> {
  if (at < 0 || refersTo === null || seeded.has(refersTo.table)) return []
  const { table, column } = refersTo
  const ids: string[] = s.node.selectStmt.SelectStmt.valuesLists.flatMap(
    ({ List }: { List: { items: Node[] } }) => List.items[at]?.A_Const?.sval?.sval ?? [],
  )
  if (ids.length === 0) return []
  if ((await reachingOut(tx, [table])).length > 0 || (await whyNotAct(tx, [table], 'writes')) !== null)
    return []
  const rows = [...new Set(ids)].map(id => `(${literal(id)})`).join(', ')
  return [await fitSeeds(tx, `${parentRows(table, column, rows)};`, renumbered, new Set([...seeded, table]))]
}

/** A text of the same check, such as a call of its personas, with the numbers that its seeds were given. */
export const renumber = (text: string, renumbered: Renumbered): string =>
  [...renumbered].reduce((all, [id, n]) => all.replaceAll(id, n), text)

const noTables: ReadonlySet<string> = new Set()

/** The value of a column of which the track knows nothing. Null where only the track could say it. */
async function valueFor(tx: Db, c: SeededColumn, seeded: ReadonlySet<string>): Promise<string | null> {
  // what a persona writes is theirs; what stands there for them may be anybody's who is none of them
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
