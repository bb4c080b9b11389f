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
  leftAlone,
  openBindings,
  type ReadProposal,
  readProposals,
  typesInTheWay,
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
import { misread, nearestFinding, nearestOf, severalFit } from '../plan/nearest_track.js'
import { scaffolded } from './scaffold.js'

/** Options of `init`, from flags and answers. */
export interface InitOptions {
  /** Name of the track. Null to let the database decide. */
  track: string | null
  /** The tracks to choose from. */
  shipped: Track[]
  /** The folder for the copy, and the working directory. */
  to: string
  cwd: string
  /** Folder of the package. */
  home: string
  mapping: Mapping
  /** Time zone of times that are stored without one. */
  zone: string | null
  /** The meaning of a column's values, by role. */
  values: Record<string, string>
}

/** The shipped track to copy. Throws TRACK_UNCLEAR. */
export function trackToCopy(shipped: Track[], name: string | null): Track {
  if (name !== null) return trackNamed(shipped, name)
  throw new Failure('TRACK_UNCLEAR', 'init', {
    reason: 'Name the one to copy',
    tracks: shipped.map(t => t.name),
    command: null,
    ask: 'rethread init',
  })
}

/**
 * Copies a track with the names and types of the target. Without a target, with the names that were given.
 * Writes nothing if a role is not certain, or if the track could not read a column.
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
  // a role without a candidate would be named twice
  if (open.length === 0) report.findings.push(...proposal.lacks)
  else
    report.findings.push(
      finding('MAPPING_OPEN', proposal.track.name, {
        roles: open.map(b => b.label),
        names: open.map(b => b.to ?? ''),
        questions: open.map(describeBinding),
        command: initCommand(proposal, options.zone),
      }),
      ...typesInTheWay(proposal),
      ...misread(proposal),
    )
  return report
}

/**
 * The only track of which nothing is open, unless another may be meant. Else the one that clearly comes
 * nearest, if something was found for all of it and only columns or the zone are open: a person is asked
 * about these. Throws TRACK_UNCLEAR, which says which one comes nearest.
 */
function likeliest(proposals: ReadProposal[], shipped: Track[], zone: string | null): ReadProposal {
  const certain = proposals.filter(isCertain)
  const [only] = certain
  const other = certain.length === 1 ? leftAlone(only!, proposals) : null
  if (other)
    throw new Failure('TRACK_UNCLEAR', 'init', {
      reason: `${only!.track.name} would do, and leaves \`${other.table}\` alone, which ${other.track.name} is about`,
      tracks: [only!.track.name, other.track.name],
      command: null,
      ask: 'rethread init',
    })
  if (certain.length === 1) return only!
  if (certain.length > 1)
    throw new Failures([
      severalFit(
        certain.map(p => p.track),
        'rethread init',
      ),
    ])
  const nearest = nearestOf(proposals)
  if (nearest && hasItsTables(nearest) && proposals.every(p => p === nearest || p.found < nearest.found))
    return nearest
  const near = nearest && nearestFinding(nearest, zone)
  throw new Failures([
    finding('TRACK_UNCLEAR', 'init', {
      reason: 'None fits this database for certain',
      tracks: shipped.map(t => t.name),
      command: near?.facts.command ?? null,
      ask: 'rethread init',
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

/** Findings for roles with a privilege on some columns of the messages, if a new table lacks such columns. */
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
    ...(proposal && Object.keys(proposal.passedOver).length > 0 ? { passedOver: proposal.passedOver } : {}),
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
