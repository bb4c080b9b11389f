import { setLocal } from '../database/connection.sql.js'
import { savepoint, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { relationsNamed } from '../files/statements.js'
import { partitionsIn } from '../plan/block_access.js'
import { AccessState } from './access_state.js'
import { whyNotAct } from './lent_rights.js'
import type { PendingWrites } from './pending_writes.js'
import { reachGraph } from './policy_reach.sql.js'
import type { NamedSeer } from './seers.js'
import type { Prediction, Sight, SightMoment } from './visibility_preview.js'
import { changesAccess, changesOf, type PendingFile } from './visibility_subjects.js'
import { NotForeseen, Twins } from './visibility_twins.js'
import { type Filling, type Subject, subjectsOf } from './visibility_twins.sql.js'

/** Something whose future visibility could not be found out. */
export interface Unforeseen {
  subject: string
  /** The migration after which it is unknown; null if it is unknown already now. */
  migration: string | null
  reason: string
}

/** Of these tables: those whose changes fire triggers. */
const firingTables = async (sql: Db, tables: string[]): Promise<ReadonlySet<string>> =>
  new Set((await subjectsOf(sql, tables)).filter(s => s.fires).map(s => s.table))

interface Predicting {
  there: string[]
  /** Existing functions that the files change. */
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
  // policies that the files make may read whatever the files name
  const named = files.flatMap(f => [...relationsNamed(f.played.map(p => p.statement))])
  const lends = await whyNotAct(tx, [...asked.there, ...named], 'reads')
  if (lends !== null) throw new NotForeseen(lends)
  const subjects = await subjectsOf(tx, asked.there)
  const twins = new Twins(tx, subjects, asked.path)
  const { columns, stopped } = await takenBack(savepoint(tx), inside => rehearse(inside, asked, subjects))
  await twins.make()
  const counted = await twins.areCounted(files.map(f => f.played))
  const filled = new Map<string, number | { unknown: string }>()
  for (const s of subjects) {
    const asks = columns.get(s.table)!
    const filling = {
      columns: asks,
      grouped: !counted.has(s.table) && !asks.some(c => s.unequal.includes(c)),
      leaves: leavesOf(s.table, writes),
    }
    filled.set(s.table, await orUnknown(twins.fill(s, filling)))
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
      const rows = filled.get(s.table)!
      const why = graph && state.whyUnknown(s.table, twins.twinOf(s.table), graph)
      const sight =
        typeof rows !== 'number'
          ? rows
          : why === null
            ? await orUnknown(twins.look(s, seers))
            : { unknown: why }
      if ('unknown' in sight) unknown.push({ subject: s.table, migration: after, reason: sight.unknown })
      sights.set(s.table, sight)
    }
    moments.push({ after, sights })
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
            reason: 'a block changes them, and only running it shows how',
          })
    const matters = played.some(p => p.changes.some(c => changesAccess(c, asked.there, functions)))
    for (const { changes } of played)
      for (const c of changes) if (c.on === 'server') for (const f of c.functions) functions.add(f)
    if (state.takeChanged() || leaves || matters) await look(name)
  }
  return {
    seers,
    tables: subjects.map(({ table }) => {
      const rows = filled.get(table)!
      return { name: table, rows: typeof rows === 'number' ? rows : null }
    }),
    moments,
  }
}

/** The rows that the steps remove from a table, with the aliases of their predicates. */
const leavesOf = (table: string, writes: ReadonlyMap<string, PendingWrites>): Filling['leaves'] =>
  [...writes].flatMap(([migration, { leaves }]) =>
    leaves?.table === table ? [{ migration, alias: leaves.alias, predicate: leaves.predicate }] : [],
  )

/** A result, or the reason that there is none. */
async function orUnknown<T>(found: Promise<T>): Promise<T | { unknown: string }> {
  try {
    return await found
  } catch (error) {
    if (!(error instanceof NotForeseen)) throw error
    return { unknown: error.message }
  }
}

/**
 * Runs all files on empty twins. Returns the columns that policies read at any time, and the file that the
 * server refuses, if any.
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
