import { rowChanges } from '../files/body_writes.js'
import { statementsOrNone, strings } from '../files/statements.js'
import type { Track } from '../model/project.js'

/** The schema of a track's own functions and of the tables that they keep their notes in. */
const privateTable = /^chat_private\./

/**
 * Whether a track creates this function, and it writes nothing but rows of the track's private tables. No
 * foreign key and no trigger of the application depends on those.
 */
export async function isNoteFunction(track: Track, name: string): Promise<boolean> {
  for (const { file } of track.migrations)
    for (const statement of await statementsOrNone(file.text)) {
      const { kind, node } = statement
      if (kind !== 'CreateFunctionStmt' || strings(node.funcname).join('.') !== name) continue
      const { tables, filled, unread } = await rowChanges([statement])
      return unread.length === 0 && tables.size === 0 && [...filled].every(table => privateTable.test(table))
    }
  return false
}
