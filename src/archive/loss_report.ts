import { columnFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isSqlState } from '../database/faults.js'
import { type DroppedObject, droppedObjects } from '../files/dropped_objects.js'
import { parseStatements, type Statement } from '../files/statements.js'
import { bookkeepingOf } from '../files/track_objects.js'
import type { Migration, Rollback, Track } from '../model/project.js'
import type { Finding } from '../model/report.js'
import { columnText, partText, tableText } from '../model/table_name.js'
import { holdings, relationsOf } from '../run/refuse_destruction.sql.js'
import { refusal, whyNotArchived } from '../run/why_not_archived.js'
import { type LossRow, lossOf, riskOf } from './loss_report.sql.js'
import { rehearsePutBack } from './rehearse_put_back.js'

/** Something that a rollback takes away. */
export interface ObjectAtRisk {
  migration: string
  /** Name with its schema, as SQL. */
  table: string
  /** Null for the whole table, and for rows. */
  column: string | null
  /** True for the rows that a DELETE removes: how many, only the DELETE shows. */
  rows: boolean
  /** Predicate for what a repeated migrate makes again. */
  ours: string | null
}

/** An object that would go, and whose rows they are; null where only the statement itself shows it. */
export interface Loss extends ObjectAtRisk {
  counted: LossRow | null
  /** Rows that would be lost without an archive: edited since, or made by users. */
  atRisk: number
}

/**
 * The tables, columns and rows that rollback files take away, as far as they exist, and what
 * of it no archive can hold.
 */
export async function droppedBy(
  connection: Connection,
  track: Track,
  migrations: Migration[],
): Promise<{ found: ObjectAtRisk[]; refused: Finding[] }> {
  const found = new Map<string, ObjectAtRisk>()
  const refused: Finding[] = []
  const drops = (
    await Promise.all(
      migrations.map(async m =>
        m.rollback
          ? (await dropsOf(track, m.rollback)).map(d => ({ ...d, migration: m.name, rollback: m.rollback! }))
          : [],
      ),
    )
  ).flat()
  // one question for all of them, however many files there are
  const relations = await relationsOf(
    connection.sql,
    drops.flatMap(d => ('table' in d.object ? [d.object.table] : [])),
  )
  for (const { statement, object, migration, rollback } of drops) {
    const table = 'table' in object ? object.table : null
    const relation = table ? relations.shift() : undefined
    if (table && (!relation || relation.temporary)) continue
    const left = object.kind === 'schema' ? [...((await holdings(connection.sql)) ?? []).values()] : []
    const standing = left.filter(h => !found.has(keyOfRisk(tableText(h), null, false)))
    const why = await whyNotArchived(connection.sql, statement, object, relation ?? null, standing)
    if (why) {
      refused.push(refusal(statement, rollback.file, [why], 'archive', 'refused'))
      continue
    }
    if (!relation || !['r', 'p'].includes(relation.kind)) continue
    const column = 'column' in object ? object.column : null
    if (column !== null && !(await columnFacts(connection.sql, relation.text, column))) continue
    const rows = object.kind === 'rows'
    const ours = oursOf(rollback, column === null ? relation.text : columnText(relation, column))
    const key = keyOfRisk(relation.text, column, rows)
    if (!found.has(key)) found.set(key, { migration, table: relation.text, column, rows, ours })
  }
  return { found: [...found.values()], refused }
}

const keyOfRisk = (table: string, column: string | null, rows: boolean): string =>
  JSON.stringify([table, column, rows])

