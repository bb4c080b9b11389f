import type { Connection } from '../database/connection.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { keepCatalog, keptCatalog, newestLook, setFingerprint, storedSchema } from './ledger.sql.js'
import type { Run } from './run.js'
import { catalogOf, fingerprintOf, type ObjectRow, objects } from './schema_snapshot.sql.js'

/**
 * Stores the schema after the newest finished step, outside of its locks. Changes by others from before the
 * run that are still there are not stored: the next look reports them as drift again.
 */
export async function storeFingerprint(run: Run, before: SeenDrift | null = null): Promise<void> {
  const { sql } = run.writer
  const rows = await objects(sql)
  const catalog = catalogOf(rows)
  let isExact = true
  if (before !== null && before.changed.length > 0) {
    const stored = (await storedSchema(sql, await newestLook(sql)))!
    const { changed: unexplained } = await drifted(run.writer, run.target.major, rows)
    for (const change of before.changed) {
      const name = change.slice(2)
      const then = stored.catalog[name]
      // an object that was missing before may have been dropped with the object that it was on
      const isLeft = name in catalog ? catalog[name] === before.catalog[name] : unexplained.includes(change)
      if (!isLeft) continue
      isExact = false
      if (then === undefined) delete catalog[name]
      else catalog[name] = then
    }
  }
  // if the stored schema differs from the real one the hash must differ too, or the objects would not be
  // compared
  const fingerprint = isExact ? fingerprintOf(rows) : `${fingerprintOf(rows)} and drift`
  await setFingerprint(sql, run.token, run.id, fingerprint, catalog)
}

/** The changes by others from before a run, and the schema at that time. */
export interface SeenDrift extends Drift {
  catalog: Record<string, string>
}

/** Reads the schema and the changes by others. */
export async function seeDrift(connection: Connection, major: number): Promise<SeenDrift> {
  const rows = await objects(connection.sql)
  return { ...(await drifted(connection, major, rows)), catalog: catalogOf(rows) }
}

/** What has changed since the last look at the schema. */
export interface Drift {
  /** Changed objects, except those that steps since that look may have changed. */
  changed: string[]
  /** Why not all objects could be compared; null if they were. */
  whyNotCompared: string | null
}

/** The drift if nothing was stored before. */
export const noDrift: Drift = { changed: [], whyNotCompared: null }

/**
 * Compares the schema with the last complete look at it. A run that was killed stored none, so objects that
 * its files may have changed are no drift. Only within one major version, because each writes definitions in
 * its own way. `rows` is the current schema if the caller has read it.
 */
export async function drifted(connection: Connection, major: number, rows?: ObjectRow[]): Promise<Drift> {
  const look = await newestLook(connection.sql)
  const now = rows ?? (await objects(connection.sql))
  // one hash of all definitions: if it is equal, nothing differs
  if (look.major === major && look.fingerprint === fingerprintOf(now)) return noDrift
  const stored = await storedSchema(connection.sql, look)
  if (!stored)
    return {
      changed: [],
      whyNotCompared: look.steps === 0 ? null : 'no run has stored how the schema looked',
    }
  if (stored.major !== major)
    return {
      changed: [],
      whyNotCompared: `it was stored by PostgreSQL ${stored.major}, and this is ${major}`,
    }
  const found = changes(stored.catalog, catalogOf(now))
  if (found.length === 0 || stored.since.length === 0)
    return { changed: found.map(changeText), whyNotCompared: null }
  // parses SQL files, which is only necessary after a run that was killed
  const { changedSince } = await import('./changed_since.js')
  const since = await changedSince(connection.sql, stored)
  const left = found.filter(({ name }) => {
    const [, kind, object] = /^(\w+) (.*)$/s.exec(name)!
    return !since.has(kind!, object!)
  })
  return { changed: left.map(changeText), whyNotCompared: null }
}

/** Objects that a report shows. */
const mostShownChanges = 30

/** Drift as a finding, or why it could not be determined. Empty if nothing has changed. */
export const driftFinding = ({ changed, whyNotCompared }: Drift): Finding[] => [
  ...(changed.length === 0
    ? []
    : [finding('DRIFT', 'schema', { objects: changed.slice(0, mostShownChanges) })]),
  ...(whyNotCompared === null ? [] : [finding('DRIFT_UNKNOWN', 'schema', { reason: whyNotCompared })]),
]

/**
 * Stores the schema before the first step of a run, so that a rollback to this point can be proved exact.
 * `rows` is the schema if it was read already; null to read it.
 */
export async function keepStart(
  run: Run,
  track: string,
  before: string,
  rows: ObjectRow[] | null,
): Promise<void> {
  await keepCatalog(run.writer.sql, track, before, catalogOf(rows ?? (await objects(run.writer.sql))))
}

/** After a rollback: findings about whether the schema is as before the migration that was undone last. */
export async function exactness(run: Run, track: Track, undone: Migration): Promise<Finding[]> {
  const then = await keptCatalog(run.writer.sql, track.name, undone.name)
  if (!then) return []
  const changed = changedObjects(then, catalogOf(await objects(run.writer.sql)))
  return [
    changed.length === 0
      ? finding('ROLLED_BACK_EXACTLY', undone.name)
      : finding('ROLLBACK_DIFFERS', undone.name, { objects: changed.slice(0, mostShownChanges) }),
  ]
}

/** A difference of an object between two catalogs: `+` new, `-` missing, `~` changed. */
interface Change {
  mark: '+' | '-' | '~'
  name: string
}

/** The differences between two catalogs, by name. */
function changes(then: Record<string, string>, now: Record<string, string>): Change[] {
  const found: Change[] = [
    ...Object.entries(then)
      .filter(([name, hash]) => now[name] !== hash)
      .map(([name]) => ({ mark: now[name] === undefined ? ('-' as const) : ('~' as const), name })),
    ...Object.keys(now)
      .filter(name => then[name] === undefined)
      .map(name => ({ mark: '+' as const, name })),
  ]
  return found.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The differences as a report shows them. */
export const changedObjects = (then: Record<string, string>, now: Record<string, string>): string[] =>
  changes(then, now).map(changeText)

const changeText = (c: Change): string => `${c.mark} ${c.name}`

/** The differences between two looks, with the definitions before and after. */
export function differences(before: ObjectRow[], after: ObjectRow[]): string[] {
  const definitions = (rows: ObjectRow[]) => new Map(rows.map(r => [`${r.kind} ${r.object}`, r.definition]))
  const then = definitions(before)
  const now = definitions(after)
  return changes(Object.fromEntries(then), Object.fromEntries(now)).map(({ mark, name }) =>
    mark === '~' ? `${mark} ${name}: ${then.get(name)} -> ${now.get(name)}` : `${mark} ${name}`,
  )
}
