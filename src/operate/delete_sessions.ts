import { storedName } from '../archive/archive.js'
import { addArchive, listArchives, pruneStep } from '../archive/archive.sql.js'
import { keepDeleted, makeStore } from '../archive/deleted_rows.sql.js'
import { columnNames, type ReferencingKey, referencingKeys } from '../database/catalog.sql.js'
import { setParameter } from '../database/connection.sql.js'
import { primaryKey } from '../database/row_key.sql.js'
import { type Db, ident } from '../database/types.js'
import { Failure } from '../model/failure.js'
import { plural } from '../model/plural.js'
import type { Track, TrackInfo } from '../model/project.js'
import { namesIn, tableText } from '../model/table_name.js'
import { type Holding, holdings } from '../run/refuse_destruction.sql.js'
import type { Run } from '../run/run.js'
import { copyValuesInto, countOfSessions, deletionOf, makeValueStore, ofSessions } from './prune.sql.js'

/** A table whose rows are deleted with their sessions, or in which columns are set to another value. */
interface Follow {
  table: string
  /** A predicate over `t` for the rows. Its parameter is the ids of the sessions. */
  where: string
  /** Columns that lose their values; null if the rows are deleted. */
  columns: string[] | null
}

/** What is deleted with sessions, in reverse order, and the foreign keys that prevent a deletion. */
export interface Follows {
  follows: Follow[]
  keepers: ReferencingKey[]
}

/** A predicate over the rows of a table with the alias `alias`. */
type RowsOf = (alias: string) => string

/** The rows whose foreign key references rows of the parent. Each level has its own alias. */
const pointingAt =
  (f: ReferencingKey, parent: string, where: RowsOf): RowsOf =>
  alias => {
    const up = `${alias}p`
    return `(${f.columns.map(c => `${alias}.${ident(c)}`).join(', ')}) in (
      select ${f.parentColumns.map(c => `${up}.${ident(c)}`).join(', ')} from ${f.parent ?? parent} ${up} where ${where(up)})`
  }

/**
 * Finds out what the foreign keys of other tables do when sessions are deleted. Messages whose key would
 * refuse are deleted separately. Any other key that refuses keeps its session.
 */
export async function followsOf(sql: Db, info: TrackInfo): Promise<Follows> {
  const { sessions, messages } = info
  const follows: Follow[] = []
  const keepers: ReferencingKey[] = []
  const seen = new Set([sessions.table])
  const visit = async (parent: string, where: RowsOf): Promise<void> => {
    for (const f of await referencingKeys(sql, parent)) {
      const rows = pointingAt(f, parent, where)
      const deletes = f.action === 'c' || (f.table === messages?.table && 'ar'.includes(f.action))
      if (deletes) {
        // a table may follow in two ways; the guard of the deletion counts what was deleted
        if (seen.has(f.table)) continue
        seen.add(f.table)
        await visit(f.table, rows)
        follows.push({ table: f.table, where: rows('t'), columns: null })
      } else if ('nd'.includes(f.action))
        follows.unshift({ table: f.table, where: rows('t'), columns: f.columns })
      else if (parent === sessions.table) keepers.push(f)
    }
  }
  await visit(sessions.table, alias => ofSessions(info, alias))
  follows.push({ table: sessions.table, where: ofSessions(info, 't'), columns: null })
  return { follows, keepers }
}

/**
 * Deletes the sessions with these ids and what follows them. Every row and value is archived in the same
 * transaction. Throws ROWS_FAILED if some stay. Throws DESTROYS_UNARCHIVED if the server has deleted more, by
 * a trigger or another foreign key.
 */
export async function deleteSessions(
  run: Run,
  tx: Db,
  track: Track,
  { follows }: Follows,
  ids: string[],
): Promise<number> {
  // read by triggers of the track: no backfill makes again what prune deletes
  await setParameter(tx, 'rethread.pruning', 'on')
  const before = await toLose(tx)
  const archived = new Map<string, number>()
  let sessions = 0
  for (const f of follows) {
    if (f.columns) {
      const keys = await primaryKey(tx, f.table)
      for (const column of keys.length > 0 ? f.columns : []) {
        const storedAs = await storeOf(run, tx, track, { table: f.table, column, keyColumns: keys })
        await copyValuesInto(tx, { table: f.table, key: keys, column, where: f.where, storedAs }, ids)
      }
      continue
    }
    const storedAs = await storeOf(run, tx, track, {
      table: f.table,
      column: null,
      keyColumns: await primaryKey(tx, f.table),
    })
    sessions = await keepDeleted(tx, { ...deletionOf(f.table, f.where), storedAs }, [JSON.stringify(ids)])
    archived.set(f.table, (archived.get(f.table) ?? 0) + sessions)
    // a foreign key does not check whether its cascade was prevented
    const left = await countOfSessions(tx, f.table, f.where, ids)
    if (left > 0) throw unchangedRows(f.table, left)
  }
  await refuseMore(tx, track, before, archived)
  return sessions
}

