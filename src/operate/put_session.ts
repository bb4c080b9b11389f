import { foreignKeys } from '../archive/archive.sql.js'
import { referencingKeys } from '../database/catalog.sql.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { isDataFault, serverFault } from '../database/faults.js'
import { savepoint, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { Failure } from '../model/failure.js'
import { plural } from '../model/plural.js'
import type { Track, TrackInfo } from '../model/project.js'
import { readHistory } from '../plan/history.js'
import { catchUpRows } from '../rollback/after_merge.sql.js'
import {
  advanceSequences,
  holdOff,
  mergedColumns,
  noConflictClause,
  release,
} from '../rollback/merged_table.sql.js'
import { hasParent, mergeTable, notBroughtBack } from '../rollback/restore.sql.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import { countOfSessions } from './prune.sql.js'
import {
  type Compared,
  compareStage,
  makeStage,
  rowPlaces,
  type Staged,
  stageName,
  withoutParent,
} from './put_session.sql.js'
import type { SessionTable } from './session_rows.sql.js'

/** The result of writing the rows of a session. */
export interface Put {
  /** Number of rows that were written; 0 if all existed unchanged. */
  rows: number
  /** Columns whose values differ from the given ones, because triggers and the track derive them. */
  derived: string[]
}

/** Time limit of one statement of an import, in milliseconds. */
const importStatementMs = 60_000

/** The stages of a session's tables. */
export async function stagesOf(sql: Db, tables: SessionTable[]): Promise<(Staged & SessionTable)[]> {
  return Promise.all(
    tables.map(async (t, n) => {
      const columns = (await mergedColumns(sql, t.table)).filter(c => !c.generated)
      return { ...t, stage: stageName(n), columns }
    }),
  )
}

/**
 * Writes one session with its rows, in one transaction. `fill` puts them into the stages. As in a restore,
 * rows are written unchanged with the application's triggers disabled, and the track then derives what
 * depends on other rows. Throws SESSION_EXISTS if rows exist with other values, and SESSION_NOT_PUT if
 * something that they need is missing; nothing has changed then.
 */
export async function putSession(
  run: Run,
  track: Track,
  { info, id, tables }: { info: TrackInfo; id: string; tables: SessionTable[] },
  fill: (tx: Db, stages: Staged[]) => Promise<void>,
): Promise<Put> {
  const { plan } = await readHistory(run.writer, track, bareMigrateOptions)
  const catchUp = plan.applied.flatMap(m => m.rollback?.catchUp ?? [])
  const { value } = await withLockRetries(run, info.sessions.table, timeout =>
    transaction(run.writer.sql)(async (tx): Promise<Put> => {
      await setLocal(tx, timeout, importStatementMs)
      await setParameter(tx, 'rethread.restoring', 'on')
      const stages = await stagesOf(tx, tables)
      for (const s of stages) await makeStage(tx, s)
      await fill(tx, stages)
      const found: Compared[] = []
      for (const s of stages) found.push(await compareStage(tx, s))
      if (await isAsItWaits(tx, stages, found, { id, table: info.sessions.table }))
        return { rows: 0, derived: [] }
      const held: string[][] = []
      let rows = 0
      for (const [n, s] of stages.entries()) {
        if (found[n]!.waiting === found[n]!.there) continue
        await refuseOrphans(tx, s, stages)
        held.unshift(await holdOff(tx, s.table))
        rows += await insertStage(tx, track, s, found[n]!)
        await advanceSequences(tx, s.table)
      }
      for (const undo of held) await release(tx, undo)
      for (const { object, predicate } of catchUp)
        for (const s of stages.filter(x => x.table === object && x.key.length > 0))
          for (const { heap, rows } of await rowPlaces(tx, s))
            await catchUpRows(tx, heap, predicate, { rows })
      return { rows, derived: await derivedColumns(tx, stages) }
    }),
  )
  return value
}

/**
 * Whether the session exists unchanged. Throws SESSION_EXISTS if some of its rows exist with other values.
 */
async function isAsItWaits(
  tx: Db,
  stages: (Staged & SessionTable)[],
  found: Compared[],
  session: { id: string; table: string },
): Promise<boolean> {
  const differs = stages.flatMap(({ table }, n) =>
    found[n]!.differ > 0
      ? [`${table}: ${plural(found[n]!.differ, 'row', 'differ')} in ${found[n]!.columns.join(', ')}`]
      : [],
  )
  const there = stages.some((s, n) => s.table === session.table && found[n]!.there > 0)
  if (there)
    for (const [n, { table, where }] of stages.entries()) {
      const { waiting, there: same } = found[n]!
      const more = (await countOfSessions(tx, table, where, [session.id])) - same
      if (waiting > same) differs.push(`${table}: ${plural(waiting - same, 'row', 'are')} not there`)
      if (more > 0) differs.push(`${table}: ${plural(more, 'row', 'are')} there that the file does not have`)
    }
  const [first, ...more] = differs
  if (first !== undefined)
    throw new Failure('SESSION_EXISTS', session.id, { differs: [first, ...more], session: there })
  return there
}

/** Throws SESSION_NOT_PUT if rows reference others that neither exist nor are in a stage. */
async function refuseOrphans(tx: Db, s: Staged, stages: Staged[]): Promise<void> {
  const own = (await referencingKeys(tx, s.table)).filter(k => k.table === s.table).map(k => k.constraint)
  const isStaged = (parent: string) => stages.some(o => o.table === parent)
  for (const k of await foreignKeys(tx, s.table)) {
    if (own.includes(k.name) || isStaged(k.parent)) continue
    const lost = await withoutParent(tx, s, { columns: k.columns, isThere: hasParent(k) })
    if (lost.rows > 0)
      throw new Failure('SESSION_NOT_PUT', s.table, {
        reason: `${plural(lost.rows, 'row', 'have')} ${k.columns.join(', ')} = ${lost.value}, and ${k.parent} has no such ${k.parentColumns.join(', ')}`,
      })
  }
}

/**
 * Inserts the rows of a stage that do not exist. Returns their number. Throws SESSION_NOT_PUT if one is
 * refused.
 */
async function insertStage(tx: Db, track: Track, s: Staged, { waiting, there }: Compared): Promise<number> {
  if (s.key.length === 0 && there > 0)
    throw new Failure('SESSION_NOT_PUT', s.table, {
      reason: `${there} of ${plural(waiting, 'row', 'are')} there, and it has no primary key that tells the others`,
    })
  const merge = {
    archive: null,
    table: s.table,
    storedAs: s.stage,
    columns: s.columns.map(c => c.name),
    writable: [],
    key: s.key,
    ours: null,
    mirrored: null,
    alike: null,
    track: track.name,
    parents: [],
    only: null,
    casts: {},
    defaults: {},
    needs: [],
    conflicts: await noConflictClause(tx, s.table),
  }
  const everything = { from: '(0,0)', to: '(4294967295,0)' }
  const inserted = await savepoint(tx)(t => mergeTable(t, merge, s.stage, everything)).catch(error => {
    const fault = serverFault(error)
    if (!fault || !isDataFault(error)) throw error
    throw new Failure('SESSION_NOT_PUT', s.table, {
      reason: [fault.message, fault.detail].filter(Boolean).join(': '),
    })
  })
  if (inserted.inserted < waiting - there) {
    const [first] = await notBroughtBack(tx, merge)
    throw new Failure('SESSION_NOT_PUT', s.table, {
      reason: first ? `row ${first.key}: ${first.reason}` : 'a trigger or a rule of the table took rows away',
    })
  }
  return inserted.inserted
}

/** Columns whose values differ from those in the stages. Throws SESSION_NOT_PUT if rows are missing again. */
async function derivedColumns(tx: Db, stages: Staged[]): Promise<string[]> {
  const derived: string[] = []
  for (const s of stages) {
    const now = await compareStage(tx, s)
    if (now.there < now.waiting)
      throw new Failure('SESSION_NOT_PUT', s.table, {
        reason: 'a trigger of the table took rows away or gave them another key',
      })
    derived.push(...now.columns.map(c => `${s.table}.${c}`))
  }
  return derived
}
