import type { Db } from '../database/types.js'
import type { ColumnBinding, Mapping, TrackTypes } from '../model/mapping.js'
import type { Track } from '../model/project.js'
import { type CatalogColumn, columnsOf } from './bind.sql.js'
import { bindingOf } from './names.js'
import { readTrackNames } from './rewrite_track.js'
import { requiredTypes } from './wanted.js'

/**
 * How a time without a zone is read and written. Times that are numbers or text stay what they are:
 * reports order and compare messages by the column itself, and the headers' `requires` refuses them before
 * anything is changed.
 */
const timeOf = (type: string, zone: string | null): Partial<ColumnBinding> =>
  type === 'timestamp without time zone' && zone !== null
    ? { reads: `{} at time zone '${zone}'`, writes: `({})::timestamptz at time zone '${zone}'` }
    : {}

/** Types that the tracks read as they are, beside those that a file requires. */
const asIs = /^(timestamp with|date)/

/** Types that an id can have which is a uuid in the track's files. */
const bindableIds = /^(bigint|integer|text|character varying)$/

const isNumber = /^(bigint|integer|smallint|numeric)$/

/**
 * Completes a mapping with what the catalog says of the bound columns: types, how a time is read, what
 * probes have to write beside. `zone` is that of times without one; null leaves them to the session's. An id
 * takes the database's type only where the track's description says what else has it, so that the files
 * require what they can do with.
 */
export async function bindTypes(
  sql: Db,
  track: Track,
  types: TrackTypes,
  mapping: Mapping,
  zone: string | null,
): Promise<Mapping> {
  const { roles, own } = await readTrackNames(track)
  const bound: Mapping = { ...mapping }
  const wanted = requiredTypes(track)
  const catalogs = new Map<string, CatalogColumn[]>()
  for (const [entity, { table, new: made }] of Object.entries(roles)) {
    if (made) continue
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
    for (const column of Object.keys(columns)) {
      const role = `${entity}.${column}`
      const binding = bindingOf(mapping[role]) ?? { column }
      taken.add(binding.column)
      const here = found(role)
      const of = types.roles?.[entity]?.columns[column]?.of
      // a column that names rows has the type of their ids, or the track can't do with it
      const id = of === undefined ? role : `${of}.id`
      const type = typedAs(types, id, found(id))
      const allowed = wanted.get(`${table}.${column}`) ?? []
      if (here) Object.assign(bound, bindOne(role, binding, here, allowed, type, zone))
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

function bindOne(
  role: string,
  binding: ColumnBinding,
  found: CatalogColumn,
  allowed: string[],
  type: string | null,
  zone: string | null,
): Mapping {
  const more: Partial<ColumnBinding> = {}
  const time = allowed.includes('timestamptz')
  if (time && !asIs.test(found.base)) Object.assign(more, timeOf(found.base, zone))
  if (more.reads) more.type = found.type
  else if (type !== null && allowed.includes('uuid')) more.type = type
  if (isNumber.test(found.base) && !time) more.number = true
  if (found.always) more.always = true
  if (Object.keys(more).length === 0 || allowed.length === 0) return {}
  return { [role]: { ...binding, ...more } }
}
