import { join } from 'node:path'
import { exportedFiles, supabaseFolder } from '../files/exported.js'
import { histories } from '../histories/tools.js'
import type { ForeignLayout } from '../model/foreign.js'
import { type HistoryTool, historyTools, type OtherTool } from '../model/other_tool.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import type { History } from '../run/ledger_history.js'

/**
 * Adds the other tool that records this track in its history: the one whose layout the files have, or the
 * Supabase CLI if files were exported below `beside`. `history` is a history that is to be written too.
 */
export function withOtherTool(track: Track, beside: string, history: HistoryTool | null): Track {
  const otherTool = track.layout ? ofLayout(track.layout, track.migrations) : ofExported(track, beside)
  const known = otherTool ? { ...track, otherTool } : track
  return history === null ? known : writingHistory(known, history)
}

/**
 * The tool whose layout the files have. Numbered SQL files belong to no tool. If a history records them it
 * is that of Sequelize's runner, which accepts any file name.
 */
function ofLayout(layout: ForeignLayout, migrations: Migration[]): OtherTool {
  const name = historyTools.find(tool => tool === layout.name) ?? 'sequelize'
  const files = new Map(migrations.map(m => [m.name, m.foreign ? [m.foreign] : []]))
  return { name, filesOf: migration => files.get(migration) ?? [], writes: false }
}

function ofExported(track: Track, beside: string): OtherTool | null {
  const files = exportedFiles(join(beside, supabaseFolder), track.name)
  if (files.size === 0) return null
  return { name: 'supabase', filesOf: migration => files.get(migration) ?? [], writes: false }
}

/** The track with a tool's history that its steps also write. `unkept` is the reason if they cannot. */
export function writingHistory(track: Track, history: HistoryTool): Track {
  const { otherTool } = track
  const reason = !otherTool
    ? `no file of track ${track.name} has been exported to ${supabaseFolder}`
    : otherTool.name !== history
      ? `the files are those of ${otherTool.name}`
      : histories[history].create === null
        ? `only ${history} itself can write its table`
        : null
  return reason === null
    ? { ...track, otherTool: { ...otherTool!, writes: true } }
    : { ...track, unkept: finding('HISTORY_NOT_KEPT', history, { reason }) }
}

/**
 * Migrations that the other tool would apply a second time: they are applied here, or about to be, and its
 * history will not contain them. Numbered files without such a tool give no finding.
 */
export function notKeptFindings(track: Track, history: History, toApply: Migration[]): Finding[] {
  const { otherTool: other } = track
  if (!other || other.writes || track.unkept) return []
  const table = history.elsewhere !== undefined
  if (!table && other.name === 'sequelize') return []
  const isUnknown = (m: Migration) =>
    other.filesOf(m.name).length > 0 && !history.elsewhere?.has(m.name) && !m.foreign?.repeatable
  const applied = track.migrations.filter(m => history.applied.has(m.name) && isUnknown(m))
  const next = toApply.filter(isUnknown)
  if (applied.length + next.length === 0) return []
  const facts = {
    tool: other.name,
    applied: applied.map(m => m.name),
    next: next.length,
    keeps: histories[other.name].create !== null,
  }
  return [finding('HISTORY_BEHIND', track.name, facts, table ? 'warn' : 'info')]
}
