import type { Db } from '../database/types.js'
import type { ColumnBinding, Mapping, Roles, TrackTypes } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { type CatalogColumn, columnsOf } from './bind.sql.js'
import { absentColumns, absentRoles } from './left_out.js'
import { bindingOf } from './names.js'
import { readTrackNames } from './rewrite_track.js'
import {
  bytesForm,
  codeForm,
  isNumber,
  isTextList,
  jsonTextForm,
  readCodes,
  textListForm,
  timeForm,
  timeUnits,
} from './value_forms.js'
import { requiredTypes } from './wanted.js'

/** What a person has declared about values. */
export interface GivenValues {
  /** Time zone of times that are stored without one. Null for the time zone of the session. */
  zone: string | null
  /** The meaning of a column's values, by column name in the track: `ms`, or `0:user,1:assistant`. */
  values: Record<string, string>
}

/** The part of a track's description that is about types and messages. */
type BoundTrack = TrackTypes & Pick<Partial<TrackInfo>, 'messages'>

/** Types that an id may have in the database where the track's files use uuid. */
const bindableIds = /^(bigint|integer|smallint|text|character varying)$/

/**
 * Completes a mapping with what the catalog says of the bound columns: types, how a time or a code is read.
 * An id takes the database's type only where the track's description says
 * what else has it, so that the files require what they can do with.
 */
export async function bindTypes(
  sql: Db,
  track: Track,
  types: BoundTrack,
  mapping: Mapping,
  given: GivenValues,
): Promise<Mapping> {
  const { roles } = await readTrackNames(track)
  const bound: Mapping = { ...mapping }
  const wanted = requiredTypes(track)
  const catalogs = new Map<string, CatalogColumn[]>()
  for (const [entity, { table, new: made }] of Object.entries(roles)) {
    if (made || mapping[entity] === null) continue
    const now = mapping[entity]
    const name = typeof now === 'string' ? (now.includes('.') ? now : `public.${now}`) : table
    catalogs.set(entity, await columnsOf(sql, [name]))
  }
  const found = (role: string): CatalogColumn | undefined => {
    const [entity, column] = role.split('.') as [string, string]
    const name = bindingOf(mapping[role])?.column ?? column
    return catalogs.get(entity)?.find(c => c.column === name)
  }
  for (const entity of catalogs.keys()) {
    const { table, columns } = roles[entity]!
    const absent = absentColumns(types.roles?.[entity], absentRoles(types.roles, mapping))
    for (const column of Object.keys(columns)) {
      const role = `${entity}.${column}`
      if (absent.includes(column) || mapping[role] === null) continue
      const binding = bindingOf(mapping[role]) ?? { column }
      const here = found(role)
      const of = types.roles?.[entity]?.columns[column]?.of
      // a column that references rows must have the type of their ids, or the track cannot use it
      const id = of === undefined ? role : `${of}.id`
      const type = typedAs(types, id, found(id))
      if (!here) continue
      const allowed = wanted.get(`${table}.${column}`) ?? []
      const more = {
        ...(idForm(role, here, allowed, type, { types, roles }) ??
          valueForm(role, here, allowed, types, given)),
        ...probeForm(here, allowed),
      }
      if (Object.keys(more).length > 0) bound[role] = { ...binding, ...more }
    }
  }
  return bound
}

/**
 * The type of a role's ids if it is not uuid. Null if they are uuids or of a type that the track cannot use.
 */
const typedAs = (types: TrackTypes, role: string, found: CatalogColumn | undefined): string | null =>
  found && types.typed?.[role] && bindableIds.test(found.base) ? found.base : null

/** Characters of a uuid's text. */
const uuidLength = 36

/** Integer types in order of size. */
const wholeNumbers = ['smallint', 'integer', 'bigint']

const isTextual = /^(text|character varying)$/

/** The type of a column of ids if it is not uuid: the type of the ids, or a compatible one. */
function idForm(
  role: string,
  here: CatalogColumn,
  allowed: string[],
  type: string | null,
  track: { types: TrackTypes; roles: Roles },
): Partial<ColumnBinding> | null {
  if (type === null || !allowed.includes('uuid')) return null
  const made = (track.types.typed?.[role] ?? []).some(name => track.roles[name.split('.')[0]!]?.new)
  const makes = made ? madeAs(here) : undefined
  if (makes === null) return null
  const fits =
    (isTextual.test(type) && isTextual.test(here.base)) ||
    (wholeNumbers.includes(here.base) && wholeNumbers.indexOf(here.base) <= wholeNumbers.indexOf(type))
  return { type: fits ? here.base : type, ...(makes === undefined ? {} : { makes }) }
}

/**
 * How the track's tables generate ids of this kind: as the database does. Null for numbers that only the
 * application generates. The files then still require a uuid, which refuses them.
 */
function madeAs(here: CatalogColumn): string | null {
  if (here.makes !== null) return here.makes
  if (!isTextual.test(here.base)) return null
  const isShort = here.length !== null && here.length < uuidLength
  return isShort ? `"left"(md5((gen_random_uuid())::text), ${here.length})` : '(gen_random_uuid())::text'
}

/** How to read and write a column whose values differ from the track's. Null if they do not differ. */
function valueForm(
  role: string,
  here: CatalogColumn,
  allowed: string[],
  info: BoundTrack,
  { zone, values }: GivenValues,
): Partial<ColumnBinding> | null {
  const said = values[role]
  if (allowed.includes('timestamptz')) {
    const form = timeForm(here.base, zone, timeUnits.find(u => u === said) ?? null)
    return form && { ...form, type: here.base, ...(said === undefined ? {} : { values: said }) }
  }
  if (said !== undefined) return { ...codeForm(readCodes(role, said), here.base), values: said }
  if (here.base === 'json' && allowed.includes('jsonb') && !allowed.includes('json'))
    return { type: 'json', reads: '({})::jsonb', writes: '({})::json' }
  if (role !== contentRole(info)) return null
  if (here.base === 'bytea') return bytesForm
  return /^jsonb?$/.test(here.base) ? jsonTextForm(here) : isTextList(here.base) ? textListForm(here) : null
}

/** The name of the column with the text of a message. */
const contentRole = ({ messages }: BoundTrack): string | null =>
  messages ? `${namesIn(messages.table)!.at(-1)}.${messages.content}` : null

/** The facts about a column that a track's probes need. */
const probeForm = (here: CatalogColumn, allowed: string[]): Partial<ColumnBinding> =>
  allowed.length === 0
    ? {}
    : {
        ...(isNumber(here.base) && !allowed.includes('timestamptz')
          ? { number: true, ...(here.positive ? { positive: true } : {}) }
          : {}),
        ...(here.length !== null && here.length < uuidLength && allowed.includes('uuid')
          ? { short: true }
          : {}),
        ...(here.always ? { always: true } : {}),
      }
