import { missingObjects } from '../database/requirements.sql.js'
import { readAside } from '../database/scopes.js'
import { missingFindings } from '../database/server.js'
import type { Root } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import type { Mapping, Roles } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import type { Finding, FindingOf } from '../model/report.js'
import { shellQuoted } from '../model/shell_word.js'
import { partText } from '../model/table_name.js'
import {
  type ApplicationTable,
  applicationTables,
  filledShares,
  serverZone,
} from './application_tables.sql.js'
import { bindTypes } from './bind.js'
import { identityBinding, readIdentity } from './identity.js'
import { keysInUse, sayKeys } from './keys_in_use.js'
import { leftOut, withCompanions } from './left_out.js'
import { mayBeMeant } from './message_lists.js'
import { mappedNames } from './names.js'
import { apiKey, settingsKey } from './own_grants.js'
import { plainBindings } from './own_roles.js'
import { passedOver } from './passed_over.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { proposeOptional } from './propose_without.js'
import { readValues } from './read_values.js'
import { rewriteRequired } from './rewrite_header.js'
import { readTrackNames } from './rewrite_track.js'
import { sayOfIds } from './types_of_ids.js'
import { type WantedTable, wantedTables } from './wanted.js'

/** A proposal, and what the track would still lack with it. */
export interface ReadProposal extends Proposal {
  track: Track
  /**
   * Tables and columns that the files would not find: they are missing or have a type that the files cannot
   * read.
   */
  lacks: Finding[]
  /** By role of which it was said that there is none: what the database has for it nevertheless. */
  passedOver: Record<string, string>
}

/** What a person has declared before the database is examined. */
export interface GivenNames {
  mapping: Mapping
  /** Time zone of times that are stored without one. Null for the time zone of the session. */
  zone: string | null
  /** The meaning of a column's values, by role. */
  values?: Record<string, string>
  /** True if the track may be applied already: its own tables then exist and need no other name. */
  isApplied?: boolean
}

/** Searches the catalog, and a sample of rows, for what each track needs. Writes nothing. */
export async function readProposals(sql: Root, tracks: Track[], given: GivenNames): Promise<ReadProposal[]> {
  const all = await applicationTables(sql)
  const found: { info: TrackInfo; proposal: ReadProposal }[] = []
  for (const track of tracks) {
    const { info } = await readTrackInfo(track)
    // every database has users: a track that needs nothing else must be named
    const hasOwnTables = Object.keys(info?.roles ?? {}).some(entity => entity !== 'users')
    if (info?.roles && (hasOwnTables || tracks.length === 1))
      found.push({ info, proposal: await readProposal(sql, track, info, all, given) })
  }
  // a track that a person has named is meant
  const meant = tracks.length > 1 ? await mayBeMeant(sql, found) : found
  return meant.map(f => f.proposal)
}

async function readProposal(
  sql: Root,
  track: Track,
  info: TrackInfo,
  all: ApplicationTable[],
  given: GivenNames,
): Promise<ReadProposal> {
  const read = await readTrackNames(track)
  const { roles, own } = read
  const whole = withCompanions(track.name, info.roles, given.mapping)
  const proposed = (names: Mapping) =>
    proposeOptional(tablesWanted(track, roles, info), all, names, info.roles ?? {})
  const first = proposed(whole)
  const keys = await keysInUse(sql, first, whole)
  const found = Object.keys(keys).length > 0 ? sayKeys(proposed({ ...whole, ...keys }), keys) : first
  const zone = given.zone ?? zoneWanted(found)
  const values = await readValues(sql, found, info, given.values ?? {})
  const said = await readIdentity(sql, found, info, given.mapping)
  const asked = { ...given.mapping, ...(said?.to ? { identity: said.to } : {}) }
  const plain = await plainBindings(sql, found, info, all, asked)
  const bindings = [
    ...found.bindings,
    ...values.bindings,
    ...(said?.to === null ? [said] : plain.length > 0 ? plain : await identityBinding(sql, found, asked)),
    ...(zone === given.zone ? [] : [zoneBinding(await serverZone(sql))]),
    ...(given.isApplied ? [] : takenNames(roles, own, found, all)),
  ]
  const identity = bindings.find(b => b.role === 'identity')?.to ?? said?.to
  const named = identity ? { ...found.mapping, identity } : found.mapping
  const kept = plain.flatMap(b => (b.to !== null && isReadAgain(b.role) ? [[b.role, b.to]] : []))
  const bound = await bindTypes(sql, track, info, named, { zone, values: values.known })
  const mapping: Mapping = { ...bound, ...Object.fromEntries(kept) }
  const names = mappedNames({ roles, typed: info.typed ?? {}, probes: info.probes ?? {} }, mapping, own)
  const out = leftOut(info, read, mapping)
  const required = track.migrations
    .flatMap(m => m.requires)
    .filter(r => !out?.named.test(r))
    .flatMap(r => rewriteRequired(names, r))
    .filter(r => /^(table|column) /.test(r))
  const missing = await missingFindings(sql, await missingObjects(sql, [...new Set(required)]))
  const lacks = await sayOfIds(sql, missing, { info, names, roles, found })
  const left = passedOver({ given: given.mapping, hints: info.roles ?? {}, roles, own, propose: proposed })
  const shown = await withShares(sql, found, { bindings, given: given.mapping })
  return { ...found, bindings: shown, mapping, track, lacks, passedOver: left }
}

