import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Expectation, policyCommands, tablePrivileges } from '../model/expected.js'
import { Failures } from '../model/failure.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { namesIn } from '../model/table_name.js'
import { describeIssue } from './config.js'
import { readJson } from './json.js'

/** Name of the file with a track's expected objects, beside its checks. */
export const expectedName = 'expected.json'

/** Path of that file, relative to the folder with migrations/, rollbacks/ and verify/. */
export const expectedPath = (track: string): string => `verify/${track}/${expectedName}`

/**
 * Reads and validates `verify/<track>/expected.json`: its structure, the migrations that it names, and that
 * no two entries expect the same thing at the same time. The file is optional. Loads zod only if it exists.
 */
export async function readExpected(track: Track): Promise<{ expected: Expectation[]; faults: Finding[] }> {
  const path = expectedPath(track.name)
  if (!existsSync(join(track.root, path))) return { expected: [], faults: [] }
  const fault = (reason: string) => finding('BAD_EXPECTED', path, { reason })
  const read = readJson(join(track.root, path))
  if ('reason' in read) return { expected: [], faults: [fault(read.reason)] }
  const result = (await expectedSchema()).safeParse(read.json)
  if (!result.success) return { expected: [], faults: result.error.issues.map(i => fault(describeIssue(i))) }
  const expected = result.data as Expectation[]
  const wrong = wrongPeriods(expected, track)
  const faults = (wrong.length > 0 ? wrong : repeatedNames(expected, track)).map(fault)
  return { expected: faults.length === 0 ? expected : [], faults }
}

/** The expectations of a track. Throws BAD_EXPECTED with all faults. */
export async function expectedOf(track: Track): Promise<Expectation[]> {
  const { expected, faults } = await readExpected(track)
  if (faults.length > 0) throw new Failures(faults)
  return expected
}

async function expectedSchema() {
  const z = await import('./zod.js')
  const words = z.string().check(z.minLength(1, 'may not be empty'))
  const name = z.string().check(z.minLength(1, 'a name'))
  const qualified = z.string().check(z.refine(text => namesIn(text)?.length === 2, 'a name with its schema'))
  const column = z.strictObject({ type: words, nullable: z.boolean(), default: z.optional(words) })
  const index = z.strictObject({
    definition: z.string().check(z.regex(/^\w+ \(/, 'what follows USING, such as `btree (user_id)`')),
    where: z.optional(z.string().check(z.regex(/^\(/, 'the predicate in its parentheses'))),
    unique: z.optional(z.boolean()),
  })
  const policy = z.strictObject({
    command: z.enum(policyCommands, `one of ${policyCommands.join(', ')}`),
    roles: z.array(name).check(z.minLength(1, 'at least one role, or `public`')),
    using: z.optional(words),
    check: z.optional(words),
    permissive: z.optional(z.boolean()),
  })
  const privilege = z.enum(tablePrivileges, `one of ${tablePrivileges.join(', ')}`)
  const some = z.partialRecord(privilege, z.array(name).check(z.minLength(1, 'at least one column')))
  const table = z.strictObject({
    columns: z.optional(z.record(name, column)),
    indexes: z.optional(z.record(name, index)),
    constraints: z.optional(z.record(name, words)),
    policies: z.optional(z.record(name, policy)),
    otherPolicies: z.optional(z.boolean()),
    triggers: z.optional(z.array(name)),
    grants: z.optional(
      z.record(name, z.array(z.union([privilege, some], `one of ${tablePrivileges.join(', ')}`))),
    ),
  })
  const func = z.strictObject({ security: z.enum(['definer', 'invoker'], 'definer or invoker') })
  return z.array(
    z.strictObject({
      after: name,
      until: z.optional(name),
      tables: z.optional(z.record(qualified, table)),
      functions: z.optional(z.record(qualified, func)),
    }),
  )
}

/** The period of an entry, as positions in the track: from `from` up to, but not including, `to`. */
function periodOf(entry: Expectation, track: Track): { from: number; to: number } {
  const place = (name: string) => track.migrations.findIndex(m => m.name === name)
  return {
    from: place(entry.after),
    to: entry.until === undefined ? track.migrations.length : place(entry.until),
  }
}

/** Faults for migrations that the track does not have, and for periods that end before they begin. */
const wrongPeriods = (expected: Expectation[], track: Track): string[] =>
  expected.flatMap((entry, i) => {
    const { from, to } = periodOf(entry, track)
    if (from < 0) return [`${i}.after: track ${track.name} has no migration \`${entry.after}\``]
    if (to < 0) return [`${i}.until: track ${track.name} has no migration \`${entry.until}\``]
    return to > from ? [] : [`${i}.until: \`${entry.until}\` does not come after \`${entry.after}\``]
  })

/** Faults for things that two entries expect at the same time. */
function repeatedNames(expected: Expectation[], track: Track): string[] {
  const seen = new Map<string, { index: number; from: number; to: number }[]>()
  const faults: string[] = []
  for (const [index, entry] of expected.entries()) {
    const { from, to } = periodOf(entry, track)
    for (const thing of thingsOf(entry)) {
      const others = seen.get(thing) ?? []
      const other = others.find(o => from < o.to && o.from < to)
      if (other) faults.push(`${index}.${thing}: entry ${other.index} speaks of it at the same time`)
      seen.set(thing, [...others, { index, from, to }])
    }
  }
  return faults
}

/** Paths of everything that an entry names. */
function thingsOf(entry: Expectation): string[] {
  const things = Object.keys(entry.functions ?? {}).map(name => `functions.${name}`)
  for (const [name, table] of Object.entries(entry.tables ?? {}))
    for (const [kind, value] of Object.entries(table)) {
      const at = `tables.${name}.${kind}`
      if (Array.isArray(value)) things.push(...value.map(v => `${at}.${v}`))
      else if (typeof value === 'object') things.push(...Object.keys(value).map(v => `${at}.${v}`))
      else things.push(at)
    }
  return things
}
