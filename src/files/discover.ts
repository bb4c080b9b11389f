import { isUtf8 } from 'node:buffer'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isHazard } from '../model/codes.js'
import { expectedKinds } from '../model/expected.js'
import { isSystemError, UsageError } from '../model/failure.js'
import {
  type Check,
  compareVersions,
  type Migration,
  type Phase,
  type Project,
  phases,
  type Rollback,
  type SqlFile,
  type Track,
} from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { dottedText, namesIn } from '../model/table_name.js'
import { expectedPath } from './expected.js'
import { type Header, type HeaderKind, readHeader, splitList } from './header.js'
import { columnOf, readOurs, readRequired, splitOurs } from './header_names.js'
import { rawChecksum } from './statements.js'

/** Folders of a project; a track has one of its own in each. */
export const projectFolders = ['migrations', 'rollbacks', 'verify'] as const
/** Folder under verify/ of the checks that every track has; no track has this name. */
const every = '_every'

/** True when a folder has at least `migrations/`. */
export const looksLikeProject = (root: string): boolean => existsSync(join(root, 'migrations'))

/**
 * Reads the tracks under `migrations/`, `rollbacks/` and `verify/` of a folder. Only names, headers and
 * checksums: statements are parsed when something is to run (`lint.ts`). Every fault is gathered, none is
 * thrown. The checks that every track has come from the package's own folder, `packageRoot`.
 */
export function discover(root: string, home = root): Project {
  const faults: Finding[] = []
  const names = new Set<string>()
  for (const folder of projectFolders) {
    for (const entry of safeList(join(root, folder)))
      if (entry.isDirectory() && entry.name !== every) names.add(entry.name)
  }
  const tracks = [...names].sort().map(name => readTrack(root, name, faults))
  const shared = sqlFiles(home, `verify/${every}`, faults)
  for (const track of tracks) track.checks.push(...shared.map(f => readCheck(track.name, f, faults, true)))
  if (tracks.length === 0) faults.push(finding('NO_TRACKS', root))
  return { root, tracks, faults }
}

function readTrack(root: string, name: string, faults: Finding[]): Track {
  const rollbacks = new Map(
    sqlFiles(root, `rollbacks/${name}`, faults).map(f => [f.base, readRollback(f, faults)]),
  )
  const migrations: Migration[] = []
  for (const source of sqlFiles(root, `migrations/${name}`, faults)) {
    const parts = /^(\d+)_([a-z0-9_]+)$/.exec(source.base)
    if (!parts) {
      faults.push(finding('BAD_FILE_NAME', source.file.path, { wanted: '<digits>_<lower_case_slug>.sql' }))
      continue
    }
    const version = parts[1]!.replace(/^0+(?=\d)/, '')
    migrations.push(readMigration(name, version, source, rollbacks.get(source.base) ?? null, faults))
  }
  migrations.sort((a, b) => compareVersions(a.version, b.version) || (a.name < b.name ? -1 : 1))
  const checks = sqlFiles(root, `verify/${name}`, faults).map(f => readCheck(name, f, faults))
  const track = { name, root, migrations, checks }
  judgeTrack(track, [...rollbacks.keys()], faults)
  return track
}