/** True for what is written into the mapping, and read from the database again each time. */
const isReadAgain = (role: string): boolean => role === apiKey || role === settingsKey

/** What a track needs; of a table with lists of messages in a column, that column above all. */
const tablesWanted = (track: Track, roles: Roles, { roles: hints, elements }: TrackInfo): WantedTable[] =>
  wantedTables(track, roles, hints).map(w =>
    w.table === elements?.table ? { ...w, essential: elements.column } : w,
  )

/**
 * Adds to the reason of each column that references rows how many rows have a value. If none has, its name
 * alone speaks for it, and another column may be in use.
 */
async function withShares(
  sql: Root,
  found: Proposal,
  { bindings, given }: { bindings: ProposedBinding[]; given: Mapping },
): Promise<ProposedBinding[]> {
  const shares = new Map<string, number>()
  for (const [entity, table] of found.tables) {
    const columns = found.columns.get(entity)!.filter(c => c.column && c.want.of !== null)
    const names = columns.map(c => c.column!.column)
    const seen = names.length > 0 ? await readAside(sql, tx => filledShares(tx, table.table, names)) : null
    for (const { want, column } of columns) {
      const share = seen?.get(column!.column)
      if (share !== undefined) shares.set(`${entity}.${want.column}`, share)
    }
  }
  return bindings.map(b => {
    const share = shares.get(b.role)
    if (share === undefined) return b
    const isGuess = share === 0 && b.renamed && b.confidence === 'certain' && given[b.role] === undefined
    return {
      ...b,
      ...(isGuess ? { confidence: 'likely' as const } : {}),
      because: `${b.because}, ${Math.floor(share * 100)}% of rows have it`,
    }
  })
}

/** A zone where a column holds times without one; any will do to go on. */
const zoneWanted = (found: Proposal): string | null =>
  [...found.columns.values()]
    .flat()
    .some(
      ({ want, column }) =>
        want.types.includes('timestamptz') && /^(timestamp without time zone|date)$/.test(column?.base ?? ''),
    )
    ? 'UTC'
    : null

const zoneBinding = (zone: string): ProposedBinding => ({
  role: 'zone',
  label: 'zone',
  to: zone,
  confidence: 'likely',
  because: 'times are stored without a zone; this is that of the server',
  rivals: [],
  renamed: true,
})

/** Tables and columns that the track would create and that exist already. They need other names. */
function takenNames(
  roles: Roles,
  own: Map<string, Set<string>>,
  found: Proposal,
  all: ApplicationTable[],
): ProposedBinding[] {
  const taken = (role: string, name: string, because: string): ProposedBinding[] =>
    found.mapping[role] === undefined
      ? [{ role, label: role, to: `new_${name}`, confidence: 'likely', because, rivals: [], renamed: true }]
      : []
  return Object.entries(roles).flatMap(([entity, { table, new: made }]) => {
    if (made && all.some(t => t.table === table))
      return taken(entity, entity, `the track makes \`${table}\`, and there is one already`)
    const theirs = made ? undefined : found.tables.get(entity)
    return [...(theirs ? (own.get(table) ?? []) : [])]
      .filter(column => theirs!.columns.some(c => c.column === column) && !(column in roles[entity]!.columns))
      .flatMap(column =>
        taken(`${entity}.${column}`, column, `the track adds it, and \`${theirs!.table}\` has one already`),
      )
  })
}

/** True if no question is open and the track could use what was found. */
export const isCertain = (p: ReadProposal): boolean =>
  p.lacks.length === 0 && p.bindings.every(b => b.confidence === 'certain')

/** True if every role was found, the tables with certainty, and the track could use them. */
export const hasItsTables = (p: ReadProposal): boolean =>
  p.lacks.length === 0 &&
  p.bindings.every(b => b.to !== null && (b.confidence === 'certain' || !isTableRole(b)))

