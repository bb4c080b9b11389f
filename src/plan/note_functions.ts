import { rowChanges } from '../files/body_writes.js'
import { statementsOrNone, strings } from '../files/statements.js'
import type { Track } from '../model/project.js'

/** The schema of a track's own functions and of the tables that they keep their notes in. */
const privateTable = /^chat_private\./

/**
 * Functions of a track that write nothing but rows of its private tables. No foreign key and no trigger of
 * the application depends on those.
 */
export async function noteFunctions(track: Track): Promise<Set<string>> {
  const found = new Set<string>()
  for (const { file } of track.migrations)
    for (const statement of await statementsOrNone(file.text)) {
      if (statement.kind !== 'CreateFunctionStmt') continue
      const { tables, filled, unread } = await rowChanges([statement])
      if (unread.length === 0 && tables.size === 0 && [...filled].every(table => privateTable.test(table)))
        found.add(strings(statement.node.funcname).join('.'))
    }
  return found
}
