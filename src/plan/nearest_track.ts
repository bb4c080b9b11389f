import {
  initCommand,
  leftAlone,
  type ReadProposal,
  readProposals,
  unlikeness,
} from '../adapt/read_proposal.js'
import type { Root } from '../database/types.js'
import type { Track } from '../model/project.js'
import { type Finding, type FindingOf, finding } from '../model/report.js'

/**
 * The proposal that comes nearest to a database: for the largest share of its roles something was found, and
 * no other track is about what it leaves alone.
 */
export function nearestOf(proposals: ReadProposal[]): ReadProposal | null {
  const leaves = (p: ReadProposal) => Number(leftAlone(p, proposals) !== null)
  return (
    [...proposals].sort((a, b) => leaves(a) - leaves(b) || b.found - a.found || b.score - a.score)[0] ?? null
  )
}

/** What a proposal says of a database that the track does not fit. */
export function nearestFinding(p: ReadProposal, zone: string | null = null): FindingOf<'NEAREST_TRACK'> {
  const roles = p.bindings.length
  return finding('NEAREST_TRACK', p.track.name, {
    roles,
    found: p.bindings.filter(b => b.to !== null).length,
    differs: unlikeness(p),
    command: initCommand(p, zone),
  })
}

/** That a track must be named, because several would do. */
export const severalFit = (tracks: Track[]): Finding =>
  finding('TRACK_UNCLEAR', 'track', {
    reason: 'Several fit this database',
    tracks: tracks.map(t => t.name),
    command: null,
  })

/** That no track fits a database as it is, and which one comes nearest. */
export async function noneFits(sql: Root, tracks: Track[]): Promise<Finding[]> {
  const nearest = await nearestTrack(sql, tracks)
  const command = nearest.flatMap(f => (f.code === 'NEAREST_TRACK' ? [f.facts.command] : []))[0] ?? null
  const names = tracks.map(t => t.name)
  return [
    finding('TRACK_UNCLEAR', 'track', { reason: 'None fits this database', tracks: names, command }),
    ...nearest,
  ]
}

/** Which of some tracks comes nearest to a database, and the command that would make it fit. */
export async function nearestTrack(sql: Root, tracks: Track[]): Promise<Finding[]> {
  const nearest = nearestOf(await readProposals(sql, tracks, { mapping: {}, zone: null }))
  return nearest ? [nearestFinding(nearest)] : []
}
