import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { holdsMessages } from './application_tables.sql.js'
import { likeness } from './likeness.js'
import type { Proposal } from './propose.js'

/** False for a track that makes tables for messages and leaves those that are there where they are. */
export const readsMessages = ({ elements, messages, roles }: TrackInfo): boolean =>
  elements !== undefined || (messages !== undefined && namesIn(messages.table)!.at(-1)! in (roles ?? {}))

/** Whether a track that is for lists of messages in a column has found a table that keeps them so. */
export async function keepLists(
  sql: Root,
  found: { info: TrackInfo; proposal: Proposal }[],
): Promise<boolean> {
  for (const { info, proposal } of found) {
    if (!info.elements) continue
    const entity = namesIn(info.elements.table)!.at(-1)!
    const table = proposal.tables.get(entity)
    const fitted = proposal.columns.get(entity)?.find(f => f.want.column === info.elements!.column)
    if (!table || !fitted?.column || !/^jsonb?$/.test(fitted.column.base)) continue
    const { column } = fitted.column
    if (likeness(column, info.elements.column, []) > 0) return true
    if (await readAside(sql, tx => holdsMessages(tx, table.table, column))) return true
  }
  return false
}
