import { SyntaxFault, tokenChecksum } from '../files/statements.js'
import type { Track } from '../model/project.js'
import type { History } from '../run/ledger_history.js'
import type { Changed } from './make_plan.js'

/**
 * Compares applied files with the files on disk. It compares raw checksums first and parses only on a
 * mismatch, because parsing is slow.
 */
export async function changedFiles(track: Track, history: History): Promise<Changed> {
  const changed = new Map<string, 'reformatted' | 'changed'>()
  for (const m of track.migrations) {
    const row = history.applied.get(m.name)
    if (!row || row.checksum === m.file.checksum) continue
    let same = false
    try {
      same = (await tokenChecksum(m.file.text)) === row.tokens
    } catch (error) {
      // a file that no longer parses has certainly changed
      if (!(error instanceof SyntaxFault)) throw error
    }
    changed.set(m.name, same ? 'reformatted' : 'changed')
  }
  return changed
}