/** DROP of what holds no rows, followed by a name: nothing that `alter table ... drop view` could mean. */
const harmless =
  /\bdrop\s+(index|policy|trigger|function|procedure|routine|aggregate|view|sequence|rule)\s+(concurrently\s+)?(if\s+exists\s+)?(?!if\b|cascade\b|restrict\b)["\w]/gi

/** The words without which a file takes nothing away by a statement that names it. */
const mayTake = /\b(drop|truncate|delete|merge|type)\b/i

/**
 * What a rollback file takes away, by the statements that name it. The parser is 1 MB of WebAssembly and
 * `status` starts without it: a file that has none of the words is not parsed.
 */
async function dropsOf(
  track: Track,
  rollback: Rollback,
): Promise<{ statement: Statement; object: DroppedObject }[]> {
  if (!mayTake.test(rollback.file.text.replace(harmless, ''))) return []
  const temporary = new Set<string>()
  const drops: { statement: Statement; object: DroppedObject }[] = []
  for (const statement of await parseStatements(rollback.file.text)) {
    const made = statement.node.relation ?? statement.node.into?.rel
    if (/^Create(TableAs)?Stmt$/.test(statement.kind) && made.relpersistence === 't')
      temporary.add(made.relname)
    for (const object of droppedObjects(statement)) {
      if (object.kind === 'unknown' || (object.kind === 'rows' && object.kept)) continue
      // a temporary table of the file comes before all others of its name
      if ('table' in object && object.table.schema === null && temporary.has(object.table.name)) continue
      drops.push({ statement, object })
    }
  }
  if (drops.length === 0) return []
  const spared = await bookkeepingOf(track.migrations)
  return drops.filter(({ object: o }) => !('table' in o && spared.has(tableText(o.table))))
}

/** The predicate for what a repeated migrate makes again, of a table or column by its name as SQL. */
export const oursOf = (rollback: Rollback, object: string): string | null =>
  rollback.ours.find(o => o.object === object)?.predicate ?? null

/** The loss report: for each object that would go, whose rows they are. */
export async function losses(
  connection: Connection,
  track: string,
  objects: ObjectAtRisk[],
): Promise<Loss[]> {
  const found: Loss[] = []
  for (const d of objects) {
    if (d.rows) {
      found.push({ ...d, counted: null, atRisk: 0 })
      continue
    }
    const counted = await lossOf(connection.sql, track, d.table, d.column, d.ours)
    // a column's value that a repeated migrate makes again is no loss, whoever wrote the row since
    found.push({ ...d, counted, atRisk: d.column ? counted.users : counted.edited + counted.users })
  }
  return found
}

/**
 * Rows at risk if these migrations were rolled back now; null when that takes longer to know than the time-
 * out, or is not ours to know.
 */
export async function atRisk(
  connection: Connection,
  track: Track,
  migrations: Migration[],
  timeoutMs: number,
): Promise<number | null> {
  try {
    const { found } = await droppedBy(connection, track, migrations)
    // what a rollback takes from the quarantine, it has put back
    const objects = found.filter(d => !(d.rows && d.table === 'rethread_archive.quarantine'))
    // nor is nothing at risk where what was set aside would not go back
    const rehearsed = await rehearsePutBack(connection, [...migrations].reverse(), 50, timeoutMs)
    if (rehearsed.refused.length > 0 || !rehearsed.complete) return null
    if (objects.length === 0) return 0
    // which rows a DELETE removes, only the DELETE shows
    if (objects.some(d => d.rows)) return null
    return (await connection.sql.begin(async tx => {
      // also the size of a table waits for its locks
      await setLocal(tx, 50, timeoutMs)
      return await riskOf(tx, track.name, objects)
    })) as number
  } catch (error) {
    // the time-out of the look, a lock that is not waited for, rows or tables that this role may not see
    if (!isSqlState(error, '57014', '55P03', '42501')) throw error
    return null
  }
}

async function rollbackFlags(track: Track, migrations: Migration[], database: string): Promise<string> {
  for (const m of migrations) {
    const drops = m.rollback ? await dropsOf(track, m.rollback) : []
    if (drops.some(d => d.object.kind !== 'values')) return ` --allow DELETES_DATA --confirm ${database}`
  }
  return ''
}

/**
 * How far a rollback goes that leaves `wanted`, or nothing: the place of the first that it undoes, and the
 * command that shows what it would take away. A migration that is undone together with an earlier one takes
 * the target further back: a command that would be refused is no way back.
 */
export function rollbackRange(
  track: Track,
  wanted: Migration | null,
  applied: Migration[],
): { from: number; command: string } {
  const places = new Map(applied.map((m, i) => [m.name, i]))
  let from = wanted ? applied.indexOf(wanted) + 1 : 0
  for (let i = applied.length - 1; i >= from; i--) {
    const covering = places.get(applied[i]!.undoneBy ?? '')
    if (covering !== undefined) from = Math.min(from, covering)
  }
  const to = applied[from - 1]
  return { from, command: `rethread rollback --track ${track.name} ${to ? `--to ${to.name}` : '--all'}` }
}

/** The rollback command, ready to paste, with the consent that it needs. */
export async function rollbackCommand(
  track: Track,
  wanted: Migration | null,
  applied: Migration[],
  database: string,
): Promise<string> {
  const { from, command } = rollbackRange(track, wanted, applied)
  return `${command}${await rollbackFlags(track, applied.slice(from), database)}`
}

/** How a report names something that a rollback takes away. */
export const nameOf = (d: ObjectAtRisk): string =>
  d.column ? `${d.table}.${partText(d.column)}` : d.rows ? `rows of ${d.table}` : d.table
