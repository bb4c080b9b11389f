import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, Failures } from '../model/failure.js'
import type { Track, TrackInfo } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'
import { filterName, trackSchema } from './track_schema.js'

/** Name of the file that describes a track's tables, beside its migrations. */
const fileName = 'track.json'

/**
 * Reads and validates `migrations/<track>/track.json`. A track may do without: then nothing is known of its
 * tables, and any setting is passed on. zod is loaded only when there is a file.
 */
export async function readTrackInfo(track: Track): Promise<{ info: TrackInfo | null; faults: Finding[] }> {
  const path = `migrations/${track.name}/${fileName}`
  if (!existsSync(join(track.root, path))) return { info: null, faults: [] }
  const fault = (reason: string) => ({ info: null, faults: [finding('BAD_TRACK_INFO', path, { reason })] })
  const read = readJson(join(track.root, path))
  if ('reason' in read) return fault(read.reason)
  const result = (await trackSchema()).safeParse(read.json)
  if (!result.success) return fault(result.error.issues.map(describeIssue).join('; '))
  const info = result.data as TrackInfo
  const strange = [...strangeDefaults(info), ...strangeRoles(info.roles ?? {}), ...strangeChecks(track, info)]
  return strange.length > 0 ? fault(strange.join('; ')) : { info, faults: [] }
}

/** Defaults of filters that are none of the values which the filter has. */
const strangeDefaults = (info: TrackInfo): string[] =>
  Object.entries(info.filters ?? {}).flatMap(([of, f]) =>
    (f.default ?? [])
      .filter(value => f.values && !f.values.includes(value))
      .map(value => `filters.${of}.default: \`${value}\` is none of its values`),
  )

/** Checks for databases with or without a table that none does without. */
const strangeChecks = ({ checks, checksWithout = [] }: Track, info: TrackInfo): string[] =>
  [...checks, ...checksWithout].flatMap(({ name, needs, lacks }) => {
    const said = { with: needs, without: lacks }
    return Object.entries(said).flatMap(([key, role]) =>
      role === null || isOptional(info, role)
        ? []
        : [`check ${name}: \`${key}: ${role}\` is no optional role`],
    )
  })

/** True for a table, or a column of one, that a database may do without. */
function isOptional({ roles }: TrackInfo, role: string): boolean {
  const [entity, column] = role.split('.') as [string, string | undefined]
  const hint = roles?.[entity]
  return Boolean(column === undefined ? hint?.optional : hint?.columns[column]?.optional)
}

/** Optional roles that go with one which is none, or which itself goes with another. */
const strangeRoles = (roles: NonNullable<TrackInfo['roles']>): string[] =>
  Object.entries(roles).flatMap(([role, { optional }]) => {
    if (!optional || !('with' in optional)) return []
    const other = roles[optional.with]?.optional
    return other && 'without' in other
      ? []
      : [`roles.${role}.optional.with: \`${optional.with}\` is no role that may be absent by itself`]
  })

/**
 * The filters of a folder's tracks, name -> help, for the flags of `sessions`. Filters with faults are
 * skipped; their faults are reported when their track is used.
 */
export function filtersIn(root: string): Map<string, string> {
  const found = new Map<string, string>()
  const folder = join(root, 'migrations')
  for (const track of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const read = readJson(join(folder, track, fileName))
    if ('reason' in read) continue
    const { filters } = Object(read.json) as { filters?: unknown }
    for (const [name, filter] of Object.entries(Object(filters))) {
      const { help, default: usual } = Object(filter) as { help?: unknown; default?: unknown }
      if (typeof help !== 'string' || !filterName.test(name) || found.has(name)) continue
      found.set(name, Array.isArray(usual) ? `${help} (default ${usual.join(', ')})` : help)
    }
  }
  return found
}

/** BAD_SETTING for settings that the track does not know, or whose values are not allowed. */
export function judgeSettings(
  track: string,
  info: TrackInfo | null,
  given: Record<string, string>,
): Finding[] {
  if (!info) return []
  const known = info.settings ?? {}
  return Object.entries(given).flatMap(([name, value]) => {
    const spec = known[name]
    if (!spec)
      return [
        finding('BAD_SETTING', `settings.${name}`, {
          reason: `track ${track} has no such setting`,
          known: Object.keys(known),
        }),
      ]
    const wrong = spec.values
      ? !spec.values.includes(value)
      : spec.pattern
        ? !new RegExp(`^(${spec.pattern})$`).test(value)
        : false
    return wrong
      ? [
          finding('BAD_SETTING', `settings.${name}`, {
            reason: `it cannot be \`${value}\`: ${spec.help}`,
            known: spec.values ?? [],
          }),
        ]
      : []
  })
}

/** The description of a track. Throws NO_TRACK_INFO if it has none, BAD_TRACK_INFO if it is invalid. */
export async function requireTrackInfo(track: Track): Promise<TrackInfo> {
  const { info, faults } = await readTrackInfo(track)
  if (faults[0]) throw new Failures(faults)
  if (!info) throw new Failure('NO_TRACK_INFO', track.name)
  return info
}
