import { expectedName } from '../files/expected.js'
import { readHeader } from '../files/header.js'
import type { RewriteFile } from '../files/scaffold.js'
import { Failure } from '../model/failure.js'
import type { Mapping } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { cutDefinition, cutSql, cutValue, isMentioned } from './cut_statements.js'
import { Underivable } from './cuts.js'
import { type LeftOut, leftOut, markedColumns } from './left_out.js'
import { requiredItems } from './rewrite_header.js'
import type { Json } from './rewrite_json.js'
import { readTrackNames, trackRewriter } from './rewrite_track.js'

/**
 * A function that takes out of a track's files, under the track's own names, what speaks of tables that a
 * database does without. Null for a file that is only about them.
 */
export async function roleRemover(
  track: Track,
  info: TrackInfo | null,
  mapping: Mapping,
): Promise<RewriteFile> {
  const marked = markedColumns(track.name, info?.roles, mapping)
  const out = leftOut(info, await readTrackNames(track), mapping, marked)
  const marks = Object.fromEntries(marked.map(({ role, mark }) => [role, { column: mark }]))
  // wherever the column would be renamed, its mark is what is then cut out
  const mark = marked.length === 0 ? null : await trackRewriter(track, info, marks)
  return async (folder, file, whole) => {
    const chosen = folder === 'verify' && file.endsWith('.sql') ? chosenCheck(whole, out) : whole
    if (chosen === null || out === null) return chosen
    const kept = mark === null ? chosen : await mark(folder, file, chosen)
    try {
      const now = file.endsWith('.sql')
        ? await sqlWithout(kept, out)
        : file === expectedName
          ? await expectedWithout(kept, out)
          : trackInfoWithout(kept, out)
      const [left] = out.named.exec(now) ?? []
      if (left === undefined) return now
      throw cannotDerive(folder, track, file, `it still names \`${left}\``)
    } catch (error) {
      if (!(error instanceof Underivable)) throw error
      throw cannotDerive(
        folder,
        track,
        file,
        `nothing would be left of the condition in \`${error.message}\``,
      )
    }
  }
}

const cannotDerive = (folder: string, track: Track, file: string, reason: string): Failure =>
  new Failure('BAD_TRACK_INFO', `${folder}/${track.name}/${file}`, { reason })

/** A check without the keys that say for which databases it is; null where it is not for this one. */
function chosenCheck(text: string, out: LeftOut | null): string | null {
  const { values } = readHeader(text, '', 'check')
  const [needs, lacks] = ['with', 'without'].map(key => values.get(key)?.value)
  const isGone = (role: string) =>
    role.split('.').some((_, n, path) => out?.roles.has(path.slice(0, n + 1).join('.')))
  if (needs !== undefined && isGone(needs)) return null
  // of a table that is none, no column is
  if (
    lacks !== undefined &&
    (!out?.roles.has(lacks) || (lacks.includes('.') && isGone(lacks.split('.')[0]!)))
  )
    return null
  return text.replace(/^--! with(?:out)?: .*\n/gm, '')
}

/** Lines `--! key: value`, with those that go on. */
const headerLine = /^--! ([a-z][a-z-]*): *([^\n]*(?:\n--! {3,}\S[^\n]*)*)\n/gm

async function sqlWithout(text: string, out: LeftOut): Promise<string> {
  let headed = ''
  let at = 0
  for (const match of text.matchAll(headerLine)) {
    const [all, key, value] = match as unknown as [string, string, string]
    headed += text.slice(at, match.index)
    at = match.index + all.length
    const now = await valueWithout(key, value.replaceAll('\n--! ', '\n    '), out)
    if (now !== null) headed += `--! ${key}: ${now.replace(/\n(?: {4})?/g, '\n--! ')}\n`
  }
  const spoken = (lines: string) => (out.spoken.test(lines) ? '' : lines)
  const body = (headed + text.slice(at))
    // comments that the planner reads
    .replace(/^-- (?:locks|access): .*\n/gm, spoken)
    .replace(/(?:^[ \t]*--(?!!).*\n)+/gm, spoken)
  const cut = (
    await cutSql(
      body.replace(accessLiteral, () => '$access$$access$'),
      out,
    )
  ).replace(/\n{3,}/g, '\n\n')
  const [, access] = accessLiteral.exec(body) ?? []
  if (access === undefined) return cut
  const json = await accessWithout(access, out)
  return cut.replace('$access$$access$', () => `$access$${json}$access$`)
}

/** The literal of an access file. */
const accessLiteral = /\$access\$([\s\S]*?)\$access\$/

/** The statements that an access file tries, without what is left out. */
async function accessWithout(text: string, out: LeftOut): Promise<string> {
  if (!out.named.test(text)) return text
  const access: Json = JSON.parse(text)
  for (const table of access.tables) if (table.reads) table.reads = await cutSql(table.reads, out)
  for (const call of access.calls ?? []) call.sql = await cutSql(call.sql, out)
  return JSON.stringify(access, null, 2)
}

