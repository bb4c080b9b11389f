import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { holdsMessages } from './application_tables.sql.js'
import { isRole } from './fit_columns.js'
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
 * The tracks that may be meant. If a table keeps lists of messages in a column, this leaves out tracks that
 * would use its rows as something else, or would leave the messages where they are. The latter also holds for
 * a table under another name than the track's, to whose rows messages of another table lead.
 */
export async function mayBeMeant<T extends Candidate>(sql: Root, found: T[]): Promise<T[]> {
  const led = tablesOfMessages(found)
  const leaves = ({ proposal }: T) =>
    proposal.bindings.some(b => b.renamed && led.has(proposal.tables.get(b.role)?.table ?? ''))
  const meant = found.filter(f => f.info.elements || readsMessages(f.info) || !leaves(f))
  const lists = await tablesOfLists(sql, meant)
  if (lists.size === 0) return meant
  const takes = ({ proposal }: T) => [...proposal.tables.values()].some(t => lists.has(t.table))
  return meant.filter(f => f.info.elements || (readsMessages(f.info) && !takes(f)))
}

/**
 * Tables to whose rows messages lead: another table says who speaks, and has most of what a track wants of
 * messages.
 */
function tablesOfMessages(found: Candidate[]): Set<string> {
  const led = new Set<string>()
  for (const { info, proposal } of found) {
    if (!info.messages || !readsMessages(info)) continue
    const columns = proposal.columns.get(namesIn(info.messages.table)!.at(-1)!) ?? []
    const fitted = columns.filter(c => c.column !== null)
    if (fitted.length * 2 < columns.length || !fitted.some(c => isRole(c.want))) continue
    for (const { want, column } of fitted)
      for (const { table } of want.of === null || want.of === 'users' ? [] : column!.references)
        led.add(table)
  }
  return led
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
