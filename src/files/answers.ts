import { Failure } from '../model/failure.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'

/** The contents of a file of answers for `init`, which replaces options of the command line. */
export interface Answers {
  track: string | null
  zone: string | null
  /** Entries as `--map` takes them: `chats=messages`. */
  map: string[]
  /** The meaning of a column's values, by role. */
  values: Record<string, string>
}

/** Reads and validates a file of answers. Throws BAD_CONFIG with everything that is wrong in it. */
export async function readAnswers(path: string): Promise<Answers> {
  const read = readJson(path)
  if ('reason' in read) throw new Failure('BAD_CONFIG', path, read)
  const z = await import('./zod.js')
  const schema = z.strictObject({
    track: z.optional(z.string()),
    zone: z.optional(z.string()),
    map: z.optional(z.record(z.string(), z.string())),
    values: z.optional(z.record(z.string(), z.string())),
  })
  const result = schema.safeParse(read.json)
  if (!result.success)
    throw new Failure('BAD_CONFIG', path, { reason: result.error.issues.map(describeIssue).join('; ') })
  const { track, zone, map, values } = result.data as Partial<Record<'track' | 'zone', string>> &
    Partial<Record<'map' | 'values', Record<string, string>>>
  return {
    track: track ?? null,
    zone: zone ?? null,
    map: Object.entries(map ?? {}).map(([role, name]) => `${role}=${name}`),
    values: values ?? {},
  }
}
