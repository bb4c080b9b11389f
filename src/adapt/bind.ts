import type { Db } from '../database/types.js'
import type { ColumnBinding, Mapping, Roles, TrackTypes } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { type CatalogColumn, columnsOf } from './bind.sql.js'
import { absentColumns, absentRoles } from './left_out.js'
import { bindingOf } from './names.js'
import { readTrackNames } from './rewrite_track.js'
import { codeForm, isNumber, jsonTextForm, readCodes, timeForm, timeUnits } from './value_forms.js'
import { requiredTypes } from './wanted.js'

/** What a person says of values beside the names. */
export interface GivenValues {
  /** Zone of times that are stored without one; null leaves them to the session's. */
  zone: string | null
  /** By role, what the values of a column mean: `ms`, or `0:user,1:assistant`. */
  values: Record<string, string>
}

/** What a track's description says of its types and of its messages. */
type BoundTrack = TrackTypes & Pick<Partial<TrackInfo>, 'messages'>

/** Types that an id can have which is a uuid in the track's files. */
const bindableIds = /^(bigint|integer|smallint|text|character varying)$/

/**
 * Completes a mapping with what the catalog says of the bound columns: types, how a time or a code is read,
 * what probes have to write beside. An id takes the database's type only where the track's description says
 * what else has it, so that the files require what they can do with.
 */
export async function bindTypes(
  sql: Db,
  track: Track,
  types: BoundTrack,
  mapping: Mapping,
  given: GivenValues,
): Promise<Mapping> {
  const { roles, own } = await readTrackNames(track)
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
  for (const [entity, catalog] of catalogs) {
    const { table, columns } = roles[entity]!
    const taken = new Set<string>()
    const absent = absentColumns(types.roles?.[entity], absentRoles(types.roles, mapping))
    for (const column of Object.keys(columns).filter(c => !absent.includes(c))) {
      const role = `${entity}.${column}`
      const binding = bindingOf(mapping[role]) ?? { column }
      taken.add(binding.column)
      const here = found(role)
      const of = types.roles?.[entity]?.columns[column]?.of
      // a column that names rows has the type of their ids, or the track can't do with it
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
    // what the track itself has added is no column of the application's
    for (const column of own.get(table) ?? [])
      taken.add(bindingOf(mapping[`${entity}.${column}`])?.column ?? column)
    for (const c of catalog.filter(c => c.required && c.column !== 'name' && !taken.has(c.column)))
      bound[`${entity}.${c.column}`] ??= probed(c)
  }
  return bound
}

/** The type that ids of a role have instead of uuid; null where they have none that the track can take. */
const typedAs = (types: TrackTypes, role: string, found: CatalogColumn | undefined): string | null =>
  found && types.typed?.[role] && bindableIds.test(found.base) ? found.base : null

/** A column that a row needs and the track does not know: probes write it. */
const probed = (c: CatalogColumn): ColumnBinding => ({ column: c.column, probe: probeValue(c.base) })

const probeValue = (type: string): string =>
  /int|numeric|double|real/.test(type)
    ? '0'
    : /json/.test(type)
      ? "'{}'"
      : /bool/.test(type)
        ? 'false'
        : /timestamp|date/.test(type)
          ? 'now()'
          : type === 'uuid'
            ? 'gen_random_uuid()'
            : 'left(md5(random()::text), 12)'

/** Characters of a uuid's text. */
const uuidLength = 36

/** Whole numbers, each type with room for those before it. */
const wholeNumbers = ['smallint', 'integer', 'bigint']

const isTextual = /^(text|character varying)$/

/** The type that a column with ids has instead of uuid: that of the ids, or one that is taken for it. */
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
 * How the tables of the track get ids of this kind: as the database makes its own. Null for numbers that only
 * the application makes: the files go on requiring a uuid, which refuses them.
 */
function madeAs(here: CatalogColumn): string | null {
  if (here.makes !== null) return here.makes
  if (!isTextual.test(here.base)) return null
  const isShort = here.length !== null && here.length < uuidLength
  return isShort ? `"left"(md5((gen_random_uuid())::text), ${here.length})` : '(gen_random_uuid())::text'
}

/** How a column is read and written that holds something else than the track's; null where it does not. */
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
  return role === contentRole(info) && /^jsonb?$/.test(here.base) ? jsonTextForm(here) : null
}

/** The role of the column that holds what a message says. */
const contentRole = ({ messages }: BoundTrack): string | null =>
  messages ? `${namesIn(messages.table)!.at(-1)}.${messages.content}` : null

/** What the probes of a track have to know of a column. */
const probeForm = (here: CatalogColumn, allowed: string[]): Partial<ColumnBinding> =>
  allowed.length === 0
    ? {}
    : {
        ...(isNumber(here.base) && !allowed.includes('timestamptz') ? { number: true } : {}),
        ...(here.length !== null && here.length < uuidLength && allowed.includes('uuid')
          ? { short: true }
          : {}),
        ...(here.always ? { always: true } : {}),
      }
