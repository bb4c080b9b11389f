import { columnFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { isSqlState } from '../database/faults.js'
import { type DroppedObject, droppedObjects } from '../files/dropped_objects.js'
import { parseStatements, type Statement } from '../files/statements.js'
import { bookkeepingOf } from '../files/track_objects.js'
import type { Migration, Rollback, Track } from '../model/project.js'
import type { Finding } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { columnText, partText, tableText } from '../model/table_name.js'
import { holdings, relationsOf } from '../run/refuse_destruction.sql.js'
import { refusal, whyNotArchived } from '../run/why_not_archived.js'
import { type LossRow, lossOf, riskOf } from './loss_report.sql.js'
import { rehearsePutBack } from './rehearse_put_back.js'

/** An object that a rollback deletes. */
export interface ObjectAtRisk {
  migration: string
  /** Its name with the schema, as SQL. */
  table: string
  /** Null for a whole table and for rows. */
  column: string | null
  /** True for the rows of a DELETE. Their number is only known when it runs. */
  rows: boolean
  /** A predicate for what a repeated migrate makes again. */
  ours: string | null
}

/**
 * An object that would be deleted, with the origin of its rows. Null if that is only known when the statement
 * runs.
 */
export interface Loss extends ObjectAtRisk {
  counted: LossRow | null
  /** Rows that would be lost without an archive: changed since, or made by users. */
  atRisk: number
}

/**
 * The existing tables, columns and rows that rollback files delete, and findings for what cannot be archived.
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
  // one query for all files
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

/** DROP of an object without rows, with its name. It does not match ALTER TABLE ... DROP of a column. */
const harmless =
  /\bdrop\s+(index|policy|trigger|function|procedure|routine|aggregate|view|sequence|rule)\s+(concurrently\s+)?(if\s+exists\s+)?(?!if\b|cascade\b|restrict\b)["\w]/gi

/** A file without these words deletes nothing by name. */
const mayTake = /\b(drop|truncate|delete|merge|type)\b/i

/**
 * What a rollback file deletes by name. A file without the words in `mayTake` is not parsed, because `status`
 * should start without loading the parser, 1 MB of WebAssembly.
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
      // a temporary table of the file hides any other table with its name
      if ('table' in object && object.table.schema === null && temporary.has(object.table.name)) continue
      drops.push({ statement, object })
    }
  }
  if (drops.length === 0) return []
  const spared = await bookkeepingOf(track.migrations)
  return drops.filter(({ object: o }) => !('table' in o && spared.has(tableText(o.table))))
}

/** The predicate for what a repeated migrate makes again, for a table or column by its name as SQL. */
export const oursOf = (rollback: Rollback, object: string): string | null =>
  rollback.ours.find(o => o.object === object)?.predicate ?? null

/** The loss report: for each object that would be deleted, the origin of its rows. */
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
    // a value that a repeated migrate makes again is not lost, even if the row was changed
    found.push({ ...d, counted, atRisk: d.column ? counted.users : counted.edited + counted.users })
  }
  return found
}

/**
 * How many rows would be at risk if these migrations were rolled back now. Null if that takes longer than the
 * timeout, or if this role may not find out.
 */
export async function atRisk(
  connection: Connection,
  track: Track,
  migrations: Migration[],
  timeoutMs: number,
): Promise<number | null> {
  try {
    const { found } = await droppedBy(connection, track, migrations)
    // rows that a rollback deletes from the quarantine have been put back
    const objects = found.filter(d => !(d.rows && d.table === 'rethread_archive.quarantine'))
    // unknown too if quarantined rows could not be put back
    const rehearsed = await rehearsePutBack(connection, [...migrations].reverse(), 50, timeoutMs)
    if (rehearsed.refused.length > 0 || !rehearsed.complete) return null
    if (objects.length === 0) return 0
    // which rows a DELETE removes is only known when it runs
    if (objects.some(d => d.rows)) return null
    return (await connection.sql.begin(async tx => {
      // reading the size of a table waits for locks on it too
      await setLocal(tx, 50, timeoutMs)
      return await riskOf(tx, track.name, objects)
    })) as number
  } catch (error) {
    // timeout, lock, or missing rights
    if (!isSqlState(error, '57014', '55P03', '42501')) throw error
    return null
  }
}

async function rollbackFlags(track: Track, migrations: Migration[], database: string): Promise<string> {
  for (const m of migrations) {
    const drops = m.rollback ? await dropsOf(track, m.rollback) : []
    if (drops.some(d => d.object.kind !== 'values'))
      return ` --allow DELETES_DATA --confirm ${shellWord(database)}`
  }
  return ''
}

/**
 * How far a rollback goes that keeps `wanted`, or keeps nothing: the position of the first migration that it
 * undoes, and the command that shows what it would delete. If a migration is undone together with an earlier
 * one, the rollback goes back to that one, because it would be refused otherwise.
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
  return {
    from,
    command: `rethread rollback --track ${shellWord(track.name)} ${to ? `--to ${shellWord(to.name)}` : '--all'}`,
  }
}

/** The rollback command, ready to paste, with the necessary consent. */
export async function rollbackCommand(
  track: Track,
  wanted: Migration | null,
  applied: Migration[],
  database: string,
): Promise<string> {
  const { from, command } = rollbackRange(track, wanted, applied)
  return `${command}${await rollbackFlags(track, applied.slice(from), database)}`
}

/** The name of a deleted object in a report. */
export const nameOf = (d: ObjectAtRisk): string =>
  d.column ? `${d.table}.${partText(d.column)}` : d.rows ? `rows of ${d.table}` : d.table
