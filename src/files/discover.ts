import { isUtf8 } from 'node:buffer'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isSystemError, UsageError } from '../model/failure.js'
import { type Migration, type Project, phases, type Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { compareVersions, withoutZeros } from '../model/versions.js'
import { expectedPath } from './expected.js'
import { discoverForeign, type Layouts } from './foreign_track.js'
import { every, readCheck, readMigration, readRollback, type Source, sourceOf } from './read_file.js'

/** The folders of a project. Each has one folder per track. */
export const projectFolders = ['migrations', 'rollbacks', 'verify'] as const

/** True if a folder has `migrations/`. */
export const looksLikeProject = (root: string): boolean => existsSync(join(root, 'migrations'))

/**
 * Reads the tracks under `migrations/`, `rollbacks/` and `verify/` of a folder. It reads names, headers and
 * checksums; statements are parsed later (`lint.ts`). It collects all faults and throws none. The checks that
 * every track has are read from the package's own folder, `home`.
 */
export function discover(root: string, home = root, foreign: WantedLayouts | null = null): Project {
  const project = (foreign && foreignProject(root, foreign)) ?? ownProject(root)
  const shared = sqlFiles(home, `verify/${every}`, project.faults)
  for (const track of project.tracks)
    track.checks.push(...shared.map(f => readCheck(track.name, f, project.faults, true)))
  if (project.tracks.length === 0 && !project.faults.some(f => f.level === 'error'))
    project.faults.push(finding('NO_TRACKS', root))
  return project
}

/** The layouts of other tools, and the one that a person named (`tracks` for rethread's own); else null. */
export interface WantedLayouts {
  layouts: Layouts
  wanted: string | null
}

/** The migrations of other tools in the folder. Null if it has tracks of rethread. */
function foreignProject(root: string, { layouts, wanted }: WantedLayouts): Project | null {
  if (wanted === tracksLayout || (wanted === null && hasTracks(root))) return null
  const project = discoverForeign(root, layouts, wanted)
  if (project)
    for (const track of project.tracks) {
      const rollbacks = rollbacksOf(root, track.name, project.faults)
      for (const m of track.migrations) {
        const rollback = m.rollback ?? rollbacks.get(m.name)
        if (rollback) m.rollback = rollback
      }
      track.checks.push(...checksOf(root, track.name, project.faults).checks)
    }
  return project
}

/** Name of rethread's own layout, for `--layout`. */
export const tracksLayout = 'tracks'

/** True if a folder has tracks of rethread: numbered files in folders of `migrations/`. */
export const hasTracks = (root: string): boolean =>
  safeList(join(root, 'migrations')).some(
    entry =>
      entry.isDirectory() &&
      safeList(join(root, 'migrations', entry.name)).some(f =>
        /^(\d+_[a-z0-9_]+\.sql|track\.json)$/.test(f.name),
      ),
  )

/** Reads tracks of rethread. */
function ownProject(root: string): Project {
  const faults: Finding[] = []
  const names = new Set<string>()
  for (const folder of projectFolders) {
    for (const entry of safeList(join(root, folder)))
      if (entry.isDirectory() && entry.name !== every) names.add(entry.name)
  }
  const tracks = [...names].sort().map(name => readTrack(root, name, faults))
  return { root, tracks, faults }
}

const rollbacksOf = (root: string, track: string, faults: Finding[]) =>
  new Map(sqlFiles(root, `rollbacks/${track}`, faults).map(f => [f.base, readRollback(f, faults)]))

/** The checks of a track as it is, with all of its roles, and those for databases without one. */
function checksOf(root: string, track: string, faults: Finding[]) {
  const all = sqlFiles(root, `verify/${track}`, faults).map(f => readCheck(track, f, faults))
  return {
    checks: all.filter(check => check.lacks === null),
    checksWithout: all.filter(check => check.lacks !== null),
  }
}

function readTrack(root: string, name: string, faults: Finding[]): Track {
  const rollbacks = rollbacksOf(root, name, faults)
  const migrations: Migration[] = []
  for (const source of sqlFiles(root, `migrations/${name}`, faults)) {
    const parts = /^(\d+)_([a-z0-9_]+)$/.exec(source.base)
    if (!parts) {
      faults.push(finding('BAD_FILE_NAME', source.file.path, { wanted: '<digits>_<lower_case_slug>.sql' }))
      continue
    }
    const version = withoutZeros(parts[1]!)
    migrations.push(readMigration(name, version, source, rollbacks.get(source.base) ?? null, faults))
  }
  migrations.sort((a, b) => compareVersions(a.version, b.version) || (a.name < b.name ? -1 : 1))
  const track = { name, root, layout: null, migrations, ...checksOf(root, name, faults) }
  judgeTrack(track, [...rollbacks.keys()], faults)
  return track
}

/** Finds faults between the files of a track. */
function judgeTrack(track: Track, rollbacks: string[], faults: Finding[]): void {
  const names = new Set(track.migrations.map(m => m.name))
  for (const [i, m] of track.migrations.entries()) {
    const before = track.migrations[i - 1]
    if (before?.version === m.version) {
      // of two files with the same version, tools record only the first
      faults.push(finding('DUPLICATE_VERSION', m.file.path, { other: before.file.path, version: m.version }))
    }
    if (before && phases.indexOf(m.phase) < phases.indexOf(before.phase)) {
      faults.push(
        finding('PHASE_ORDER', m.file.path, {
          phase: m.phase,
          before: before.file.path,
          beforePhase: before.phase,
        }),
      )
    }
    const ways = [m.rollback, m.irreversible, m.undoneBy].filter(Boolean).length
    if (ways === 0)
      faults.push(
        finding('MISSING_ROLLBACK', m.file.path, { wanted: `rollbacks/${track.name}/${m.name}.sql` }),
      )
    if (m.undoneBy && !names.has(m.undoneBy)) {
      faults.push(finding('UNKNOWN_REFERENCE', m.file.path, { key: 'undone-by', names: m.undoneBy }))
    }
    const until = m.backfill?.until
    if (until && !names.has(until))
      faults.push(finding('UNKNOWN_REFERENCE', m.file.path, { key: 'until', names: until }))
  }
  for (const base of rollbacks) {
    if (!names.has(base)) faults.push(finding('ORPHAN_ROLLBACK', `rollbacks/${track.name}/${base}.sql`))
  }
  const looked = track.checks.length > 0 || existsSync(join(track.root, expectedPath(track.name)))
  if (track.migrations.length > 0 && !looked) {
    faults.push(finding('MISSING_VERIFY', `verify/${track.name}/`))
  }
  for (const check of track.checks) {
    for (const [key, value] of [
      ['after', check.after],
      ['until', check.until],
      ['gate', check.gate],
      ['at', check.hazard?.at],
    ] as const) {
      if (value && !names.has(value))
        faults.push(finding('UNKNOWN_REFERENCE', check.file.path, { key, names: value }))
    }
  }
}

function sqlFiles(root: string, folder: string, faults: Finding[]): Source[] {
  const found: Source[] = []
  for (const entry of safeList(join(root, folder))) {
    if (!entry.isFile() || !entry.name.endsWith('.sql')) continue
    const path = `${folder}/${entry.name}`
    const place = join(root, path)
    const text = readFileSync(place, 'utf8')
    // a decoder replaces invalid UTF-8 by U+FFFD, which a valid text may contain too
    if (text.includes('\uFFFD') && !isUtf8(readFileSync(place))) {
      faults.push(finding('NOT_UTF8', path))
      continue
    }
    if (text.startsWith('\uFEFF')) faults.push(finding('BYTE_ORDER_MARK', path))
    if (text.trim() === '') faults.push(finding('EMPTY_FILE', path, { reason: null }))
    found.push(sourceOf(entry.name.slice(0, -4), path, text))
  }
  return found.sort((a, b) => (a.base < b.base ? -1 : 1))
}

const safeList = (folder: string) => (existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [])

/** Reads a file that a person names. Throws USAGE if it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new UsageError(path, error.message)
  }
}

/** Folders in which other tools keep their migrations, below the application's folder. */
const usualFolders = [
  'supabase/migrations',
  'prisma/migrations',
  'drizzle',
  'db/migrations',
  'db/migrate',
  'src/main/resources/db/migration',
  'migrations',
]

/** The name of a folder of migrations, wherever an application keeps it. */
const nameOfMigrations = /^(db[-_]?)?(migrations?|migrate|changelogs?)$/i

/** Folders without files of the application. */
const notTheirs = /^(\.|node_modules$|vendor$|dist$|build$|target$)/

/** Limits of the search for such a folder. A large repository must not make a command wait. */
const searchDepth = 3
const mostSearched = 200

/**
 * The folder of an application in which another tool keeps its migrations: a usual one, or one below it whose
 * name says so. Null if there is none.
 */
export function foreignFolder(root: string): string | null {
  const usual = usualFolders.find(folder => {
    const path = join(root, folder)
    return existsSync(path) && statSync(path).isDirectory() && hasSql(path)
  })
  if (usual !== undefined) return usual
  const queue: { path: string; depth: number }[] = [{ path: '', depth: 0 }]
  for (let i = 0; i < Math.min(queue.length, mostSearched); i++) {
    const { path, depth } = queue[i]!
    for (const entry of safeList(join(root, path))) {
      if (!entry.isDirectory() || notTheirs.test(entry.name)) continue
      const below = path === '' ? entry.name : `${path}/${entry.name}`
      if (nameOfMigrations.test(entry.name) && hasSql(join(root, below))) return below
      if (depth + 1 < searchDepth) queue.push({ path: below, depth: depth + 1 })
    }
  }
  return null
}

/** Whether a folder has an SQL file, or a folder with one, as in Prisma's and Diesel's layouts. */
const hasSql = (path: string): boolean =>
  safeList(path).some(entry =>
    entry.isDirectory()
      ? existsSync(join(path, entry.name, 'migration.sql')) || existsSync(join(path, entry.name, 'up.sql'))
      : entry.name.endsWith('.sql'),
  )