/** True for a table. A name with a point is a column; `zone` and `identity` are neither. */
const isTableRole = ({ role }: ProposedBinding): boolean =>
  !role.includes('.') && role !== 'zone' && role !== 'identity'

/** The tables that were found for a track, beside that of the users. */
export const tablesFound = (p: ReadProposal): ProposedBinding[] =>
  p.bindings.filter(b => isTableRole(b) && p.tables.has(b.role) && b.role !== 'users')

/**
 * Of a track that knows a database by one table, which is called otherwise: a table under the very name that
 * another track has for it, and this one leaves alone. The other may be meant. Null where there is none.
 */
export function leftAlone(p: ReadProposal, all: ReadProposal[]): { track: Track; table: string } | null {
  const [only, ...more] = tablesFound(p)
  if (!only?.renamed || more.length > 0) return null
  for (const other of [...all].sort((a, b) => b.found - a.found))
    for (const b of other === p ? [] : tablesFound(other)) {
      const { table } = other.tables.get(b.role)!
      const columns = other.columns.get(b.role)!
      const isLike = columns.filter(c => c.column !== null).length * 2 >= columns.length
      if (!b.renamed && isLike && table !== p.tables.get(only.role)!.table)
        return { track: other.track, table }
    }
  return null
}

/** What a person has to say: what nothing is like, what several are like, and what is only likely. */
export const openBindings = (p: Proposal): ProposedBinding[] =>
  p.bindings.filter(b => b.confidence !== 'certain')

/** The command that copies a track under these names. It has a placeholder for each open name. */
export function initCommand(p: ReadProposal, zone: string | null): string {
  const asked = zone ?? p.bindings.find(b => b.role === 'zone')?.to ?? null
  const values = p.bindings
    .filter(b => b.isOfValues)
    .map(b => `--map-values ${shellQuoted(`${b.label}=${b.to ?? '<yours>'}`)}`)
  const names = p.bindings
    .filter(b => b.role !== 'zone' && !isReadAgain(b.role) && !b.isOfValues)
    .filter(b => b.renamed || b.confidence !== 'certain')
    .map(b => `${b.label}=${b.to ?? '<yours>'}`)
  return [
    `rethread init --track ${p.track.name}`,
    ...(asked === null ? [] : [`--zone ${asked}`]),
    ...(names.length > 0 ? [`--map ${shellQuoted(names.join(','))}`] : []),
    ...values,
  ].join(' ')
}

/** What stays of the wrong types when all questions have an answer. */
export const typesInTheWay = (p: ReadProposal): FindingOf<'WRONG_TYPE'>[] =>
  p.lacks.flatMap(f => (f.code === 'WRONG_TYPE' && !isAskedOf(p, f.subject) ? [f] : []))

/** True for a column of which it is only open what its values mean: its type would do. */
const isAskedOf = ({ bindings, tables, columns }: ReadProposal, subject: string): boolean =>
  bindings.some(({ label, isOfValues, confidence }) => {
    const [entity, name] = label.split('.') as [string, string]
    const found = columns.get(entity)?.find(c => c.want.column === name)?.column
    return (
      isOfValues &&
      confidence !== 'certain' &&
      found &&
      subject === `column ${tables.get(entity)!.table}.${partText(found.column)}`
    )
  })

/** What was found for a role, how sure it is, and why. */
export const describeBinding = (b: ProposedBinding): string =>
  b.to === null
    ? `${b.label}: ${[b.because, ...b.rivals].join(', ')}`
    : `${b.label} is ${[b.to, ...b.rivals].join(' or ')} (${b.confidence}: ${b.because})`

/** The type that a column has, that which it needs, and what gives it that. */
const typeNeeded = ({ subject, facts }: FindingOf<'WRONG_TYPE'>): string => {
  const needed = `${subject} is ${facts.found}; ${facts.wanted.join(' or ')} is needed`
  const named = facts.ids === undefined ? needed : `${needed}, as it names rows by \`${facts.ids}\``
  return facts.change ? `${named}. Where your application can read and send it so: ${facts.change}` : named
}

/** The differences between a database and what a track expects, one line each. */
export function unlikeness(p: ReadProposal): string[] {
  const missing = p.bindings.filter(b => b.to === null)
  const lines = p.bindings.filter(b => b.renamed || b.confidence !== 'certain').map(describeBinding)
  const types = p.lacks.flatMap(f =>
    f.code === 'WRONG_TYPE' ? [typeNeeded(f)] : missing.length === 0 ? [`${f.subject} is missing`] : [],
  )
  return [...lines, ...types]
}
