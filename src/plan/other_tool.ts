import { join } from 'node:path'
import { exportedFiles, supabaseFolder } from '../files/exported.js'
import { histories } from '../histories/tools.js'
import { Failure } from '../model/failure.js'
import { type HistoryTool, historyTools, type OtherTool } from '../model/other_tool.js'
import type { Track } from '../model/project.js'

/**
 * A track with the other tool that keeps a history of it: the one whose layout its files have, or the Supabase
 * CLI where files were exported below `beside`. `history` is written too. Throws HISTORY_NOT_KEPT.
 */
export function withOtherTool(track: Track, beside: string, history: HistoryTool | null): Track {
  const otherTool = track.layout ? ofLayout(track) : ofExported(track, beside)
  const known = otherTool ? { ...track, otherTool } : track
  return history === null ? known : writingHistory(known, history)
}

/** The tool whose layout the files have; null for one that keeps no history. */
function ofLayout({ layout, migrations }: Track): OtherTool | null {
  const name = historyTools.find(tool => tool === layout?.name)
  if (name === undefined) return null
  const files = new Map(migrations.map(m => [m.name, m.foreign ? [m.foreign] : []]))
  return { name, filesOf: migration => files.get(migration) ?? [], writes: false }
}

function ofExported(track: Track, beside: string): OtherTool | null {
  const files = exportedFiles(join(beside, supabaseFolder), track.name)
  if (files.size === 0) return null
  return { name: 'supabase', filesOf: migration => files.get(migration) ?? [], writes: false }
}

/** A track whose steps write the history of a tool too. Throws HISTORY_NOT_KEPT where they can't. */
export function writingHistory(track: Track, history: HistoryTool): Track {
  const { otherTool } = track
  const refuse = (reason: string) => new Failure('HISTORY_NOT_KEPT', history, { reason })
  if (!otherTool && track.layout) throw refuse(`${track.layout.title} keeps none`)
  if (!otherTool) throw refuse(`no file of track ${track.name} has been exported to ${supabaseFolder}`)
  if (otherTool.name !== history) throw refuse(`the files are those of ${otherTool.name}`)
  if (histories[history].create === null) throw refuse(`only ${history} itself can write its table`)
  return { ...track, otherTool: { ...otherTool, writes: true } }
}
