import { relative } from 'node:path'
import { bindTypes } from '../adapt/bind.js'
import { splitMapping } from '../adapt/judge_mapping.js'
import { withCompanions } from '../adapt/left_out.js'
import { type OwnGrant, ownRoles, ownTablesOf, partialGrants } from '../adapt/own_grants.js'
import {
  describeBinding,
  hasItsTables,
  initCommand,
  isCertain,
  openBindings,
  type ReadProposal,
  readProposals,
} from '../adapt/read_proposal.js'
import { readTrackNames } from '../adapt/rewrite_track.js'
import { trackCopier } from '../adapt/without_api.js'
import { type Context, connect } from '../database/context.js'
import { discover } from '../files/discover.js'
import { copyTrack } from '../files/scaffold.js'
import { readTrackInfo } from '../files/track_info.js'
import { Failure, Failures } from '../model/failure.js'
import { type Mapping, noTable } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, type Table } from '../model/report.js'
import { trackNamed } from '../plan/choose_track.js'
import { nearestFinding, nearestOf, severalFit } from '../plan/nearest_track.js'
import { scaffolded } from './scaffold.js'

/** What a person wants of `init`, read from flags and answers. */
export interface InitOptions {
  /** Name of the track; null leaves it to the database. */
  track: string | null
  /** The tracks that can be copied. */
  shipped: Track[]
  /** Folder that the copy goes to, and the one that the command ran in. */
  to: string
  cwd: string
  /** Folder of the package. */
  home: string
  mapping: Mapping
  /** Zone of times that are stored without one. */
  zone: string | null
  /** By role, what the values of a column mean. */
  values: Record<string, string>
}

/** The shipped track to copy. Throws TRACK_UNCLEAR. */
export function trackToCopy(shipped: Track[], name: string | null): Track {
  if (name !== null) return trackNamed(shipped, name)
  throw new Failure('TRACK_UNCLEAR', 'init', {
    reason: 'Name the one to copy',
    tracks: shipped.map(t => t.name),
    command: null,
  })
}

/**
 * Copies a track under the names and types of the target, after a look at it; without a target under the
 * names that were given. Writes nothing where a role is not certain, or the track could not read a column.
 */
export async function init(ctx: Context, options: InitOptions): Promise<Report> {
  if (ctx.url === '')
    return await copied(trackToCopy(options.shipped, options.track), options.mapping, options, null)
  await using connection = await connect(ctx, 'reader')
  const named = options.track === null ? null : trackNamed(options.shipped, options.track)
  const given = { mapping: options.mapping, zone: options.zone, values: options.values }
  const proposals = await readProposals(connection.sql, named ? [named] : options.shipped, given)
  if (named && proposals.length === 0) {
    const { info } = await readTrackInfo(named)
    const mapping = await bindTypes(connection.sql, named, info ?? {}, options.mapping, options)
    return await copied(named, mapping, options, null)
  }
  const proposal = named ? proposals[0]! : likeliest(proposals, options.shipped, options.zone)
  const open = openBindings(proposal)
  if (open.length === 0 && proposal.lacks.length === 0)
    return await copied(proposal.track, proposal.mapping, options, proposal)
  const report = emptyReport('init')
  report.tables.push(mappingTable(proposal))
  report.verdict = 'refused'
  // a role that nothing is like would be named twice
  if (open.length === 0) report.findings.push(...proposal.lacks)
  else
    report.findings.push(
      finding('MAPPING_OPEN', proposal.track.name, {
        roles: open.map(b => b.label),
        names: open.map(b => b.to ?? ''),
        questions: open.map(describeBinding),
        command: initCommand(proposal, options.zone),
      }),
      ...proposal.lacks.filter(f => f.code === 'WRONG_TYPE'),
    )
  return report
}

/**
 * The only track that nothing is open of; else the one that clearly comes nearest, where something was found
 * for all of it and only columns or the zone are open, which a person is asked about. Throws TRACK_UNCLEAR,
 * and says which comes nearest.
 */
function likeliest(proposals: ReadProposal[], shipped: Track[], zone: string | null): ReadProposal {
  const certain = proposals.filter(isCertain)
  if (certain.length === 1) return certain[0]!
  if (certain.length > 1) throw new Failures([severalFit(certain.map(p => p.track))])
  const nearest = nearestOf(proposals)
  if (nearest && hasItsTables(nearest) && proposals.every(p => p === nearest || p.found < nearest.found))
    return nearest
  const near = nearest && nearestFinding(nearest, zone)
  throw new Failures([
    finding('TRACK_UNCLEAR', 'init', {
      reason: 'None fits this database for certain',
      tracks: shipped.map(t => t.name),
      command: near?.facts.command ?? null,
    }),
    ...(near ? [near] : []),
  ])
}

/** What was found for each role, how sure it is, and why. */
const mappingTable = (proposal: ReadProposal): Table => ({
  title: 'Mapping',
  columns: ['role', 'in this database', 'confidence', 'because'],
  rows: proposal.bindings.map(b => [b.label, b.to ?? '?', b.confidence, b.because]),
})

/** Where a role has a privilege on some columns of the messages, which a new table does not all have. */
async function inPart(
  track: Track,
  roles: OwnGrant[],
  info: TrackInfo | null,
  mapping: Mapping,
): Promise<Finding[]> {
  const tables = ownTablesOf(await readTrackNames(track), info, mapping)
  return partialGrants(roles, tables).map(({ table, ...facts }) =>
    finding('GRANTED_IN_PART', table, { ...facts, messages: tables.reader!.table }),
  )
}

async function copied(
  track: Track,
  wanted: Mapping,
  options: InitOptions,
  proposal: ReadProposal | null,
): Promise<Report> {
  const { to, cwd, home } = options
  const { info } = await readTrackInfo(track)
  const whole = withCompanions(track.name, info?.roles, wanted)
  const { mapping, unused } = splitMapping(track.name, await readTrackNames(track), whole)
  const isEmpty = Object.keys(mapping).length === 0
  const rewrite = isEmpty ? null : await trackCopier(track, info, mapping)
  const written = await copyTrack(track, to, rewrite, {
    track: track.name,
    ...(isEmpty ? {} : { mapping }),
  })
  const report = await scaffolded('init', written, discover(to, home), track.name, () =>
    finding('COPIED', track.name, {
      to: relative(cwd, to) || '.',
      files: written.length,
      names: proposal
        ? proposal.bindings.filter(b => b.renamed && b.to !== noTable).length
        : Object.values(mapping).filter(to => to !== null).length,
    }),
  )
  if (unused.length > 0) report.findings.push(finding('MAPPING_UNUSED', track.name, { roles: unused }))
  const roles = ownRoles(mapping)
  if (roles)
    report.findings.push(
      finding('WITHOUT_API', track.name, {
        roles: roles.map(r => r.role),
        secured: roles.some(r => r.reaches !== null),
      }),
    )
  if (roles) report.findings.push(...(await inPart(track, roles, info, mapping)))
  if (proposal) report.tables.push(mappingTable(proposal))
  return report
}
