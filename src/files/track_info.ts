import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, Failures } from '../model/failure.js'
import type { Track, TrackInfo } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'
import { nameSchemas } from './name_schemas.js'

/** Name of the file beside a track's migrations that says what its tables mean. */
const fileName = 'track.json'

/** What a filter may be called: it is a flag too. */
const filterName = /^[a-z][a-z0-9_]*$/

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
  const z = await import('./zod.js')
  const { plain: name, table, column } = await nameSchemas()
  const setting = z.strictObject({
    help: z.string(),
    default: z.nullable(z.string()),
    values: z.optional(z.array(z.string())),
    pattern: z.optional(z.string()),
  })
  const filter = z.strictObject({
    column: name,
    help: z.string(),
    values: z.optional(z.array(z.string()).check(z.minLength(1))),
    default: z.optional(z.array(z.string()).check(z.minLength(1))),
  })
  const reads = z.optional(z.string().check(z.regex(/\{\}/, 'SQL with {} for the column')))
  const schema = z.strictObject({
    title: z.string(),
    for: z.string(),
    sessions: z.strictObject({
      table,
      id: name,
      active: name,
      started: z.optional(name),
      title: z.optional(name),
      workspace: z.optional(name),
      status: z.optional(name),
      archivedStatus: z.optional(name),
      ended: z.optional(name),
      deleted: z.optional(name),
      history: z.optional(name),
      with: z.optional(
        z.array(z.strictObject({ table, on: name, as: name, columns: z.array(name).check(z.minLength(1)) })),
      ),
    }),
    messages: z.optional(
      z.strictObject({
        table,
        session: name,
        to: z.optional(name),
        role: z.union([name, z.array(name).check(z.minLength(1))]),
        content: name,
        created: name,
      }),
    ),
    filters: z.optional(z.record(z.string().check(z.regex(filterName, 'a filter is lower_case')), filter)),
    settings: z.optional(z.record(z.string(), setting)),
    shapes: z.optional(z.array(z.strictObject({ table, what: z.string(), is: z.string() }))),
    elements: z.optional(
      z.strictObject({
        table,
        column: name,
        unreadable: table,
        place: table,
        nested: table,
        list: table,
        read: table,
      }),
    ),
    persona: z.strictObject({ claim: z.string(), of: column }),
    reads: z.optional(z.strictObject({ role: reads, content: reads, created: reads })),
    typed: z.optional(z.record(z.string(), z.array(z.string()))),
    roles: z.optional(
      z.record(
        z.string(),
        z.strictObject({
          called: z.optional(z.array(z.string())),
          columns: z.record(
            z.string(),
            z.strictObject({ of: z.optional(z.string()), called: z.optional(z.array(z.string())) }),
          ),
          optional: z.optional(
            z.union([
              z.strictObject({
                without: z.string(),
                functions: z.optional(z.array(table)),
                unit: z.optional(name),
              }),
              z.strictObject({ with: z.string() }),
            ]),
          ),
        }),
      ),
    ),
    probes: z.optional(
      z.record(z.string().check(z.regex(/^[0-9a-f]$/, 'the first letter of an id')), z.string()),
    ),
    sight: z.optional(
      z.strictObject({
        persons: column,
        rows: z.array(
          z.strictObject({
            before: z.strictObject({ table, id: name }),
            after: z.strictObject({ table, id: name }),
          }),
        ),
      }),
    ),
  })
  const result = schema.safeParse(read.json)
  if (!result.success) return fault(result.error.issues.map(describeIssue).join('; '))
  const info = result.data as TrackInfo
  const strange = Object.entries(info.filters ?? {}).flatMap(([of, f]) =>
    (f.default ?? [])
      .filter(value => f.values && !f.values.includes(value))
      .map(value => `filters.${of}.default: \`${value}\` is none of its values`),
  )
  strange.push(...strangeRoles(info.roles ?? {}), ...strangeChecks(track, info))
  return strange.length > 0 ? fault(strange.join('; ')) : { info, faults: [] }
}

/** Checks for databases with a table that none does without. */
const strangeChecks = (track: Track, info: TrackInfo): string[] =>
  track.checks.flatMap(({ name, needs }) =>
    needs === null || info.roles?.[needs]?.optional
      ? []
      : [`check ${name}: \`with: ${needs}\` is no optional role`],
  )

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
 * The filters that the tracks of a folder have, name -> help, for the flags of `sessions`. A file with faults
 * is passed over here; its faults are reported when its track is used.
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

/** Settings of the configuration that the track does not know, or whose values it does not take. */
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
            reason: `it can't be \`${value}\`: ${spec.help}`,
            known: spec.values ?? [],
          }),
        ]
      : []
  })
}

/**
 * What the track says of its tables. Throws NO_TRACK_INFO where it says nothing,
 * BAD_TRACK_INFO where it is wrong.
 */
export async function requireTrackInfo(track: Track): Promise<TrackInfo> {
  const { info, faults } = await readTrackInfo(track)
  if (faults[0]) throw new Failures(faults)
  if (!info) throw new Failure('NO_TRACK_INFO', track.name)
  return info
}
