import { missingObjects } from '../database/requirements.sql.js'
import { readAside } from '../database/scopes.js'
import { missingFindings } from '../database/server.js'
import type { Root } from '../database/types.js'
import { readTrackInfo } from '../files/track_info.js'
import type { Mapping, Roles } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import type { Finding } from '../model/report.js'
import { shellQuoted } from '../model/shell_word.js'
import { columnText } from '../model/table_name.js'
import {
  type ApplicationTable,
  applicationTables,
  filledShares,
  policyTexts,
  serverZone,
} from './application_tables.sql.js'
import { bindTypes } from './bind.js'
import { idColumnOf } from './fit_columns.js'
import { leftOut, withCompanions } from './left_out.js'
import { mayBeMeant } from './message_lists.js'
import { mappedNames, type Names } from './names.js'
import { apiKey } from './own_grants.js'
import { plainBindings } from './own_roles.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { proposeOptional } from './propose_without.js'
import { readValues } from './read_values.js'
import { rewriteRequired } from './rewrite_header.js'
import { readTrackNames } from './rewrite_track.js'
import { type WantedTable, wantedTables } from './wanted.js'

/** A proposal, and what the track would still lack under it. */
export interface ReadProposal extends Proposal {
  track: Track
  /** Tables and columns that the files would ask for in vain: missing, or of a type that they can't read. */
  lacks: Finding[]
}

/** What a person has said before the database is looked at. */
export interface GivenNames {
  mapping: Mapping
  /** Zone of times that are stored without one; null leaves them to the session's. */
  zone: string | null
  /** By role, what the values of a column mean. */
  values?: Record<string, string>
  /** True where the track may have been applied already: then its own tables are there and none's to name. */
  isApplied?: boolean
}

/** Looks in the catalog, and at some rows, for what each track needs. Writes nothing. */
export async function readProposals(sql: Root, tracks: Track[], given: GivenNames): Promise<ReadProposal[]> {
  const all = await applicationTables(sql)
  const found: { info: TrackInfo; proposal: ReadProposal }[] = []
  for (const track of tracks) {
    const { info } = await readTrackInfo(track)
    // users are in every database: a track that needs nothing else must be named
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
  const said = withCompanions(track.name, info.roles, given.mapping)
  const found = proposeOptional(tablesWanted(track, roles, info), all, said, info.roles ?? {})
  const zone = given.zone ?? zoneWanted(found)
  const values = await readValues(sql, found, info, given.values ?? {})
  const plain = await plainBindings(sql, found, info, all, given.mapping)
  const bindings = [
    ...found.bindings,
    ...values.bindings,
    ...(plain.length > 0 ? plain : await identityBinding(sql, found, given.mapping)),
    ...(zone === given.zone ? [] : [zoneBinding(await serverZone(sql))]),
    ...(given.isApplied ? [] : takenNames(roles, own, found, all)),
  ]
  const identity = bindings.find(b => b.role === 'identity')?.to
  const named = identity ? { ...found.mapping, identity } : found.mapping
  const api = plain.find(b => b.role === apiKey)?.to
  const bound = await bindTypes(sql, track, info, named, { zone, values: values.known })
  const mapping = { ...bound, ...(api ? { [apiKey]: api } : {}) }
  const names = mappedNames({ roles, typed: info.typed ?? {}, probes: info.probes ?? {} }, mapping, own)
  const out = leftOut(info, read, mapping)
  const required = track.migrations
    .flatMap(m => m.requires)
    .filter(r => !out?.named.test(r))
    .flatMap(r => rewriteRequired(names, r))
    .filter(r => /^(table|column) /.test(r))
  const missing = await missingFindings(sql, await missingObjects(sql, [...new Set(required)]))
  const lacks = missing.map(f => saysOfIds(f, info, names, roles))
  return { ...found, bindings: await withShares(sql, found, bindings), mapping, track, lacks }
}

/** What a track needs; of a table with lists of messages in a column, that column above all. */
const tablesWanted = (track: Track, roles: Roles, { roles: hints, elements }: TrackInfo): WantedTable[] =>
  wantedTables(track, roles, hints).map(w =>
    w.table === elements?.table ? { ...w, essential: elements.column } : w,
  )

/**
 * Of an id that no track can read: the types that a copy can be written for. Of a number which only the
 * application makes: that one with a default would do.
 */
function saysOfIds(f: Finding, info: TrackInfo, names: Names, roles: Roles): Finding {
  if (f.code !== 'WRONG_TYPE' || !f.facts.wanted.includes('uuid')) return f
  const { found, wanted } = f.facts
  const named = (role: string): boolean => {
    const [entity, column] = role.split('.') as [string, string]
    const table = roles[entity]?.table
    const name = table && columnText(names.table(table), names.column(table, column)?.column ?? column)
    return f.subject === `column ${name}`
  }
  if (/^(bigint|integer|smallint)$/.test(found))
    return Object.keys(info.typed ?? {}).some(named)
      ? { ...f, facts: { found, wanted: [...wanted, `${found} with a default`] } }
      : f
  const typed = Object.keys(info.typed ?? {})
  const isId = Object.entries(info.roles ?? {}).some(([entity, { columns }]) =>
    Object.entries(columns).some(
      ([column, { of }]) =>
        typed.includes(of === undefined ? `${entity}.${column}` : `${of}.id`) && named(`${entity}.${column}`),
    ),
  )
  return isId
    ? { ...f, facts: { found, wanted: [...wanted, ...adaptableIds.filter(t => !wanted.includes(t))] } }
    : f
}

/** Types of ids that a copy can be written for. */
const adaptableIds = ['uuid', 'bigint', 'integer', 'smallint', 'text', 'varchar']

/** Adds to the reason of each column that names rows in how many rows it does. */
async function withShares(
  sql: Root,
  found: Proposal,
  bindings: ProposedBinding[],
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
    return share === undefined
      ? b
      : { ...b, because: `${b.because}, ${Math.floor(share * 100)}% of rows have it` }
  })
}

