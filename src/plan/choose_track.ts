import { countShape } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import type { Context } from '../database/context.js'
import { isDataFault } from '../database/faults.js'
import { columnsOfOtherType, missingObjects, type WrongType } from '../database/requirements.sql.js'
import { readAside } from '../database/scopes.js'
import { readTrackInfo } from '../files/track_info.js'
import { Failures, UsageError } from '../model/failure.js'
import type { Project, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { nearest } from '../model/similar.js'
import { ledgerRows } from './history.js'

/** The track with this name. Throws UsageError with the known names if there is none. */
export function trackNamed(tracks: Track[], name: string): Track {
  const track = tracks.find(t => t.name === name)
  if (track) return track
  const known = tracks.map(t => t.name)
  const meant = nearest(name, known)
  const right = { known, meant: meant && `--track ${meant}` }
  throw new UsageError(`--track ${name}`, 'there is no such track', right)
}

/**
 * Chooses the track when none is named: the one in the ledger, else the only one whose first prerequisites
 * exist. Throws TRACK_UNCLEAR with the candidates.
 */
export async function chooseTrack(connection: Connection, project: Project): Promise<Track> {
  const rows = (await ledgerRows(connection)) ?? []
  const known = project.tracks.filter(t => rows.some(r => r.track === t.name))
  if (known.length === 1) return known[0]!
  const fitting = await tracksThatFit(connection, project)
  if (fitting.length === 1) return fitting[0]!
  const { noneFits, severalFit } = await nearestTracks()
  throw new Failures(
    fitting.length === 0 ? await noneFits(connection.sql, project.tracks) : [severalFit(fitting)],
  )
}

/** What proposes tracks and mappings: a fifth of the program, which a database that fits does not need. */
const nearestTracks = () => import('./nearest_track.js')

/** Whether a track fits a database, and the reasons. */
export interface Fit {
  track: Track
  /**
   * True if everything that the track requires exists, and something of it belongs to the application.
   * Always true for files of another tool: they create what they need.
   */
  fits: boolean
  /** Required tables and columns that exist, and those that do not. */
  has: string[]
  lacks: string[]
  /** Required columns that exist with another type, and that type. */
  others: WrongType[]
  /**
   * How many rows have the form that the track expects. Empty if something is lacking or if row security
   * hides rows.
   */
  shapes: Shape[]
}

/** One sample of a table: `matching` of the `rows` satisfy the track's condition. */
interface Shape {
  table: string
  what: string
  rows: number
  matching: number
}

/**
 * Looks for the tables and columns that each track requires, and samples their rows. A track that requires
 * nothing but users is only chosen by name. An empty table is no reason against a track.
 */
export async function fitsOf(connection: Connection, tracks: Track[]): Promise<Fit[]> {
  const found: Fit[] = []
  for (const track of tracks) {
    const wanted = [...new Set(track.migrations.flatMap(m => m.requires))].filter(r =>
      /^(table|column) /.test(r),
    )
    const lacks = await missingObjects(connection.sql, wanted)
    const others = await columnsOfOtherType(connection.sql, lacks)
    const has = wanted.filter(r => !lacks.includes(r))
    const shapes: Shape[] = []
    if (lacks.length === 0)
      for (const { table, what, is } of (await readTrackInfo(track)).info?.shapes ?? []) {
        const seen = await shapeOf(connection, table, is)
        if (seen) shapes.push({ table, what, ...seen })
      }
    const alike = shapes.every(s => s.rows === 0 || s.matching > 0)
    const ours = has.some(r => !/^\w+ auth\./.test(r))
    found.push({
      track,
      has,
      lacks,
      others,
      shapes,
      fits: track.layout !== null || (lacks.length === 0 && alike && ours),
    })
  }
  return found
}

/**
 * How many rows satisfy a predicate. Null if it cannot be evaluated, for example because a value is not
 * readable.
 */
async function shapeOf(connection: Connection, table: string, is: string) {
  try {
    return await readAside(connection.sql, tx => countShape(tx, table, is))
  } catch (error) {
    if (!isDataFault(error)) throw error
    return null
  }
}

/** The tracks that fit. */
const tracksThatFit = async (connection: Connection, project: Project): Promise<Track[]> =>
  (await fitsOf(connection, project.tracks)).filter(f => f.fits).map(f => f.track)

/**
 * For a track whose required tables are missing: the tracks that fit this database instead, else what this
 * track would need to fit.
 */
export async function otherTracks(
  connection: Connection,
  ctx: Context,
  track: Track,
  obstacles: Finding[],
): Promise<Finding[]> {
  const misfit = obstacles.some(
    f =>
      (f.code === 'MISSING_PREREQUISITE' || f.code === 'WRONG_TYPE') &&
      /^(table|column) /.test(f.subject) &&
      !/ auth\./.test(f.subject),
  )
  if (!misfit) return []
  const [other, ...more] = (await fitsOf(connection, ctx.tracks()))
    .filter(f => f.fits && f.track.name !== track.name)
    .map(f => f.track.name)
  return other === undefined
    ? await (await nearestTracks()).nearestTrack(connection.sql, [track])
    : [finding('OTHER_TRACK', track.name, { tracks: [other, ...more] })]
}
