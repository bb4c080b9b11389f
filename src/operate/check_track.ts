import { columnsOf } from '../adapt/bind.sql.js'
import { bindingOf } from '../adapt/names.js'
import { apiKey, settingsKey } from '../adapt/own_grants.js'
import { withoutNone } from '../adapt/passed_over.js'
import { shortName } from '../adapt/propose.js'
import { initCommand, readProposals } from '../adapt/read_proposal.js'
import { readTrackNames } from '../adapt/rewrite_track.js'
import { trackCopier } from '../adapt/without_api.js'
import { type Context, connect } from '../database/context.js'
import type { Config } from '../files/config.js'
import { copiedFiles } from '../files/scaffold.js'
import { SyntaxFault } from '../files/statements.js'
import { readTrackInfo } from '../files/track_info.js'
import { Failure } from '../model/failure.js'
import { type Mapping, noTable, type Roles } from '../model/mapping.js'
import type { Track } from '../model/project.js'
import { emptyReport, finding, type Report } from '../model/report.js'
import { nearestFinding } from '../plan/nearest_track.js'

/**
 * Compares the mapping that a track was written with, and the mapping for the current database, and lists the
 * files that would change. Names that still exist are kept; others are searched again.
 */
export async function checkTrack(
  ctx: Context,
  track: Track,
  { mapping: written, passedOver: seen }: Pick<Config, 'mapping' | 'passedOver'>,
  zone: string | null,
): Promise<Report> {
  await using connection = await connect(ctx, 'reader')
  const report = emptyReport('init')
  const names = await namesStillThere(connection.sql, written)
  const propose = async (mapping: Mapping) =>
    (
      await readProposals(connection.sql, [track], {
        mapping,
        zone: zone ?? zoneIn(written),
        values: valuesSaid(written),
        isApplied: true,
      })
    )[0]
  const first = await propose(names)
  if (!first) return report
  const { info } = await readTrackInfo(track)
  const come = Object.keys(first.passedOver).filter(role => first.passedOver[role] !== seen[role])
  const taken = come.reduce((all, role) => withoutNone(all, info?.roles ?? {}, role), names)
  const proposal = come.length > 0 ? (await propose(taken))! : first
  const now = proposal.mapping
  const { roles } = await readTrackNames(track)
  const command = initCommand(proposal, zone)
  const before = await textsUnder(track, info, written)
  for (const role of [...new Set([...Object.keys(written), ...Object.keys(now)])].sort()) {
    const doubt = now[role] === null && come.includes(role) ? first.passedOver[role]! : null
    if (bindingText(written[role]) === bindingText(now[role]) && doubt === null) continue
    const { [role]: _, ...others } = written
    const only: Mapping = now[role] === undefined ? others : { ...written, [role]: now[role] }
    const after = await textsUnder(track, info, only).catch(error => {
      // with a single role of the new mapping, a file may not be valid
      if (!(error instanceof Failure || error instanceof SyntaxFault)) throw error
      return null
    })
    report.findings.push(
      finding('MAPPING_DIFFERS', role, {
        written: bindingText(written[role]) ?? ownName(roles, role),
        now: doubt === null ? (bindingText(now[role]) ?? ownName(roles, role)) : `${noTable} or ${doubt}`,
        command,
        files: after
          ? [...after].filter(([path, text]) => before.get(path) !== text).map(([path]) => path)
          : [],
      }),
    )
  }
  const open = proposal.bindings.filter(b => b.to === null)
  if (open.length > 0) report.findings.push(nearestFinding(proposal, zone))
  report.findings.push(...proposal.lacks)
  if (report.findings.length > 0) report.verdict = 'attention'
  else report.findings.push(finding('MAPPING_HOLDS', track.name, { names: Object.keys(written).length }))
  return report
}

/** The time zone of the former mapping, so that it need not be given again. */
const zoneIn = (written: Mapping): string | null =>
  Object.values(written)
    .map(value => / at time zone '([^']+)'/.exec(bindingOf(value)?.reads ?? '')?.[1] ?? null)
    .find(zone => zone !== null) ?? null

/** The declared meanings of values, so that they need not be given again. */
const valuesSaid = (written: Mapping): Record<string, string> =>
  Object.fromEntries(
    Object.entries(written).flatMap(([role, value]) => {
      const values = bindingOf(value)?.values
      return values === undefined ? [] : [[role, values]]
    }),
  )

/** The track's own name for a role, which holds where a mapping says nothing; null for other keys. */
function ownName(roles: Roles, role: string): string | null {
  const [entity, column] = role.split('.') as [string, string | undefined]
  return roles[entity] ? (column ?? shortName(roles[entity].table)) : null
}

/** A binding as text for people: only the name if there is nothing else. */
function bindingText(value: Mapping[string] | undefined): string | null {
  if (value === undefined) return null
  if (value === null) return noTable
  if (typeof value === 'string') return value
  const { column, ...more } = value
  return Object.keys(more).length === 0
    ? column
    : `${column} ${JSON.stringify(Object.fromEntries(Object.entries(more).sort()))}`
}

/** The part of a mapping whose names still exist. The catalog's facts are read again. */
async function namesStillThere(sql: Parameters<typeof columnsOf>[0], written: Mapping): Promise<Mapping> {
  const kept: Mapping = {}
  for (const [role, value] of Object.entries(written)) {
    const [entity, column] = role.split('.') as [string, string | undefined]
    const at = written[entity]
    const table = typeof at === 'string' ? at : `public.${entity}`
    if (role === 'identity') kept[role] = value
    // roles and their rights are read again
    else if (role === apiKey || role === settingsKey) continue
    else if (value === null) kept[role] = null
    else if (column === undefined) {
      if ((await columnsOf(sql, [table])).length > 0) kept[role] = value
    } else {
      const binding = bindingOf(value)!
      const there = (await columnsOf(sql, [table])).some(c => c.column === binding.column)
      const { probe } = binding
      if (there && (probe !== undefined || binding.column !== column))
        kept[role] = { column: binding.column, ...(probe === undefined ? {} : { probe }) }
    }
  }
  return kept
}

async function textsUnder(
  track: Track,
  info: Parameters<typeof trackCopier>[1],
  mapping: Mapping,
): Promise<Map<string, string>> {
  const rewrite = Object.keys(mapping).length === 0 ? null : await trackCopier(track, info, mapping)
  return new Map((await copiedFiles(track, rewrite)).map(f => [f.path, f.text]))
}