/** Who asks, where the ids of users are none of Supabase's: what the policies of the tables say. */
async function identityBinding(sql: Root, found: Proposal, given: Mapping): Promise<ProposedBinding[]> {
  const users = found.tables.get('users')
  const key = users && idColumnOf(users)
  if (!key || key.base === 'uuid') return []
  const binding = { role: 'identity', label: 'identity', rivals: [], renamed: true }
  if (typeof given.identity === 'string')
    return [{ ...binding, to: given.identity, confidence: 'certain', because: 'as you said' }]
  const cast = /^(bigint|integer)$/.test(key.base) ? `::${key.base}` : ''
  const as = (expression: string) => (cast ? `(${expression})${cast}` : expression)
  for (const text of await policyTexts(
    sql,
    [...found.tables.values()].map(t => t.table),
  )) {
    const setting = /current_setting\('([\w.]+)'(?:::text)?(?:, true)?\)/.exec(text)?.[1]
    const said = /auth\.jwt\(\) ->> 'sub'/.test(text)
      ? "auth.jwt() ->> 'sub'"
      : setting && `current_setting('${setting}', true)`
    if (said)
      return [{ ...binding, to: as(said), confidence: 'certain', because: 'policies of the tables say so' }]
  }
  return [
    {
      ...binding,
      to: as("auth.jwt() ->> 'sub'"),
      confidence: 'likely',
      because: `ids of \`${users.table}\` are ${key.base}, and auth.uid() is a uuid`,
    },
  ]
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

/** Tables and columns that the track would make, and that the database has already: they need other names. */
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

/** True where nobody has to be asked, and the track could do with what was found. */
export const isCertain = (p: ReadProposal): boolean =>
  p.lacks.length === 0 && p.bindings.every(b => b.confidence === 'certain')

/** True where something was found for every role, its tables for certain, and the track could do with it. */
export const hasItsTables = (p: ReadProposal): boolean =>
  p.lacks.length === 0 &&
  p.bindings.every(b => b.to !== null && (b.confidence === 'certain' || !isTableRole(b)))

/** A table: what has a point in its name is a column, and how times and persons are read is neither. */
const isTableRole = ({ role }: ProposedBinding): boolean =>
  !role.includes('.') && role !== 'zone' && role !== 'identity'

/** What a person has to say: what nothing is like, what several are like, and what is only likely. */
export const openBindings = (p: Proposal): ProposedBinding[] =>
  p.bindings.filter(b => b.confidence !== 'certain')

/** The command that copies a track under these names; a place that is open says so. */
export function initCommand(p: ReadProposal, zone: string | null): string {
  const asked = zone ?? p.bindings.find(b => b.role === 'zone')?.to ?? null
  const values = p.bindings
    .filter(b => b.isOfValues)
    .map(b => `--map-values ${shellQuoted(`${b.label}=${b.to ?? '<yours>'}`)}`)
  const names = p.bindings
    .filter(b => b.role !== 'zone' && b.role !== apiKey && !b.isOfValues)
    .filter(b => b.renamed || b.confidence !== 'certain')
    .map(b => `${b.label}=${b.to ?? '<yours>'}`)
  return [
    `rethread init --track ${p.track.name}`,
    ...(asked === null ? [] : [`--zone ${asked}`]),
    ...(names.length > 0 ? [`--map ${shellQuoted(names.join(','))}`] : []),
    ...values,
  ].join(' ')
}

/** What was found for a role, how sure it is, and why. */
export const describeBinding = (b: ProposedBinding): string =>
  b.to === null
    ? `${b.label}: ${[b.because, ...b.rivals].join(', ')}`
    : `${b.label} is ${[b.to, ...b.rivals].join(' or ')} (${b.confidence}: ${b.because})`

/** How a database differs from what a track is written for, a line each. */
export function unlikeness(p: ReadProposal): string[] {
  const missing = p.bindings.filter(b => b.to === null)
  const lines = p.bindings.filter(b => b.renamed || b.confidence !== 'certain').map(describeBinding)
  const types = p.lacks.flatMap(f =>
    f.code === 'WRONG_TYPE'
      ? [`${f.subject} is ${f.facts.found}; ${f.facts.wanted.join(' or ')} is needed`]
      : missing.length === 0
        ? [`${f.subject} is missing`]
        : [],
  )
  return [...lines, ...types]
}
