import type { Session } from '../db/session.js'
import type { Migration, Rollback, Track } from '../model/workspace.js'
import { type LossRow, lossOf, riskOf } from '../sql/archive.js'
import { columnFacts, relationFacts } from '../sql/catalog.js'
import { setLocal } from '../sql/session.js'
import { droppedTables, parseStatements, relationName } from '../workspace/statements.js'

/** Something that a rollback takes away. */
export interface Doomed {
  migration: string
  table: string
  /** Null for the whole table. */
  column: string | null
  /** Predicate for what a repeated migrate makes again. */
  ours: string | null
}

/** An object that would go, and whose rows they are. */
export interface Loss extends Doomed, LossRow {
  /** Rows that would be lost without an archive: edited since, or made by users. */
  atRisk: number
}

/** The tables and columns that the rollback files of these migrations drop, as far as they exist. */
export async function doomed(session: Session, migrations: Migration[]): Promise<Doomed[]> {
  const found: Doomed[] = []
  for (const m of migrations) {
    if (!m.rollback) continue
    for (const { table, column } of await dropsOf(m.rollback)) {
      const there = column
        ? await columnFacts(session.sql, table, column)
        : (await relationFacts(session.sql, [table]))[0]
      if (there) found.push({ migration: m.name, table, column, ours: oursOf(m.rollback, table, column) })
    }
  }
  return found
}

/** The word DROP before anything but what holds no rows, or what is derived from the application's tables. */
const mayLose =
  /\bdrop\s+(?!(index|policy|trigger|function|procedure|routine|aggregate|operator|constraint|view|materialized|type|domain|sequence|extension|schema|role|rule|publication|subscription|statistics|event|cast|collation|not|default|expression|identity)\b)(?!(table\s+|column\s+)?(if\s+exists\s+)?(chat_private|rethread_archive)\.)/gi

/** What a rollback file drops: tables, and columns of tables. */
export async function dropsOf(rollback: Rollback): Promise<{ table: string; column: string | null }[]> {
  // the parser is heavy and `status` starts without it: a file in which nothing but other kinds of
  // things follow the word drops neither (COLUMN is an optional word), and one that drops a single
  // thing names it in its header
  const words = rollback.file.text.replace(/^\s*--.*$/gm, '').match(mayLose) ?? []
  if (words.length === 0) return []
  if (words.length === 1 && rollback.ours.length === 1) {
    const [schema, table, column] = rollback.ours[0]!.object.split('.')
    return [{ table: `${schema}.${table}`, column: column ?? null }]
  }
  const drops: { table: string; column: string | null }[] = []
  for (const statement of await parseStatements(rollback.file.text)) {
    const { kind, node } = statement
    drops.push(...droppedTables(statement).map(table => ({ table, column: null })))
    if (kind === 'AlterTableStmt') {
      for (const { AlterTableCmd: cmd } of node.cmds) {
        if (cmd.subtype === 'AT_DropColumn')
          drops.push({ table: relationName(node.relation), column: cmd.name })
      }
    }
  }
  // what stands in chat_private is derived from the application's tables: nothing to lose, nothing to archive
  return drops.filter(d => !/^(chat_private|rethread_archive)\./.test(d.table))
}

const oursOf = (rollback: Rollback, table: string, column: string | null): string | null =>
  rollback.ours.find(o => o.object === (column ? `${table}.${column}` : table))?.predicate ?? null

/** The loss report: for each object that would go, whose rows they are. */
export async function losses(session: Session, track: string, objects: Doomed[]): Promise<Loss[]> {
  const found: Loss[] = []
  for (const d of objects) {
    const rows = await lossOf(session.sql, track, d.table, d.column, d.ours)
    // a column's value that a repeated migrate makes again is no loss, whoever wrote the row since
    found.push({ ...d, ...rows, atRisk: d.column ? rows.users : rows.edited + rows.users })
  }
  return found
}

/**
 * Rows at risk if these migrations were rolled back now; null when that takes longer
 * to know than the time-out.
 */
export async function atRisk(
  session: Session,
  migrations: Migration[],
  timeoutMs: number,
): Promise<number | null> {
  const objects = await doomed(session, migrations)
  if (objects.length === 0) return 0
  try {
    return (await session.sql.begin(async tx => {
      await setLocal(tx, 50, timeoutMs)
      let sum = 0
      for (const d of objects) sum += await riskOf(tx, migrations[0]!.track, d.table, d.column, d.ours)
      return sum
    })) as number
  } catch {
    return null
  }
}

/** The exact command that brings the track back to a migration (null: to nothing applied). */
export async function rollbackFlags(migrations: Migration[], database: string): Promise<string> {
  for (const m of migrations) {
    if (m.rollback && (await dropsOf(m.rollback)).length > 0)
      return ` --allow DELETES_DATA --confirm ${database}`
  }
  return ''
}

/**
 * The rollback command, ready to paste. A migration that is undone together with an earlier one takes the
 * target further back: a command that would be refused is no way back.
 */
export async function rollbackCommand(
  track: Track,
  wanted: Migration | null,
  applied: Migration[],
  database: string,
): Promise<string> {
  let from = wanted ? applied.indexOf(wanted) + 1 : 0
  for (let i = applied.length - 1; i >= from; i--) {
    const covering = applied.findIndex(m => m.name === applied[i]!.undoneBy)
    if (covering >= 0) from = Math.min(from, covering)
  }
  const undone = applied.slice(from)
  const to = applied[from - 1]
  const target = to ? `--to ${to.name}` : '--all'
  return `rethread rollback --track ${track.name} ${target}${await rollbackFlags(undone, database)}`
}
