import { setLocal } from '../database/connection.sql.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { partitionsIn } from '../plan/block_access.js'
import { AccessState } from './access_state.js'
import type { PendingWrites } from './pending_writes.js'
import { reachGraph } from './policy_reach.sql.js'
import type { NamedSeer } from './seers.js'
import type { Prediction, Sight, SightMoment } from './visibility_preview.js'
import { changesAccess, changesOf, type PendingFile } from './visibility_subjects.js'
import { NotForeseen, Twins } from './visibility_twins.js'
import { type Filling, type Subject, subjectsOf } from './visibility_twins.sql.js'

/** Something of which nobody could find out who will see it. */
export interface Unforeseen {
  subject: string
  /** The migration after which it is not known; null where it is not known now either. */
  migration: string | null
  reason: string
}

/** Those of the tables whose changes fire triggers. */
const firingTables = async (sql: Db, tables: string[]): Promise<ReadonlySet<string>> =>
  new Set((await subjectsOf(sql, tables)).filter(s => s.fires).map(s => s.table))

interface Predicting {
  there: string[]
  /** Functions that are there and that the files change. */
  functions: ReadonlySet<string>
  files: PendingFile[]
  seers: NamedSeer[]
  path: string
  writes: ReadonlyMap<string, PendingWrites>
  unknown: Unforeseen[]
}

/** Who will see what, found out on twins in a transaction that its caller takes back. */
export async function predict(tx: Db, asked: Predicting): Promise<Prediction> {
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
  const state = new AccessState(columns, subjects, asked.functions)
  // what a file makes, a later one may change
  const functions = new Set(asked.functions)
  const firing = await firingTables(tx, [
    ...[...writes.values()].flatMap(w => w.writes?.table ?? []),
    ...changesOf(files).flatMap(c => (c.on === 'rows' ? c.table : [])),
  ])
  const moments: SightMoment[] = []
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
    const matters = played.some(p => p.changes.some(c => changesAccess(c, asked.there, functions)))
    for (const { changes } of played)
      for (const c of changes) if (c.on === 'server') for (const f of c.functions) functions.add(f)
    if (state.takeChanged() || leaves || matters) await look(name)
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