/** The failure for rows that a statement did not change because of a trigger or a rule. */
export const unchangedRows = (table: string, rows: number): Failure =>
  new Failure('ROWS_FAILED', table, {
    rows,
    migration: 'prune',
    sqlstate: null,
    reason: `unchanged afterwards: a trigger or a rule of ${table} leaves them`,
    keys: [],
    stoppedEarly: false,
  })

/** The archive's table for deleted rows. An interrupted prune continues with its own. */
async function storeOf(
  run: Run,
  tx: Db,
  track: Track,
  { table, column, keyColumns }: { table: string; column: string | null; keyColumns: string[] },
): Promise<string> {
  const open = (await listArchives(tx)).find(
    a =>
      a.track === track.name &&
      a.migration === pruneStep &&
      a.relation === table &&
      a.column === column &&
      a.state === 'capturing',
  )
  const columns = column === null ? await columnNames(tx, table) : [...keyColumns, column]
  if (open && (await columnNames(tx, open.storedAs)).join('\0') === columns.join('\0')) return open.storedAs
  const storedAs = await storedName(tx, run.id, namesIn(table)!.at(-1)!, column ?? 'rows')
  if (column === null) await makeStore(tx, storedAs, table)
  else await makeValueStore(tx, { table, key: keyColumns, column, storedAs })
  await addArchive(tx, {
    run: run.id,
    track: track.name,
    migration: pruneStep,
    relation: table,
    column,
    storedAs,
    keyColumns,
    ours: null,
    state: 'capturing',
    manifest: column === null ? [{ kind: 'deleted rows' }] : [],
  })
  return storedAs
}

/** What there is to lose. Throws if the server does not count deleted rows. */
async function toLose(tx: Db): Promise<Map<number, Holding>> {
  const now = await holdings(tx)
  if (now) return now
  throw unarchived('rows', 'the server does not count deleted rows while track_counts is off', {
    instead: 'alter system set track_counts = on; select pg_reload_conf();',
  })
}

/** Throws DESTROYS_UNARCHIVED if more was deleted than archived. */
async function refuseMore(
  tx: Db,
  track: Track,
  before: Map<number, Holding>,
  archived: Map<string, number>,
): Promise<void> {
  const now = await toLose(tx)
  const roots = new Map<string, number>()
  for (const h of now.values()) {
    const deleted = h.deleted - (before.get(h.oid)?.deleted ?? 0)
    const root = tableText(now.get(h.root) ?? h)
    if (deleted > 0) roots.set(root, (roots.get(root) ?? 0) + deleted)
  }
  for (const [table, deleted] of roots) {
    const kept = [...archived].find(([name]) => sameName(name, table))?.[1] ?? 0
    if (deleted > kept)
      throw unarchived(
        table,
        `${plural(deleted - kept, 'row')} of ${table} that do not follow by a foreign key`,
        {
          instead:
            oldApplications(track, table) ?? `Look at the triggers of ${[...archived.keys()].join(', ')}.`,
        },
      )
  }
}

/** What to do about rows of the old application, which go with sessions while a track keeps both. */
function oldApplications(track: Track, table: string): string | null {
  const end = track.migrations.find(m => m.endsOldApp !== null && m.file.text.includes(table))
  return end
    ? `Prune when \`${end.name}\` has run: until then ${table} is the old application's, and follows.`
    : null
}

const sameName = (a: string, b: string): boolean => namesIn(a)?.join('\0') === namesIn(b)?.join('\0')

const unarchived = (object: string, taken: string, { instead }: { instead: string }): Failure =>
  new Failure('DESTROYS_UNARCHIVED', object, {
    at: 'prune --delete',
    sql: 'delete',
    takes: [taken],
    wanted: 'archive',
    instead,
  })
