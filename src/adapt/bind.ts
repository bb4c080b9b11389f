import type { Db } from '../database/types.js'
import type { ColumnBinding, Mapping } from '../model/mapping.js'
import type { Track } from '../model/project.js'
import { nameAt } from '../model/table_name.js'
import { type CatalogColumn, columnsOf } from './bind.sql.js'
import { bindingOf } from './names.js'
import { readTrackNames } from './rewrite_track.js'

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

/**
 * Completes a mapping with what the catalog says of the bound columns: types, how a time is read, what
 * probes have to write beside. `zone` is that of times without one; null leaves them to the session's.
 */
export async function bindTypes(
  sql: Db,
  track: Track,
  mapping: Mapping,
  zone: string | null,
): Promise<Mapping> {
  const { roles } = await readTrackNames(track)
  const bound: Mapping = { ...mapping }
  const wanted = requiredTypes(track)
  for (const [entity, { table, columns, new: made }] of Object.entries(roles)) {
    if (made) continue
    const now = mapping[entity]
    const catalog = await columnsOf(sql, [
      typeof now === 'string' && !now.includes('.') ? `public.${now}` : ((now as string) ?? table),
    ])
    const taken = new Set<string>()
    for (const column of Object.keys(columns)) {
      const role = `${entity}.${column}`
      const binding = bindingOf(mapping[role]) ?? { column }
      const found = catalog.find(c => c.column === binding.column)
      taken.add(binding.column)
      if (found)
        Object.assign(bound, bindOne(role, binding, found, wanted.get(`${table}.${column}`) ?? [], zone))
    }
    for (const c of catalog.filter(c => c.required && c.column !== 'name' && !taken.has(c.column)))
      bound[`${entity}.${c.column}`] ??= probed(c)
  }
  return bound
}

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

/** Types that a track's headers allow for each column. */
function requiredTypes(track: Track): Map<string, string[]> {
  const types = new Map<string, string[]>()
  for (const required of track.migrations.flatMap(m => m.requires)) {
    const found = required.startsWith('column ') ? nameAt(required.slice('column '.length)) : null
    if (found && found.rest.trim() !== '') types.set(found.parts.join('.'), found.rest.trim().split('|'))
  }
  return types
}

function bindOne(
  role: string,
  binding: ColumnBinding,
  found: CatalogColumn,
  allowed: string[],
  zone: string | null,
): Mapping {
  const more: Partial<ColumnBinding> = {}
  const time = allowed.includes('timestamptz')
  if (time && !asIs.test(found.base)) Object.assign(more, timeOf(found.base, zone))
  const usual = allowed.length === 0 || allowed.includes('uuid') ? found.base === 'uuid' : true
  if (!usual || more.reads) more.type = found.type
  if (/^(bigint|integer|smallint|numeric)/.test(found.base) && !time) more.number = true
  if (found.always) more.always = true
  if (Object.keys(more).length === 0 || allowed.length === 0) return {}
  return { [role]: { ...binding, ...more } }
}