/** A value of a header; null where nothing is left of it. */
async function valueWithout(key: string, value: string, out: LeftOut): Promise<string | null> {
  switch (key) {
    case 'requires':
      return (await keptOf(requiredItems(value), out)).join(', ')
    case 'unit':
      return out.columns.has(value.trim()) ? out.unit : value
    case 'key':
      return (await keptOf(value.split(/, */), out)).join(', ')
    case 'pending':
    case 'reason':
    case 'superseded':
      return await cutValue(value, out)
    case 'mutant':
      return await cutSql(value, out)
    case 'alike':
      return (
        (
          await keptOf(
            value.split(/;\s*/).map(held => heldColumns(held, out)),
            out,
          )
        ).join('; ') || null
      )
    case 'ours':
    case 'mirrored':
    case 'catch-up':
      return (await keptOf(value.split(/;\s*/), out)).join('; ') || null
    default:
      return value
  }
}

/** An entry of `alike` without the columns that nothing of the application holds. */
function heldColumns(entry: string, out: LeftOut): string {
  const [, table, columns] = /^([^:]+): *(.*)$/s.exec(entry) ?? []
  if (table === undefined) return entry
  const kept = columns!.split(/, */).filter(column => !out.alone.has(`${table}.${column}`))
  return `${table}: ${kept.join(', ')}`
}

async function keptOf(items: string[], out: LeftOut): Promise<string[]> {
  const mentioned = await Promise.all(items.map(item => isMentioned(item, out)))
  return items.filter((_, n) => !mentioned[n])
}

/** Entries of an object whose value stays, under what a function makes of them; null drops one. */
async function keptEntries(object: Json, of: (key: string, value: Json) => Promise<Json>): Promise<Json> {
  if (!object) return object
  const entries = await Promise.all(
    Object.entries(object).map(async ([key, value]) => [key, await of(key, value)] as const),
  )
  return Object.fromEntries(entries.filter(([, value]) => value !== null))
}

/** expected.json: columns, indexes, constraints and functions go, and conditions of policies lose terms. */
async function expectedWithout(text: string, out: LeftOut): Promise<string> {
  const parts: Json[] = JSON.parse(text)
  for (const part of parts) {
    part.functions = await keptEntries(part.functions, async (name, f) => (out.objects.has(name) ? null : f))
    if (part.functions && Object.keys(part.functions).length === 0) delete part.functions
    part.tables = await keptEntries(part.tables, async (table, wanted) => {
      if (out.objects.has(table)) return null
      wanted.columns = await keptEntries(wanted.columns, async (name, c) =>
        out.columns.has(name) ? null : c,
      )
      wanted.indexes = await keptEntries(wanted.indexes, async (_, index) => {
        const definition = await cutDefinition(index.definition, out)
        const where = index.where === undefined ? undefined : await cutValue(index.where, out)
        return definition === null || where === null ? null : { ...index, definition, where }
      })
      wanted.constraints = await keptEntries(wanted.constraints, async (_, pattern) =>
        out.named.test(pattern) ? null : pattern,
      )
      wanted.policies = await keptEntries(wanted.policies, async (_, policy) => {
        const conditions = await keptEntries(
          { using: policy.using, check: policy.check },
          async (_key, said) => (said === undefined ? said : await cutValue(said, out)),
        )
        return Object.keys(conditions).length < 2 ? null : { ...policy, ...conditions }
      })
      return wanted
    })
  }
  return `${JSON.stringify(parts, null, 2)}\n`
}

/** track.json: filters by columns that are left out, and what is known of the roles. */
function trackInfoWithout(text: string, out: LeftOut): string {
  const info: Json = JSON.parse(text)
  const without = (object: Json, gone: (key: string, value: Json) => boolean): Json =>
    object && Object.fromEntries(Object.entries<Json>(object).filter(([k, v]) => !gone(k, v)))
  const ofRole = (role: string) => out.roles.has(role.split('.')[0]!)
  info.filters = without(info.filters, (_, { column }) => out.columns.has(column))
  if (out.columns.has(info.messages?.role)) delete info.messages.role
  for (const beside of info.sessions.with ?? [])
    beside.columns = beside.columns.filter((column: string) => !out.columns.has(column))
  info.sessions.with &&= info.sessions.with.filter(({ columns }: Json) => columns.length > 0)
  info.sessions = without(info.sessions, (_, column) => out.columns.has(column))
  info.typed = without(info.typed, ofRole)
  info.probes = without(info.probes, (_, role) => ofRole(role))
  info.roles = without(info.roles, ofRole)
  for (const role of Object.values<Json>(info.roles ?? {}))
    role.columns = without(role.columns, (_, { of }) => of !== undefined && out.roles.has(of))
  return `${JSON.stringify(info, null, 2)}\n`
}
