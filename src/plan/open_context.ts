import { type Context, closeSpare, connect, type Machine } from '../database/context.js'
import type { Config } from '../files/config.js'
import { discover, foreignFolder, type WantedLayouts } from '../files/discover.js'
import type { Emit } from '../model/event.js'
import { Failures } from '../model/failure.js'
import type { Project, Track } from '../model/project.js'
import { type Finding, finding, type Report, type Table } from '../model/report.js'
import { chooseTrack, trackNamed } from './choose_track.js'
import { withOtherTool } from './other_tool.js'

/** What the command line or the library has read before a verb runs. */
export interface Opening {
  /** The target; empty where none is named, which only verbs without a database allow. */
  url: string
  config: Config
  /** Folder with migrations/, rollbacks/ and verify/. */
  root: string
  /** Folder that the Supabase CLI would be started in: it may hold exported files. */
  beside: string
  /** Folder of the package, with the checks that every track shares. */
  home: string
  /** The layouts of other tools, where the folder may have one. */
  layouts: WantedLayouts | null
  /** Name of the track, else null: then the database chooses. */
  track: string | null
  /** Why this run, in the words of the person, else null. */
  reason: string | null
  /** Version of rethread, for the ledger. */
  version: string
  machine: Machine
  emit: Emit
  signal: AbortSignal
}

/** What verbs are called with. */
export interface Opened {
  ctx: Context
  /** The folders as they are, faults included; read once, when they are first wanted. */
  project(): Project
  /** The chosen track; throws the faults of the files, or TRACK_UNCLEAR. */
  track(): Promise<Track>
  /** Whose layout the chosen track has, and what is odd about its files; none for a track of ours. */
  layoutFindings(): Finding[]
  /** A report with when its command began, the number of its run, and the limits that it ran under. */
  stamped(report: Report, startedAt: Date): Report
  /** That migrations of another tool are beside, where the shipped tracks are used. */
  unreadFolder(): Finding[]
  /** Closes the session that chose the track, where the verb took none over. */
  close(): Promise<void>
}

/** The folders as they are when they are first wanted, read once. */
export function readOnce({ root, home, layouts }: Pick<Opening, 'root' | 'home' | 'layouts'>): () => Project {
  let read: Project | null = null
  return () => {
    read ??= discover(root, home, layouts)
    return read
  }
}

/**
 * Makes the context of a verb. Opens no connection and reads no file until asked for a track; `project` is
 * shared where several contexts have the same files.
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
      // a plan has no run: what is numbered is a rehearsal on a copy
      ...(run === undefined || report.command === 'plan' ? {} : { run }),
      limits: { lockTimeoutMs: config.lockTimeoutMs, batchMs: config.batchTargetMs },
    }),
    unreadFolder: () => {
      // files that were exported for another tool are read beside the track
      const folder = root === home && beside !== home && !picked?.otherTool ? foreignFolder(beside) : null
      return folder === null ? [] : [finding('FOLDER_NOT_READ', folder)]
    },
    close: () => closeSpare(ctx),
  }
}

/** What a report says of a track in another tool's layout: `error` for everything, `warn` without errors. */
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

/** The track, after the faults of its files: all of them at once. */
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
    // a verb begins by opening a reader: a deploy with nothing to do connects once
    ctx.spare.reader = connection
    return track
  } catch (error) {
    await connection.close()
    throw error
  }
}

/**
 * What else is wrong in the files, where something is: a syntax error is named in the same run as a name that
 * is wrong. Files that are in order are parsed when something is to run.
 */
async function deeperFaults({ tracks }: Project, name: string | null): Promise<Finding[]> {
  const { lint } = await import('../files/lint.js')
  const looked = tracks.some(t => t.name === name) ? tracks.filter(t => t.name === name) : tracks
  const found = await Promise.all(looked.map(track => lint(track)))
  return found.flat().filter(f => f.level === 'error')
}

/** Where each value came from, as `doctor` shows it. */
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
