import { join } from 'node:path'
import { exportedFiles, supabaseFolder } from '../files/exported.js'
import { histories } from '../histories/tools.js'
import type { ForeignLayout } from '../model/foreign.js'
import { type HistoryTool, historyTools, type OtherTool } from '../model/other_tool.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import type { History } from '../run/ledger_history.js'

/**
 * A track with the other tool that keeps a history of it: the one whose layout its files have, or the
 * Supabase CLI where files were exported below `beside`. `history` is written too.
 */
export function withOtherTool(track: Track, beside: string, history: HistoryTool | null): Track {
  const otherTool = track.layout ? ofLayout(track.layout, track.migrations) : ofExported(track, beside)
  const known = otherTool ? { ...track, otherTool } : track
  return history === null ? known : writingHistory(known, history)
}

/**
 * The tool whose layout the files have. Numbered SQL files are of no tool in particular; where one keeps a
 * history of them it is Sequelize's runner, which takes files of any name.
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

/** A track whose steps write the history of a tool too; `unkept` says why where they can't. */
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
 * What the tool whose files these are would apply a second time: migrations that are applied here, or are
 * about to be, and that its history will not have. Of numbered files without such a tool, nothing is said.
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
