import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { holdsMessages } from './application_tables.sql.js'
import type { Proposal } from './propose.js'

/** What a track says of itself, and what a database has for it. */
interface Candidate {
  info: TrackInfo
  proposal: Proposal
}

/** False for a track that makes tables for messages and leaves those that are there where they are. */
const readsMessages = ({ elements, messages, roles }: TrackInfo): boolean =>
  elements !== undefined || (messages !== undefined && namesIn(messages.table)!.at(-1)! in (roles ?? {}))

/**
 * The tracks that may be meant. Where a table keeps lists of messages in a column, none is that would take
 * its rows for something else, or leave the messages where they are.
 */
export async function mayBeMeant<T extends Candidate>(sql: Root, found: T[]): Promise<T[]> {
  const lists = await tablesOfLists(sql, found)
  if (lists.size === 0) return found
  const takes = ({ proposal }: T) => [...proposal.tables.values()].some(t => lists.has(t.table))
  return found.filter(f => f.info.elements || (readsMessages(f.info) && !takes(f)))
}

/** Tables that keep lists of messages in a column, as a track for such has found them. */
async function tablesOfLists(sql: Root, found: Candidate[]): Promise<Set<string>> {
  const lists = new Set<string>()
  for (const { info, proposal } of found) {
    if (!info.elements) continue
    const entity = namesIn(info.elements.table)!.at(-1)!
    const table = proposal.tables.get(entity)
    const fitted = proposal.columns.get(entity)?.find(f => f.want.column === info.elements!.column)
    if (!table || !fitted?.column || !/^jsonb?$/.test(fitted.column.base)) continue
    const { column } = fitted.column
    const holds = await readAside(sql, tx => holdsMessages(tx, table.table, column))
    // no row says it: a name in the plural does
    if (holds ?? column.toLowerCase().endsWith(info.elements.column)) lists.add(table.table)
  }
  return lists
}
