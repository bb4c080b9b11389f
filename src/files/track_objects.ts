import type { Migration, Track, TrackObjects } from '../model/project.js'
import { droppedTables } from './dropped_objects.js'
import { indexName, pathName, relationName, relationsNamed, statementsOrNone, strings } from './statements.js'
import { readTrackInfo } from './track_info.js'

/** The tool's own schemas, which users of the application never reach. */
const ours = /^(chat_private|rethread|rethread_archive)\./

/** The objects that a track's files create and do not drop again, by their names in the files. */
export async function objectsOf(track: Track): Promise<TrackObjects> {
  const tables = new Set<string>()
  const touched = new Set<string>()
  const indexes = new Set<string>()
  const policies: TrackObjects['policies'] = []
  const triggers: TrackObjects['triggers'] = []
  const constraints: TrackObjects['constraints'] = []
  const functions = new Set<string>()
  for (const m of track.migrations)
    for (const s of await statementsOrNone(m.file.text)) {
      const { node } = s
      if (s.kind === 'CreateStmt') tables.add(relationName(node.relation))
      if (s.kind === 'IndexStmt' && node.idxname) indexes.add(indexName(node))
      if (s.kind === 'CreateFunctionStmt') functions.add(pathName(strings(node.funcname)))
      if (s.kind === 'CreatePolicyStmt')
        policies.push({ table: relationName(node.table), name: node.policy_name })
      if (s.kind === 'CreateTrigStmt')
        triggers.push({ table: relationName(node.relation), name: node.trigname })
      if (s.kind === 'AlterTableStmt')
        for (const cmd of node.cmds ?? []) {
          const added =
            cmd.AlterTableCmd?.subtype === 'AT_AddConstraint' && cmd.AlterTableCmd.def?.Constraint?.conname
          if (added) constraints.push({ table: relationName(node.relation), name: added })
        }
      if (s.kind === 'AlterTableStmt' || s.kind === 'UpdateStmt') touched.add(relationName(node.relation))
      for (const table of droppedTables(s)) tables.delete(table)
    }
  return {
    tables: [...tables].filter(t => !ours.test(t)),
    touched: [...touched],
    indexes: [...indexes],
    policies,
    triggers,
    constraints,
    functions: [...functions].filter(f => !ours.test(f)),
    internal: [...tables, ...functions].filter(name => ours.test(name)),
  }
}

/**
 * Tables that migrations create in the tool's own schemas, for derived data and quarantined rows. They hold
 * nothing to lose, unlike a table that was moved there.
 */
export function bookkeepingOf(migrations: Migration[]): Promise<ReadonlySet<string>> {
  const known = bookkeeping.get(migrations) ?? readBookkeeping(migrations)
  bookkeeping.set(migrations, known)
  return known
}

/** Cached by the migrations of a track, because every step needs it. */
const bookkeeping = new WeakMap<Migration[], Promise<ReadonlySet<string>>>()

async function readBookkeeping(migrations: Migration[]): Promise<ReadonlySet<string>> {
  const made = new Set<string>()
  for (const m of migrations) {
    if (!/\b(chat_private|rethread_archive)\b/i.test(m.file.text)) continue
    for (const { kind, node } of await statementsOrNone(m.file.text))
      if (kind === 'CreateStmt' && ours.test(relationName(node.relation)))
        made.add(relationName(node.relation))
  }
  return made
}

/**
 * The tables that a track creates, and those of its sessions and messages: the objects of the shared checks.
 * Files that do not parse are skipped; `lint` reports them.
 */
export async function tablesOf(track: Track): Promise<string[]> {
  const { info } = await readTrackInfo(track)
  const named = [info?.sessions.table, info?.messages?.table].filter(t => t !== undefined)
  return [...new Set([...(await objectsOf(track)).tables, ...named])].sort()
}

/** The same tables, and every other table of the application that a track's files name. */
export async function tablesNamed(track: Track): Promise<string[]> {
  const named = new Set(await tablesOf(track))
  for (const m of track.migrations)
    for (const table of relationsNamed(await statementsOrNone(m.file.text)))
      if (!ours.test(table) && !/^(pg_catalog|information_schema)\./.test(table)) named.add(table)
  return [...named].sort()
}
