import type { Db } from '../database/types.js'
import { type Finding, finding } from '../model/report.js'
import { shellWord } from '../model/shell_word.js'
import { listArchives, pruneStep } from './archive.sql.js'

/**
 * A finding for what the newest rollback of a track has archived and nobody has restored: the number of rows,
 * how many of them users had made or changed, and the command.
 */
export async function waitingArchives(sql: Db, track: string): Promise<Finding[]> {
  const kept = (await listArchives(sql)).filter(
    // pruned sessions are not meant to be restored
    a => a.track === track && a.state === 'kept' && a.migration !== pruneStep,
  )
  const [newest] = kept
  if (!newest) return []
  // the archives of one rollback belong together; older ones are restored separately
  const parts = kept.filter(a => a.run === newest.run)
  const rows = parts.reduce((n, a) => n + a.rows, 0)
  if (rows === 0) return []
  const known = parts.every(a => a.made !== null)
  return [
    finding('ARCHIVE_WAITING', `r${newest.run}`, {
      rows,
      made: known ? parts.reduce((n, a) => n + a.made!, 0) : null,
      at: newest.at,
      command: `rethread restore r${newest.run} --track ${shellWord(track)}`,
    }),
  ]
}
