import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure, UsageError } from '../model/failure.js'
import { compareVersions, type Track } from '../model/project.js'
import { configName } from './config.js'
import { projectFolders } from './discover.js'
import { expectedName } from './expected.js'
import { SyntaxFault, scanTokens } from './statements.js'

/** Writes a file that must not be there yet, and the folders above it. */
function create(path: string, text: string): void {
  if (existsSync(path)) throw new Failure('FILE_EXISTS', path)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Folder of the stories of checks, in a repository that tests its checks. */
const stories = 'test/checks'

/** True for a repository with stories of checks, such as this one; an installed package has none. */
export const hasStories = (root: string): boolean => existsSync(join(root, stories))

/**
 * Writes the trio of files of a new migration under the next free version, and the story of its check where
 * the repository has stories; their paths. Throws FILE_EXISTS or USAGE before anything is written.
 */
export function newMigration(root: string, track: string, slug: string, tracks: Track[]): string[] {
  if (!/^[a-z][a-z0-9_]*$/.test(slug))
    throw new UsageError(`new ${slug}`, 'a slug is lower_case_with_underscores')
  const existing = tracks.find(t => t.name === track)?.migrations ?? []
  const last =
    existing
      .map(m => m.version)
      .sort(compareVersions)
      .at(-1) ?? '0'
  const newest = existing.at(-1)
  const width = Math.max(3, newest ? newest.name.indexOf('_') : 0)
  // a track that has come to its end goes on from there: phases never go back
  const phase = newest?.phase === 'contract' ? 'contract' : 'expand'
  const version = String(BigInt(last) + 1n).padStart(width, '0')
  const name = `${version}_${slug}`
  const title = slug.replaceAll('_', ' ').replace(/^./, c => c.toUpperCase())
  const files: [string, string][] = [
    [
      `migrations/${track}/${name}.sql`,
      `--! title: ${title}\n--! phase: ${phase}\n\n-- What the old application survives, before and after. Comment says why, the SQL says what.\nselect 1;\n`,
    ],
    [
      `rollbacks/${track}/${name}.sql`,
      `--! title: Take back: ${title.toLowerCase()}\n\n-- Undo exactly what the migration does; rethread rollback --test proves it.\nselect 1;\n`,
    ],
    [
      `verify/${track}/${slug}.sql`,
      `--! title: ${title}: it is as it should be\n--! after: ${name}\n\n-- A row for each thing that is wrong; no row is a pass.\nselect 'object' as object, 'what is wrong with it' as detail\nwhere false\norder by 1\n`,
    ],
  ]
  if (hasStories(root))
    files.push([
      `${stories}/${track}/${slug}.sql`,
      '-- fault\n-- Break what the check looks for: it must find it.\nselect 1;\n-- fix\n-- Put it right: it must find nothing.\nselect 1;\n',
    ])
  const taken = files.find(([path]) => existsSync(join(root, path)))
  if (taken) throw new Failure('FILE_EXISTS', taken[0])
  for (const [path, text] of files) create(join(root, path), text)
  return files.map(([path]) => path)
}

/**
 * Names of a track's own, and the user's for them: `chats` -> `messages`, `chats.workspace_id` -> `org_id`.
 */
type NameMap = { table: string; column: string | null; to: string }[]

/** Reads `chats=messages` or `chats.workspace_id=org_id`. Throws USAGE. */
export function readMap(entries: string[]): NameMap {
  return entries.map(entry => {
    const parts = /^([a-z_]\w*)(?:\.([a-z_]\w*))?=([a-z_]\w*)$/.exec(entry)
    if (!parts)
      throw new UsageError(`--map ${entry}`, 'it looks like chats=messages, or chats.workspace_id=org_id')
    return { table: parts[1]!, column: parts[2] ?? null, to: parts[3]! }
  })
}

/**
 * A text of SQL with names replaced, token by token, inside function bodies and literals too; comments stay
 * as they are. A column's name is replaced wherever it stands: where two tables share it, both are meant.
 */
async function renamed(text: string, map: NameMap): Promise<string> {
  const names = new Map(map.map(m => [m.column ?? m.table, m.to]))
  let out = ''
  let at = 0
  for (const token of await scanTokens(text)) {
    const raw = text.slice(token.start, token.end)
    let now = raw
    if (raw.startsWith('"')) now = inWords(raw, names)
    else if (token.name === 'IDENT' || (token.keyword && names.has(raw))) now = names.get(raw) ?? raw
    else if (token.name === 'SCONST') now = await inLiteral(raw, names, map)
    else if (token.name === 'SQL_COMMENT' && raw.startsWith('--!')) now = inWords(raw, names)
    out += text.slice(at, token.start) + now
    at = token.end
  }
  return out + text.slice(at)
}

/**
 * A body in dollars is SQL again, or JSON; other literals hold names of objects, patterns over
 * them, or prose about them.
 */
async function inLiteral(raw: string, names: Map<string, string>, map: NameMap): Promise<string> {
  const body = /^(\$\w*\$)([\s\S]*)\1$/.exec(raw)
  if (body) {
    try {
      return body[1] + (await renamed(body[2]!, map)) + body[1]
    } catch (error) {
      if (!(error instanceof SyntaxFault)) throw error
      return body[1] + inWords(body[2]!, names) + body[1]
    }
  }
  return inWords(raw, names)
}

const inWords = (text: string, names: Map<string, string>): string =>
  text.replace(/[a-z_]\w*/g, word => names.get(word) ?? word)

/**
 * A track's description with names replaced where it names something; what its keys mean and what is
 * written for people stays.
 */
function renamedInfo(text: string, names: Map<string, string>): string {
  const { title, for: purpose, ...rest } = JSON.parse(text) as Record<string, unknown>
  const now = JSON.parse(JSON.stringify(rest), (key, value) =>
    typeof value === 'string' && key !== 'help' && key !== 'what' ? inWords(value, names) : value,
  )
  return `${JSON.stringify({ title, for: purpose, ...now }, null, 2)}\n`
}

/** Keys of expected.json whose values are keyed by names, and keys whose values are no names. */
const keyedByName = new Set(['tables', 'columns', 'indexes', 'constraints', 'policies', 'functions'])
const notNames = new Set(['after', 'until', 'type', 'command', 'roles', 'security'])

/** What a track expects with names replaced: as keys, and in definitions and patterns. */
function renamedExpected(text: string, names: Map<string, string>): string {
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return notNames.has(key) ? value : inWords(value, names)
    if (Array.isArray(value)) return value.map(v => walk(v, key))
    if (typeof value !== 'object' || value === null) return value
    const named = keyedByName.has(key)
    return Object.fromEntries(
      Object.entries(value).map(([k, v]) => [named ? inWords(k, names) : k, walk(v, named ? '' : k)]),
    )
  }
  return `${JSON.stringify(walk(JSON.parse(text), ''), null, 2)}\n`
}

