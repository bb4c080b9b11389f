import type { ArchiveRow } from '../archive/archive.sql.js'
import { manifestOf, schemaExists, sendAll } from '../archive/move_table.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { isRefused, isRetriable, serverFault } from '../database/faults.js'
import { savepoint } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { withLockRetries } from '../run/lock_retry.js'
import type { Run } from '../run/run.js'
import type { Conflict } from './restore.sql.js'

/**
 * Moves archived tables back that no migration creates, with their indexes, sequences and partitions. Then
 * attaches again what the archive detached. What cannot be attached is a conflict; the table is restored
 * anyway.
 */
export async function moveBack(run: Run, archives: ArchiveRow[]): Promise<Map<number, Conflict[]>> {
  const conflicts = new Map<number, Conflict[]>()
  const all = new Map(
    await Promise.all(archives.map(async a => [a.id, await manifestOf(run.writer.sql, a.id)] as const)),
  )
  await withLockRetries(run, archives[0]!.relation, timeout =>
    run.writer.sql.begin(async tx => {
      conflicts.clear()
      await setLocal(tx, timeout, 0)
      const moved: ArchiveRow[] = []
      for (const a of archives) {
        if (await schemaExists(tx, a.relation)) moved.push(a)
        else conflicts.set(a.id, [{ key: a.relation, reason: 'its schema is gone: create it' }])
      }
      for (const a of moved)
        await sendAll(
          tx,
          all.get(a.id)!.flatMap(m => (m.kind === 'move back' && m.again ? [m.again] : [])),
        )
      // foreign keys between them need all of the tables
      for (const a of moved) {
        const left: Conflict[] = []
        for (const m of all.get(a.id)!) {
          const why = m.again && m.kind !== 'move back' ? await defineAgain(tx, m.again) : null
          if (why) left.push({ key: `${m.kind} ${m.name}`, reason: `not attached again: ${why}` })
        }
        conflicts.set(a.id, left)
      }
    }),
  )
  return conflicts
}

/** Sends statements that may fail; the transaction continues. Returns the server's error, else null. */
async function defineAgain(tx: Db, text: string): Promise<string | null> {
  try {
    await savepoint(tx)(t => sendAll(t, [text]))
    return null
  } catch (error) {
    // after a lock timeout the whole transaction is repeated
    if (!isRefused(error) || isRetriable(error)) throw error
    return serverFault(error)!.message
  }
}