/** The faults that show when files are seen side by side. */
function judgeTrack(track: Track, rollbacks: string[], faults: Finding[]): void {
  const names = new Set(track.migrations.map(m => m.name))
  for (const [i, m] of track.migrations.entries()) {
    const before = track.migrations[i - 1]
    if (before?.version === m.version) {
      // with one version twice, tools record only the first
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

interface Source {
  base: string
  file: SqlFile
  header: (kind: HeaderKind) => Header
}

function sqlFiles(root: string, folder: string, faults: Finding[]): Source[] {
  const found: Source[] = []
  for (const entry of safeList(join(root, folder))) {
    if (!entry.isFile() || !entry.name.endsWith('.sql')) continue
    const path = `${folder}/${entry.name}`
    const place = join(root, path)
    const text = readFileSync(place, 'utf8')
    // what is no UTF-8 is read as U+FFFD, which a text may have of its own
    if (text.includes('\uFFFD') && !isUtf8(readFileSync(place))) {
      faults.push(finding('NOT_UTF8', path))
      continue
    }
    if (text.startsWith('\uFEFF')) faults.push(finding('BYTE_ORDER_MARK', path))
    if (text.trim() === '') faults.push(finding('EMPTY_FILE', path, { reason: null }))
    const file = sqlFile(path, text)
    found.push({ base: entry.name.slice(0, -4), file, header: kind => readHeader(text, path, kind) })
  }
  return found.sort((a, b) => (a.base < b.base ? -1 : 1))
}

/** A file whose checksum is computed when it is wanted: a run wants those of one track's migrations. */
function sqlFile(path: string, text: string): SqlFile {
  let checksum: string | null = null
  return {
    path,
    text,
    get checksum() {
      checksum ??= rawChecksum(text)
      return checksum
    },
  }
}

const safeList = (folder: string) => (existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [])

/** The text of a file that a person names. Throws USAGE where it can't be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new UsageError(path, error.message)
  }
}

/** A reader of one header's values that reports what does not fit, with the line of the key. */
function reader(source: Source, kind: HeaderKind, faults: Finding[]) {
  const { values, faults: own } = source.header(kind)
  faults.push(...own)
  const text = (key: string): string | null => values.get(key)?.value ?? null
  const line = (key: string): number => values.get(key)?.line ?? 0
  const fault = (key: string, reason: string) =>
    faults.push(finding('BAD_HEADER', `${source.file.path}:${line(key) || 1}`, { reason }))
  const oneOf = <T extends string>(key: string, allowed: readonly T[], otherwise: T): T => {
    const value = text(key)
    if (value === null) return otherwise
    if ((allowed as readonly string[]).includes(value)) return value as T
    fault(key, `\`${key}\` is \`${value}\`; it can be ${allowed.join(', ')}`)
    return otherwise
  }
  const list = (key: string): string[] => splitList(text(key) ?? '')
  return { text, fault, oneOf, list, line }
}

function readMigration(
  track: string,
  version: string,
  source: Source,
  rollback: Rollback | null,
  faults: Finding[],
): Migration {
  const { text, fault, oneOf, list } = reader(source, 'migration', faults)
  const written = text('table')
  const names = written === null ? null : namesIn(written)
  const table = names ? dottedText(names) : written
  const pending = text('pending')
  const phase: Phase = oneOf('phase', phases, table ? 'backfill' : 'expand')
  if (phase === 'backfill' && (!table || !pending)) fault('phase', 'a backfill needs `table` and `pending`')
  if (!table !== !pending) fault(table ? 'table' : 'pending', '`table` and `pending` go together')
  if (written && names?.length !== 2) fault('table', 'name the table with its schema: `public.chats`')
  const hazards = list('hazard')
  for (const name of hazards) if (!isHazard(name)) fault('hazard', `unknown hazard \`${name}\``)
  return {
    track,
    name: source.base,
    version,
    title: text('title') ?? source.base.replace(/^\d+_/, '').replaceAll('_', ' '),
    file: source.file,
    phase,
    transaction: oneOf('transaction', ['one', 'none'] as const, 'one'),
    requires: list('requires').map(readRequired),
    endsOldApp: text('ends-old-app'),
    hazards: hazards.filter(isHazard),
    backfill:
      table && pending
        ? {
            table,
            pending,
            reason: text('reason'),
            unit: columnOf(text('unit')),
            key: list('key').map(columnOf),
            until: text('until'),
          }
        : null,
    irreversible: text('irreversible'),
    undoneBy: text('undone-by'),
    rollback,
  }
}

function readRollback(source: Source, faults: Finding[]): Rollback {
  const { text, fault, oneOf, line } = reader(source, 'rollback', faults)
  const predicates = (key: 'ours' | 'mirrored' | 'alike' | 'catch-up') => {
    const parts = splitOurs(text(key) ?? '').map(readOurs)
    if (parts.includes(null))
      fault(key, `expected \`--! ${key}: schema.table[.column]: <predicate>\`, several separated by \`; \``)
    return parts.flatMap(p => p ?? [])
  }
  const ours = text('ours')
  const superseded = text('superseded')
  if (superseded !== null && ours === null)
    fault('superseded', '`superseded` speaks of rows that `ours` names')
  return {
    file: source.file,
    title: text('title') ?? 'roll back ' + source.base.replace(/^\d+_/, '').replaceAll('_', ' '),
    transaction: oneOf('transaction', ['one', 'none'] as const, 'one'),
    ours: predicates('ours'),
    mirrored: predicates('mirrored'),
    alike: predicates('alike'),
    catchUp: predicates('catch-up'),
    oursLine: line('ours'),
    superseded,
  }
}

function readCheck(track: string, source: Source, faults: Finding[], shared = false): Check {
  const { text, fault, oneOf, list } = reader(source, 'check', faults)
  const hazard = text('hazard')
  const at = text('at')
  if (hazard !== null && !isHazard(hazard)) fault('hazard', `unknown hazard \`${hazard}\``)
  if ((hazard === null) !== (at === null)) fault('hazard', '`hazard` and `at`, its migration, go together')
  if (text('expects') !== null && !shared) fault('expects', `\`expects\` is for checks of verify/${every}/`)
  return {
    track,
    name: source.base,
    title: text('title') ?? source.base.replaceAll('_', ' '),
    file: source.file,
    level: oneOf('level', ['error', 'warn', 'info'] as const, 'error'),
    after: text('after'),
    until: text('until'),
    gate: text('gate'),
    kind: oneOf('kind', ['check', 'listing', 'account', 'outlook', 'access', 'probe'] as const, 'check'),
    as: text('as'),
    deep: oneOf('deep', ['yes', 'no'] as const, 'no') === 'yes',
    mutant: text('mutant'),
    hazard:
      hazard !== null && isHazard(hazard) && at !== null
        ? { code: hazard, at, unlessSet: text('unless-set') }
        : null,
    requires: list('requires'),
    fix: text('fix'),
    expects: text('expects') === null ? null : oneOf('expects', expectedKinds, 'columns'),
    shared,
  }
}