/** One file of a track with names replaced, by its kind. */
const renamedFile = (file: string, text: string, map: NameMap, names: Map<string, string>) =>
  file.endsWith('.sql')
    ? renamed(text, map)
    : file === expectedName
      ? renamedExpected(text, names)
      : renamedInfo(text, names)

/**
 * Copies a track's three folders and its description into a user's folder, with their own
 * names; the paths written.
 */
export async function copyTrack(track: Track, to: string, map: NameMap): Promise<string[]> {
  const names = new Map(map.map(m => [m.column ?? m.table, m.to]))
  const all = projectFolders.flatMap(folder => {
    const from = join(track.root, folder, track.name)
    return existsSync(from) ? readdirSync(from).map(file => ({ folder, file, path: join(from, file) })) : []
  })
  const taken = all.map(f => join(to, f.folder, track.name, f.file)).find(path => existsSync(path))
  if (taken) throw new Failure('FILE_EXISTS', taken)
  const known = new Set(all.flatMap(f => readFileSync(f.path, 'utf8').match(/[a-z_]\w*/g) ?? []))
  const strange = map.find(m => !known.has(m.table) || (m.column && !known.has(m.column)))
  if (strange)
    throw new UsageError(
      `--map ${strange.table}${strange.column ? `.${strange.column}` : ''}`,
      `track ${track.name} has no such name`,
    )
  const written: string[] = []
  for (const f of all) {
    const text = readFileSync(f.path, 'utf8')
    const path = join(f.folder, track.name, f.file)
    create(join(to, path), map.length === 0 ? text : await renamedFile(f.file, text, map, names))
    written.push(path)
  }
  if (!existsSync(join(to, configName))) {
    create(join(to, configName), `${JSON.stringify({ track: track.name }, null, 2)}\n`)
    written.push(configName)
  }
  return written
}
