import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { isRefused, serverFault } from '../database/faults.js'
import { takenBack, transaction } from '../database/scopes.js'
import type { Migration, Track } from '../model/project.js'
import type { Table } from '../model/report.js'
import { granteesOf } from '../plan/access_changes.js'
import type { SightHazard } from '../plan/readers.js'
import { onlyRunning } from './access_state.js'
import { pendingWrites } from './pending_writes.js'
import { predict, type Unforeseen } from './predict_visibility.js'
import { seersOf } from './seers.js'
import { type Prediction, previewTables, visibilityHazards } from './visibility_preview.js'
import { changedFunctions, isLostFromTheStart, readAccessFiles, subjectNames } from './visibility_subjects.js'
import { NotForeseen } from './visibility_twins.js'
import { searchPath, subjectsOf } from './visibility_twins.sql.js'

/** Most users that a plan examines. */
export const mostPersons = 10

/** The predicted visibility after the pending migrations. */
export interface Foreseen {
  prediction: Prediction
  tables: Table[]
  hazards: ReadonlyMap<string, SightHazard[]>
  unknown: Unforeseen[]
}

const nothingForeseen: Foreseen = {
  prediction: { seers: [], tables: [], moments: [] },
  tables: [],
  hazards: new Map(),
  unknown: [],
}

/**
 * Predicts which rows each role sees after each pending migration. The changes are made to twins of the
 * tables, with the values that policies read, in a transaction that is rolled back. The original tables are
 * only locked in ACCESS SHARE mode. What cannot be predicted is reported as unknown. With `always`, today's
 * visibility is determined even if nothing can be predicted.
 */
export async function foreseeVisibility(
  ctx: Context,
  connection: Connection,
  track: Track,
  pending: Migration[],
  { persons, always }: { persons: number; always: boolean },
): Promise<Foreseen> {
  const files = await readAccessFiles(pending)
  const names = await subjectNames(connection.sql, files)
  const there = (await subjectsOf(connection.sql, names)).map(s => s.table)
  const unknown: Unforeseen[] = files.flatMap(({ migration: { name }, played }) =>
    played.some(p => p.changes.some(c => c.on === 'unknown' && c.tables === null))
      ? [{ subject: 'tables that are there', migration: name, reason: onlyRunning(name) }]
      : [],
  )
  if (there.length === 0) return { ...nothingForeseen, unknown }
  const functions = await changedFunctions(connection.sql, files)
  if (!always && isLostFromTheStart(files, there, functions)) return nothingForeseen
  const also = files.flatMap(f => f.played.flatMap(p => granteesOf(p.statement)))
  const { seers, unasked } = await seersOf(connection.sql, track, { tables: there, also, persons })
  unknown.push(...unasked.map(u => ({ subject: u.who, migration: null, reason: u.reason })))
  const writes = await pendingWrites(connection, track, pending)
  await using writer = await connect(ctx, 'writer')
  const path = await searchPath(writer.sql)
  try {
    const scope = transaction(writer.sql, 'isolation level repeatable read')
    const prediction = await takenBack(scope, tx =>
      predict(tx, { there, functions, files, seers, path, writes, unknown }),
    )
    return {
      prediction,
      tables: previewTables(prediction),
      hazards: visibilityHazards(prediction),
      unknown,
    }
  } catch (error) {
    const fault = error instanceof NotForeseen ? { message: error.message, code: null } : serverFault(error)
    if (!fault || (fault.code !== null && !isRefused(error))) throw error
    const reason = fault.code === null ? fault.message : `${fault.code}: ${fault.message}`
    for (const subject of there) unknown.push({ subject, migration: null, reason })
    return { ...nothingForeseen, unknown }
  }
}
