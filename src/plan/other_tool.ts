import { join } from 'node:path'
import { exportedFiles, supabaseFolder } from '../files/exported.js'
import { histories } from '../histories/tools.js'
import { Failure } from '../model/failure.js'
import type { HistoryTool } from '../model/other_tool.js'
import type { Track } from '../model/project.js'

/**
 * A track with the other tool that keeps a history of it: the Supabase CLI, where files were exported below
 * `beside`. `history` is the one that is written too. Throws HISTORY_NOT_KEPT.
 */
export function withOtherTool(track: Track, beside: string, history: HistoryTool | null): Track {
  const files = exportedFiles(join(beside, supabaseFolder), track.name)
  const filesOf = (migration: string) => files.get(migration) ?? []
  const known: Track =
    files.size === 0 ? track : { ...track, otherTool: { name: 'supabase', filesOf, writes: false } }
  return history === null ? known : writingHistory(known, history)
}

/** A track whose steps write the history of a tool too. Throws HISTORY_NOT_KEPT where they can't. */
export function writingHistory(track: Track, history: HistoryTool): Track {
  const { otherTool } = track
  const refuse = (reason: string) => new Failure('HISTORY_NOT_KEPT', history, { reason })
  if (!otherTool) throw refuse(`no file of track ${track.name} has been exported to ${supabaseFolder}`)
  if (otherTool.name !== history) throw refuse(`the files are those of ${otherTool.name}`)
  if (histories[history].create === null) throw refuse(`only ${history} itself can write its table`)
  return { ...track, otherTool: { ...otherTool, writes: true } }
}
