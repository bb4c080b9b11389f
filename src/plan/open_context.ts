import { type Context, closeSpare, connect, type Machine } from '../database/context.js'
import type { Config } from '../files/config.js'
import { discover, foreignFolder, type WantedLayouts } from '../files/discover.js'
import type { Emit } from '../model/event.js'
import { Failures } from '../model/failure.js'
import type { Project, Track } from '../model/project.js'
import { type Finding, finding, type Report, type Table } from '../model/report.js'
import { chooseTrack, trackNamed } from './choose_track.js'
import { withOtherTool } from './other_tool.js'

/** The input of every command, from the command line or the library. */
export interface Opening {
  /** URL of the target database. Empty if none is named, which only commands without a database allow. */
  url: string
  config: Config
  /** Folder with migrations/, rollbacks/ and verify/. */
  root: string
  /** The working directory. It may hold files that were exported for the Supabase CLI. */
  beside: string
  /** Folder of the package, with the checks that every track shares. */
  home: string
  /** The other tools' layouts to look for; null for none. */
  layouts: WantedLayouts | null
  /** Name of the track. If null, the database decides. */
  track: string | null
  /** The person's reason for this run, or null. */
  reason: string | null
  /** Version of rethread. The ledger records it. */
  version: string
  machine: Machine
  emit: Emit
  signal: AbortSignal
}

/** What a command gets to work with. */
export interface Opened {
  ctx: Context
  /** The tracks in the folders, with the faults of their files. Read once, on first use. */
  project(): Project
  /** The chosen track; throws the faults of the files, or TRACK_UNCLEAR. */
  track(): Promise<Track>
  /** Findings about the layout of the chosen track. None if it is in rethread's own layout. */
  layoutFindings(): Finding[]
  /** The report with the start time of the command, the number of its run, and the limits that applied. */
  stamped(report: Report, startedAt: Date): Report
  /** FOLDER_NOT_READ if another tool's migrations are beside, but a shipped track is used. */
  unreadFolder(): Finding[]
  /** Closes the connection that was used to choose the track, if the command has not taken it over. */
  close(): Promise<void>
}

/** Reads the folders on the first call and returns the same result afterwards. */
export function readOnce({ root, home, layouts }: Pick<Opening, 'root' | 'home' | 'layouts'>): () => Project {
  let read: Project | null = null
  return () => {
    read ??= discover(root, home, layouts)
    return read
  }
}

/**
 * Creates the context of a command. Opens no connection and reads no file until a track is requested. Pass
 * the same `project` to contexts that share their files.
 */
export function openContext(opening: Opening, project: () => Project = readOnce(opening)): Opened {
  const { url, config, root, beside, home, machine, emit, signal } = opening
  let picked: Track | null = null
  let run: number | undefined
  const ctx: Context = {
    ...machine,
    url,
    settings: config.settings,
    lockTimeoutMs: config.lockTimeoutMs,
    lockBudgetSeconds: config.lockBudgetSeconds,
    batchTargetMs: config.batchTargetMs,
    maxFailedRows: config.maxFailedRows,
    retryFailedSeconds: config.retryFailedSeconds,
    cores: null,
    walBytesPerSecond: config.walMbPerSecond === null ? null : config.walMbPerSecond * 2 ** 20,
    holdTriggers: config.triggers === 'hold',
    reason: opening.reason,
    tool: `rethread ${opening.version}`,
    tracks: () => project().tracks,
    emit: event => {
      if (event.type === 'run') run = event.run
      emit(event)
    },
    spare: { reader: null },
    signal,
  }
  return {
    ctx,
    project,
    track: async () => {
      picked = withOtherTool(await pickTrack(ctx, project(), opening.track), opening.beside, config.history)
      return picked
    },
    layoutFindings: () => (picked ? layoutFindings(picked) : []),
    stamped: (report, startedAt) => ({
      ...report,
      startedAt: startedAt.toISOString(),
      // a plan is no run; the number would be that of a rehearsal on a copy
      ...(run === undefined || report.command === 'plan' ? {} : { run }),
      limits: { lockTimeoutMs: config.lockTimeoutMs, batchMs: config.batchTargetMs },
    }),
    unreadFolder: () => {
      // a track with exported files reads that folder itself
      const folder = root === home && beside !== home && !picked?.otherTool ? foreignFolder(beside) : null
      return folder === null ? [] : [finding('FOLDER_NOT_READ', folder)]
    },
    close: () => closeSpare(ctx),
  }
}

/**
 * Findings about a track in another tool's layout: only those of level `error`, or only those of level
 * `warn`.
 */
export function layoutFindings(
  { name, layout, migrations }: Track,
  upTo: 'warn' | 'error' = 'warn',
): Finding[] {
  if (!layout) return []
  return [
    finding('LAYOUT', name, {
      tool: layout.title,
      folder: layout.folder,
      migrations: migrations.length,
      reversible: migrations.filter(m => m.rollback).length,
    }),
    ...layout.faults.filter(f => upTo === 'error' || f.level !== 'error'),
  ]
}

/** The chosen track. Throws all faults of its files at once. */
async function pickTrack(ctx: Context, project: Project, name: string | null): Promise<Track> {
  const faults = project.faults.filter(f => f.level === 'error')
  if (faults.length > 0) throw new Failures([...faults, ...(await deeperFaults(project, name))])
  const track = await trackOf(ctx, project, name)
  const ofLayout = (track.layout?.faults ?? []).filter(f => f.level === 'error')
  if (ofLayout.length > 0) throw new Failures(ofLayout)
  return track
}

async function trackOf(ctx: Context, project: Project, name: string | null): Promise<Track> {
  if (project.tracks.length === 1 && !name) return project.tracks[0]!
  if (name !== null) return trackNamed(project.tracks, name)
  const connection = await connect(ctx, 'reader')
  try {
    const track = await chooseTrack(connection, project)
    // a command first opens a reader: reuse this connection instead of opening a second one
    ctx.spare.reader = connection
    return track
  } catch (error) {
    await connection.close()
    throw error
  }
}

/**
 * Further faults of files that have some already, so that one run reports syntax errors and wrong names
 * together. Files without faults are parsed later, when they run.
 */
async function deeperFaults({ tracks }: Project, name: string | null): Promise<Finding[]> {
  const { lint } = await import('../files/lint.js')
  const looked = tracks.some(t => t.name === name) ? tracks.filter(t => t.name === name) : tracks
  const found = await Promise.all(looked.map(track => lint(track)))
  return found.flat().filter(f => f.level === 'error')
}

/** The source of each setting, as `doctor` shows it. */
export const sourcesTable = (from: {
  database: string
  folder: string
  track: string
  configuration: string
}): Table => ({
  title: 'Where values come from',
  columns: ['value', 'from'],
  rows: Object.entries(from),
})
