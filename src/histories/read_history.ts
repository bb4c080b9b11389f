import type { Db } from '../database/types.js'
import type { ForeignFile } from '../model/foreign.js'
import type { Elsewhere, OtherTool } from '../model/other_tool.js'
import type { Migration, Track } from '../model/project.js'
import { tableText } from '../model/table_name.js'
import { compareVersions } from '../model/versions.js'
import { findTable } from './find_table.sql.js'
import type { HistoryRow } from './tool_history.js'
import { histories } from './tools.js'

/**
 * What another tool's history records about a track's migrations, by name. Null if its table does not exist.
 */
export async function readElsewhere(
  sql: Db,
  track: Track,
  other: OtherTool,
): Promise<Map<string, Elsewhere> | null> {
  const history = histories[other.name]
  const table = await findTable(sql, history)
  if (table === null) return null
  const rows = new Map((await history.read(sql, table)).map(row => [row.key, row]))
  const newest = history.coversEarlier ? ([...rows.values()][0] ?? null) : null
  const found = new Map<string, Elsewhere>()
  for (const m of track.migrations) {
    const files = other.filesOf(m.name)
    const of = files.map(file => rowOf(file, rows, newest, other))
    const there = of.filter(row => row !== null)
    if (there.length === 0) continue
    found.set(m.name, {
      tool: other.name,
      state: stateOf(files, of, other),
      rows: there.map(row => row.key),
      at: there.at(-1)!.at,
    })
  }
  return found
}

/** The row for a file: its own, or the newest row if that covers earlier files. */
function rowOf(
  file: ForeignFile,
  rows: ReadonlyMap<string, HistoryRow>,
  newest: HistoryRow | null,
  { name }: OtherTool,
): HistoryRow | null {
  const { keyOf } = histories[name]
  const key = keyOf(file)
  if (!newest) return rows.get(key) ?? null
  const order = compareVersions(key, newest.key)
  if (order > 0) return null
  // of a covering row only the newest file can have failed
  return order === 0 ? newest : { ...newest, state: 'applied' }
}

function stateOf(
  files: readonly ForeignFile[],
  rows: (HistoryRow | null)[],
  { name }: OtherTool,
): Elsewhere['state'] {
  const { checksumOf, otherChecksumsOf } = histories[name]
  if (rows.some(row => row?.state === 'failed')) return 'failed'
  const isChanged = (row: HistoryRow | null, i: number) => {
    const wanted = row?.checksum ? checksumOf(files[i]!) : null
    if (wanted === null || wanted === row!.checksum) return false
    return !otherChecksumsOf?.(files[i]!).includes(row!.checksum!)
  }
  if (rows.some(isChanged)) return 'changed'
  return rows.includes(null) ? 'partly' : 'applied'
}

/**
 * SQL that makes another tool's history agree with a step, for the step's transaction. It creates the table
 * if necessary. Null if there is nothing to write. Rows of undone migrations are deleted even if the history
 * is not written otherwise.
 */
export async function historyChange(
  sql: Db,
  track: Track,
  m: Migration,
  direction: 'up' | 'down',
): Promise<string | null> {
  const other = track.otherTool
  const files = other?.filesOf(m.name) ?? []
  if (!other || files.length === 0) return null
  const history = histories[other.name]
  if (history.create === null || (direction === 'up' && !other.writes)) return null
  const found = await findTable(sql, history)
  if (found === null && direction === 'down') return null
  const table = found ?? tableText({ schema: history.schema, name: history.table })
  const all = track.migrations.flatMap(x => other.filesOf(x.name))
  const around = (file: ForeignFile) => ({ table, before: all[all.indexOf(file) - 1] ?? null })
  if (direction === 'down')
    return [...files]
      .reverse()
      .map(f => history.remove(f, around(f)))
      .join('\n')
  const texts = found === null ? [history.create(table)] : []
  for (const file of files) texts.push(await history.add(file, around(file)))
  return texts.join('\n')
}
