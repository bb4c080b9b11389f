import { hasPending } from '../backfill/pending.sql.js'
import { readPendingSpec, takesOut } from '../backfill/pending_spec.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isRefused, serverFault } from '../database/faults.js'
import { readAside, savepoint, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { pairsIn } from '../files/moved_names.js'
import { statementsOrNone } from '../files/statements.js'
import type { Hazard } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import type { Table } from '../model/report.js'
import { namesIn, tableText } from '../model/table_name.js'
import { type AccessChange, accessChanges, granteesOf, partitionsIn } from '../plan/access_changes.js'
import { AccessState } from './access_state.js'
import { reachOf } from './policy_reach.js'
import { reachGraph } from './policy_reach.sql.js'
import { type NamedSeer, seersOf } from './seers.js'
import { functionsThere, tablesOf } from './seers.sql.js'
import {
  type Moment,
  type Prediction,
  previewTables,
  type Sight,
  visibilityHazards,
} from './visibility_preview.js'
import { NotForeseen, type PlayedStatement, Twins } from './visibility_twins.js'
import { type Filling, type Subject, searchPath, subjectsOf } from './visibility_twins.sql.js'

/** Persons that a plan asks for. */
export const mostPersons = 10

/** Something of which nobody could find out who will see it. */
export interface Unforeseen {
  subject: string
  /** The migration after which it is not known; null where it is not known now either. */
  migration: string | null
  reason: string
}

/** Who will see what when the pending migrations have run. */
export interface Foreseen {
  prediction: Prediction
  tables: Table[]
  hazards: ReadonlyMap<string, Hazard[]>
  unknown: Unforeseen[]
}

/** A pending migration, and what it changes about who sees what. */
export interface PendingFile {
  migration: Migration
  played: PlayedStatement[]
}

const nothing: Foreseen = {
  prediction: { seers: [], tables: [], moments: [] },
  tables: [],
  hazards: new Map(),
  unknown: [],
}

/**
 * Finds out who will see which rows after each pending migration: the changes are made to twins of the tables,
 * which hold what policies ask of the rows, in a transaction that is rolled back. Of what the application uses
 * only ACCESS SHARE is taken. What cannot be foreseen there is said, never guessed. With `always`, what is
 * seen now is found out also where nothing that comes after can be.
 */
export async function foreseeVisibility(
  ctx: Context,
  connection: Connection,
  track: Track,
  pending: Migration[],
  { persons, always }: { persons: number; always: boolean },
): Promise<Foreseen> {
  const files = await readFiles(pending)
  const names = await subjectNames(connection.sql, files)
  const there = (await subjectsOf(connection.sql, names)).map(s => s.table)
  if (there.length === 0) return nothing
  if (!always && isLostFromTheStart(files, there)) return nothing
  const also = files.flatMap(f => f.played.flatMap(p => granteesOf(p.statement)))
  const { seers, unasked } = await seersOf(connection.sql, track, { tables: there, also, persons })
  const unknown: Unforeseen[] = unasked.map(u => ({ subject: u.who, migration: null, reason: u.reason }))
  const writes = await pendingWrites(connection, track, files)
  await using writer = await connect(ctx, 'writer')
  const path = await searchPath(writer.sql)
  try {
    const scope = transaction(writer.sql, 'isolation level repeatable read')
    const prediction = await takenBack(scope, tx =>
      predict(tx, { there, files, seers, path, writes, unknown }),
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
    return { ...nothing, unknown }
  }
}

async function readFiles(pending: Migration[]): Promise<PendingFile[]> {
  const files: PendingFile[] = []
  for (const migration of pending) {
    const statements = migration.backfill ? [] : await statementsOrNone(migration.file.text)
    const played = statements
      .map(statement => ({ statement, changes: accessChanges(statement) }))
      .filter(p => p.changes.length > 0)
    files.push({ migration, played })
  }
  return files
}

const changesOf = (files: PendingFile[]): AccessChange[] =>
  files.flatMap(f => f.played.flatMap(p => p.changes))

/** The tables whose rows may be seen by others than before; also some that are not there. */
async function subjectNames(sql: Db, files: PendingFile[]): Promise<string[]> {
  const changes = changesOf(files)
  const direct = new Set<string>()
  const functions: string[] = []
  const schemas = new Set<string>()
  let everywhere = false
  for (const c of changes) {
    if (c.on === 'table') {
      if (c.table.endsWith('.*')) schemas.add(namesIn(c.table.slice(0, -2))?.[0] ?? '')
      else direct.add(c.table)
    }
    if (c.on === 'server') {
      everywhere ||= c.roles
      for (const schema of c.schemas) schemas.add(schema)
      functions.push(...c.functions)
    }
    if (c.on === 'unknown') {
      for (const table of c.tables ?? []) direct.add(table)
      functions.push(...c.functions)
    }
  }
  // rights of roles count on every table that the files speak of, those of a schema on all of its tables
  if (everywhere)
    for (const { migration } of files)
      for (const pair of await pairsIn(migration.file.text)) direct.add(tableText(pair))
  for (const table of await tablesOf(sql, [...schemas])) direct.add(table)
  const changed = new Set(await functionsThere(sql, functions))
  const there = new Set((await subjectsOf(sql, [...direct])).map(s => s.table))
  if (there.size + changed.size === 0) return []
  const graph = await reachGraph(sql)
  for (let grown = true; grown; ) {
    grown = false
    for (const { reader } of graph.reads) {
      if (there.has(reader)) continue
      const reach = reachOf(reader, graph, there)
      const touched =
        [...there].some(t => reach.relations.has(t)) || [...changed].some(f => reach.functions.has(f))
      if (!touched) continue
      there.add(reader)
      grown = true
    }
  }
  return [...there]
}

/** Whether nothing can be foreseen of these tables, as the files themselves show. */
function isLostFromTheStart(files: PendingFile[], tables: string[]): boolean {
  const state = new AccessState()
  for (const { migration, played } of files) {
    for (const { changes } of played) for (const c of changes) state.note(migration.name, c)
    const changes = played.some(p =>
      p.changes.some(
        c =>
          (c.on === 'table' && (tables.includes(c.table) || c.table.endsWith('.*'))) ||
          (c.on === 'server' && (c.roles || c.functions.length + c.schemas.length > 0)),
      ),
    )
    if (!changes || state.everything !== null) continue
    if (!played.some(p => state.makes(p.statement.node) !== null)) return false
  }
  return true
}

/** Longest question whether a backfill has rows to do, in milliseconds. */
const askMs = 1000

/** What a backfill will do to rows. */
interface PendingWrites {
  writes: { table: string; columns: string[] | null } | null
  leaves: { table: string; alias: string; predicate: string } | null
}

/** What each pending backfill will do; nothing where it has no row to do. */
async function pendingWrites(
  connection: Connection,
  track: Track,
  files: PendingFile[],
): Promise<ReadonlyMap<string, PendingWrites>> {
  const found = new Map<string, PendingWrites>()
  for (const { migration: m } of files) {
    if (!m.backfill) continue
    try {
      const spec = await readAside(connection.sql, async tx => {
        await setLocal(tx, 0, askMs)
        const read = await readPendingSpec(tx, track, m)
        return (await hasPending(tx, read)) ? read : null
      })
      if (spec === null) continue
      if (takesOut(m)) {
        const { table, alias, pending: predicate } = spec
        found.set(m.name, { writes: null, leaves: { table, alias, predicate } })
        continue
      }
    } catch (error) {
      if (!isRefused(error)) throw error
    }
    const { writes, sets, hasWith } = await readBackfillStatement(m.file.text, m.file.path, m.backfill)
    found.set(m.name, {
      writes: { table: writes, columns: sets.length > 0 && !hasWith ? sets : null },
      leaves: null,
    })
  }
  return found
}

/** Those of the tables whose changes fire triggers. */
const firingTables = async (sql: Db, tables: string[]): Promise<ReadonlySet<string>> =>
  new Set((await subjectsOf(sql, tables)).filter(s => s.fires).map(s => s.table))

interface Predicting {
  there: string[]
  files: PendingFile[]
  seers: NamedSeer[]
  path: string
  writes: ReadonlyMap<string, PendingWrites>
  unknown: Unforeseen[]
}

async function predict(tx: Db, asked: Predicting): Promise<Prediction> {
  const { files, seers, writes, unknown } = asked
  await setLocal(tx, 50, 5000, { search_path: '' })
  const subjects = await subjectsOf(tx, asked.there)
  const twins = new Twins(tx, subjects, asked.path)
  const { columns, stopped } = await Twins.aside(tx, inside => rehearse(inside, asked, subjects))
  await twins.make()
  const counted = await twins.areCounted(files.map(f => f.played))
  const totals = new Map<string, number | null>()
  const unfilled = new Map<string, string>()
  for (const s of subjects) {
    const asks = columns.get(s.table)!
    const filling: Omit<Filling, 'table' | 'twin'> = {
      columns: asks,
      grouped: !counted.has(s.table) && !asks.some(c => s.unequal.includes(c)),
      leaves: [...writes].flatMap(([migration, w]) =>
        w.leaves?.table === s.table
          ? [{ migration, alias: w.leaves.alias, predicate: w.leaves.predicate }]
          : [],
      ),
    }
    try {
      totals.set(s.table, await twins.fill(s, filling))
    } catch (error) {
      if (!(error instanceof NotForeseen)) throw error
      totals.set(s.table, null)
      unfilled.set(s.table, error.message)
    }
  }
  const state = new AccessState(columns, subjects)
  const firing = await firingTables(tx, [
    ...[...writes.values()].flatMap(w => w.writes?.table ?? []),
    ...changesOf(files).flatMap(c => (c.on === 'rows' ? c.table : [])),
  ])
  const moments: Moment[] = []
  const look = async (after: string | null): Promise<void> => {
    const sights = new Map<string, Sight>()
    const graph = after === null ? null : await reachGraph(tx)
    for (const s of subjects) {
      const why =
        unfilled.get(s.table) ?? (graph ? state.whyUnknown(s.table, twins.twinOf(s.table), graph) : null)
      const sight = why === null ? await lookAt(s) : { unknown: why }
      if ('unknown' in sight) unknown.push({ subject: s.table, migration: after, reason: sight.unknown })
      sights.set(s.table, sight)
    }
    moments.push({ after, sights })
  }
  const lookAt = async (s: Subject): Promise<Sight> => {
    try {
      return await twins.look(s, seers)
    } catch (error) {
      if (!(error instanceof NotForeseen)) throw error
      return { unknown: error.message }
    }
  }
  await look(null)
  for (const { migration, played } of files) {
    const name = migration.name
    const write = writes.get(name)
    if (write?.writes) state.note(name, { on: 'rows', ...write.writes })
    const leaves = write?.leaves && subjects.some(s => s.table === write.leaves!.table)
    if (leaves) await twins.leave(write.leaves!.table, name)
    else if (write?.leaves) state.note(name, { on: 'rows', table: write.leaves.table, columns: null })
    for (const { changes } of played) for (const c of changes) state.note(name, c)
    state.noteTriggers(name, firing)
    if (stopped?.migration === name) state.stop(name, stopped.reason)
    else if (!state.stopped) await twins.play(played)
    for (const { statement } of played)
      for (const table of partitionsIn(statement))
        if ((subjects.find(s => s.table === table)?.parts.length ?? 0) > 0)
          unknown.push({
            subject: `partitions of ${table}`,
            migration: name,
            reason: 'a block changes them, and only running it tells how',
          })
    if (leaves || state.takeChanged()) await look(name)
  }
  return {
    seers,
    tables: subjects.map(s => ({ name: s.table, rows: totals.get(s.table) ?? null })),
    moments,
  }
}

/**
 * Plays all files on empty twins: which columns policies ask for on the way, and the file that the server
 * refuses, if any.
 */
async function rehearse(
  tx: Db,
  { files, path }: Predicting,
  subjects: Subject[],
): Promise<{ columns: Map<string, string[]>; stopped: { migration: string; reason: string } | null }> {
  const twins = new Twins(tx, subjects, path)
  await twins.make()
  const columns = await twins.asked()
  for (const { migration, played } of files) {
    try {
      await savepoint(tx)(async () => {
        await twins.play(played)
      })
    } catch (error) {
      if (!(error instanceof NotForeseen)) throw error
      return { columns, stopped: { migration: migration.name, reason: error.message } }
    }
    if (played.length === 0) continue
    for (const [table, more] of await twins.asked())
      columns.set(table, [...new Set([...columns.get(table)!, ...more])])
  }
  return { columns, stopped: null }
}
