import { isHazard } from '../model/codes.js'
import { expectedKinds } from '../model/expected.js'
import {
  type Check,
  type Migration,
  type Phase,
  phases,
  type Rollback,
  type SqlFile,
} from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { dottedText, namesIn } from '../model/table_name.js'
import { type Header, type HeaderKind, readHeader, splitList } from './header.js'
import { columnOf, readOurs, readRequired, splitOurs } from './header_names.js'
import { rawChecksum } from './statements.js'

/** Folder under verify/ with the checks of every track. No track may have this name. */
export const every = '_every'

/** A file with a method that parses its header. */
export interface Source {
  base: string
  file: SqlFile
  header: (kind: HeaderKind) => Header
}

/** Makes a source from a name, a path and a text. */
export const sourceOf = (base: string, path: string, text: string): Source => ({
  base,
  file: sqlFile(path, text),
  header: kind => readHeader(text, path, kind),
})

/** A file that computes its checksum on first use. Most checksums are never needed. */
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

/** Returns functions that read values of a header. They report faults with the line of the key. */
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

/** Reads a migration from its header. Appends to `faults`. */
export function readMigration(
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
    foreign: null,
  }
}

/** Reads a rollback from its header. */
export function readRollback(source: Source, faults: Finding[]): Rollback {
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

/** Reads a check from its header. */
export function readCheck(track: string, source: Source, faults: Finding[], shared = false): Check {
  const { text, fault, oneOf, list } = reader(source, 'check', faults)
  const hazard = text('hazard')
  const at = text('at')
  if (hazard !== null && !isHazard(hazard)) fault('hazard', `unknown hazard \`${hazard}\``)
  if ((hazard === null) !== (at === null)) fault('hazard', '`hazard` and `at`, its migration, go together')
  if (text('with') !== null && text('without') !== null)
    fault('without', 'a check is `with` a role or `without` one')
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
    needs: text('with'),
    lacks: text('without'),
    expects: text('expects') === null ? null : oneOf('expects', expectedKinds, 'columns'),
    shared,
  }
}
