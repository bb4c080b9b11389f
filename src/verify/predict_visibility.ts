import { setLocal } from '../database/connection.sql.js'
import { savepoint, takenBack } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { relationsNamed } from '../files/statements.js'
import { partitionsIn } from '../plan/block_access.js'
import { AccessState } from './access_state.js'
import { whyNotMake } from './lent_rights.js'
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

/** What there is while the files are played one after the other on twins that are filled. */
interface Playing {
  tx: Db
  asked: Predicting
  twins: Twins
  /** Rows of each twin, or why it has none. */
  filled: ReadonlyMap<string, number | { unknown: string }>
  state: AccessState
  /** Tables whose changes fire triggers. */
  firing: ReadonlySet<string>
  /** The file that the server refuses. */
  stopped: { migration: string; reason: string } | null
  /** Functions that are there or that a file has made: a later one may change them. */
  functions: Set<string>
}

/** Who will see what, found out on twins in a transaction that its caller takes back. */
export async function predict(tx: Db, asked: Predicting): Promise<Prediction> {
  const { files, seers, path, there } = asked
  await setLocal(tx, 50, 5000, { search_path: '' })
  // policies that the files make may read whatever the files name
  const named = files.flatMap(f => [...relationsNamed(f.played.map(p => p.statement))])
  // twins are made and get rows: checks of domains and event triggers run
  const lends = await whyNotMake(tx, [...there, ...named])
  if (lends !== null) throw new NotForeseen(lends)
  const subjects = await subjectsOf(tx, there)
  const twins = new Twins(tx, subjects, path)
  const { columns, stopped } = await takenBack(savepoint(tx), inside => rehearse(inside, asked, subjects))
  await twins.make()
  const playing: Playing = {
    tx,
    asked,
    twins,
    filled: await fillTwins(twins, asked, columns),
    state: new AccessState(columns, subjects, asked.functions),
    firing: await firingTables(tx, tablesWritten(asked)),
    stopped,
    functions: new Set(asked.functions),
  }
  const moments: SightMoment[] = [await lookAfter(playing, null)]
  for (const file of files)
    if (await playFile(playing, file)) moments.push(await lookAfter(playing, file.migration.name))
  const rowsOf = (table: string): number | null => {
    const rows = playing.filled.get(table)
    return typeof rows === 'number' ? rows : null
  }
  return { seers, tables: subjects.map(({ table }) => ({ name: table, rows: rowsOf(table) })), moments }
}

/** Fills the twins with what policies ask for. */
async function fillTwins(
  twins: Twins,
  { files, writes }: Predicting,
  columns: ReadonlyMap<string, string[]>,
): Promise<Playing['filled']> {
  const counted = await twins.areCounted(files.map(f => f.played))
  const filled = new Map<string, number | { unknown: string }>()
  for (const s of twins.subjects) {
    const asks = columns.get(s.table)!
    const filling = {
      columns: asks,
      grouped: !counted.has(s.table) && !asks.some(c => s.unequal.includes(c)),
      leaves: leavesOf(s.table, writes),
    }
    filled.set(s.table, await orUnknown(twins.fill(s, filling)))
  }
  return filled
}

/** Tables whose rows the files write, themselves or by their backfills. */
const tablesWritten = ({ files, writes }: Predicting): string[] => [
  ...[...writes.values()].flatMap(w => w.writes?.table ?? []),
  ...changesOf(files).flatMap(c => (c.on === 'rows' ? c.table : [])),
]

/** What everybody sees of the twins when a migration was played, null for before. */
async function lookAfter(
  { tx, asked, twins, filled, state }: Playing,
  after: string | null,
): Promise<SightMoment> {
  const sights = new Map<string, Sight>()
  const graph = after === null ? null : await reachGraph(tx)
  for (const s of twins.subjects) {
    const rows = filled.get(s.table)!
    const why = graph && state.whyUnknown(s.table, twins.twinOf(s.table), graph)
    const sight =
      typeof rows !== 'number'
        ? rows
        : why === null
          ? await orUnknown(twins.look(s, asked.seers))
          : { unknown: why }
    if ('unknown' in sight) asked.unknown.push({ subject: s.table, migration: after, reason: sight.unknown })
    sights.set(s.table, sight)
  }
  return { after, sights }
}

/** Plays a file; whether it may have changed who sees what. */
async function playFile(playing: Playing, { migration, played }: PendingFile): Promise<boolean> {
  const { asked, twins, state, firing, stopped, functions } = playing
  const { name } = migration
  const left = await noteWrites(playing, name)
  const changes = played.flatMap(p => p.changes)
  for (const c of changes) state.note(name, c)
  state.noteTriggers(name, firing)
  if (stopped?.migration === name) state.stop(name, stopped.reason)
  else if (!state.stopped) await twins.play(played)
  for (const table of played.flatMap(p => partitionsIn(p.statement)))
    if ((twins.subjects.find(s => s.table === table)?.parts.length ?? 0) > 0)
      asked.unknown.push({
        subject: `partitions of ${table}`,
        migration: name,
        reason: 'a block changes them, and only running it shows how',
      })
  const matters = changes.some(c => changesAccess(c, asked.there, functions))
  for (const c of changes) if (c.on === 'server') for (const f of c.functions) functions.add(f)
  return state.takeChanged() || left || matters
}

/** Notes the rows that a backfill writes; true where a twin has lost those that it takes out. */
async function noteWrites({ asked, twins, state }: Playing, migration: string): Promise<boolean> {
  const { writes, leaves } = asked.writes.get(migration) ?? {}
  if (writes) state.note(migration, { on: 'rows', ...writes })
  if (!leaves) return false
  const hasTwin = twins.subjects.some(s => s.table === leaves.table)
  if (hasTwin) await twins.leave(leaves.table, migration)
  else state.note(migration, { on: 'rows', table: leaves.table, columns: null })
  return hasTwin
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
