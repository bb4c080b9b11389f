import { droppedObjects, keyOf } from '../files/dropped_objects.js'
import type { Statement } from '../files/statements.js'
import { plural } from '../model/plural.js'
import { columnText, partText, tableText } from '../model/table_name.js'
import { type Holding, plainDeletion } from './refuse_destruction.sql.js'
import type { WouldTake } from './why_not_archived.js'

/** What there is to lose at one moment, by oid. */
export type Holdings = ReadonlyMap<number, Holding>

/** Something that was deleted between two looks. */
export interface Gone {
  kind: 'table' | 'column' | 'rows'
  holding: Holding
  column: string | null
  /** Number of deleted rows; null if the table was truncated or rewritten. */
  rows: number | null
}

/** Statements that rewrite a table and keep its rows. */
const rewritingKinds = new Set(['AlterTableStmt', 'ClusterStmt', 'VacuumStmt'])

/** Pure: the tables, columns and rows that are missing in the second look. */
export function takenBetween(before: Holdings, after: Holdings, kind: string): Gone[] {
  const gone: Gone[] = []
  for (const holding of before.values()) {
    const now = after.get(holding.oid)
    if (!now) {
      gone.push({ kind: 'table', holding, column: null, rows: null })
      continue
    }
    for (const [number, column] of Object.entries(holding.columns))
      if (now.columns[number] === undefined) gone.push({ kind: 'column', holding, column, rows: null })
    const rows = now.deleted - holding.deleted
    if (rows > 0 && !movedBetweenPartitions(holding, before, after, kind))
      gone.push({ kind: 'rows', holding, column: null, rows })
    if (now.file !== holding.file && !rewritingKinds.has(kind))
      gone.push({ kind: 'rows', holding, column: null, rows: null })
  }
  return gone
}

/**
 * True for an UPDATE of a partition key, which deletes the row here and inserts it into another partition.
 */
function movedBetweenPartitions(holding: Holding, before: Holdings, after: Holdings, kind: string): boolean {
  if (holding.root === holding.oid || !['UpdateStmt', 'MergeStmt'].includes(kind)) return false
  let balance = 0
  for (const then of before.values()) {
    const now = after.get(then.oid)
    if (then.root === holding.root && now)
      balance += now.inserted - then.inserted - (now.deleted - then.deleted)
  }
  return balance >= 0
}

/**
 * Whether a deletion was archived or allowed: by its own name, or that of its partitioned table or schema.
 */
export function isPermitted(keys: ReadonlySet<string>, gone: Gone, before: Holdings): boolean {
  const { kind, holding, column } = gone
  return [holding, before.get(holding.root) ?? holding].some(
    h =>
      keys.has(keyOf(kind, column === null ? tableText(h) : columnText(h, column))) ||
      keys.has(keyOf('schema', partText(h.schema))),
  )
}

/** Whether the statement itself has moved the rows: the table where it keeps them has as many new rows. */
export function hasMoved(statement: Statement, gone: Gone, before: Holdings, now: Holdings): boolean {
  const names = new Set([gone.holding, before.get(gone.holding.root)].map(h => h?.name))
  return droppedObjects(statement).some(o => {
    if (gone.rows === null || o.kind !== 'rows' || !o.kept || !names.has(o.table.name)) return false
    const { schema, name } = o.kept
    const target = [...now.values()].find(h => h.schema === schema && h.name === name)
    return target !== undefined && target.inserted - (before.get(target.oid)?.inserted ?? 0) >= gone.rows
  })
}

/** A description of the loss, and what to write instead. */
export function wordedLoss({ kind, holding, column, rows }: Gone, wanted: 'archive' | 'consent'): WouldTake {
  const table = tableText(holding)
  const object = column === null ? table : columnText(holding, column)
  const own = plainDeletion(kind, table, column === null ? null : partText(column))
  return {
    object,
    what:
      kind === 'rows'
        ? rows === null
          ? `rows of ${table}`
          : `${plural(rows, 'row')} of ${table}`
        : `${kind} ${object}`,
    reason:
      kind === 'rows' && rows === null
        ? 'the statement empties it or writes it anew, and does not name it'
        : 'the statement does not name it',
    instead:
      `Do it by a statement of its own, above this one: ${own}` +
      (wanted === 'consent'
        ? ' Or say `--! hazard: DELETES_DATA` in the header. Then --allow DELETES_DATA'
        : ''),
  }
}
