import type { Connection } from '../database/connection.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { keepCatalog, keptCatalog, newestLook, setFingerprint, storedSchema } from './ledger.sql.js'
import type { Run } from './run.js'
import { catalogOf, fingerprintOf, type ObjectRow, objects } from './schema_snapshot.sql.js'

/**
 * Stores how the schema looks after the newest finished step, outside its locks. What others had changed
 * before the run, and the run has left as it found it, is stored as it was before that: it is still drift for
 * whoever looks next.
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
      // what was gone before, a step may have taken along with what it was on
      const isLeft = name in catalog ? catalog[name] === before.catalog[name] : unexplained.includes(change)
      if (!isLeft) continue
      isExact = false
      if (then === undefined) delete catalog[name]
      else catalog[name] = then
    }
  }
  // where what is stored is not how the schema is, the hash must differ: else nobody compares the objects
  const fingerprint = isExact ? fingerprintOf(rows) : `${fingerprintOf(rows)} and drift`
  await setFingerprint(sql, run.token, run.id, fingerprint, catalog)
}

/** What others have changed before a run begins, and how the schema looked then. */
export interface SeenDrift extends Drift {
  catalog: Record<string, string>
}

/** Looks at the schema and at what others have changed in it. */
export async function seeDrift(connection: Connection, major: number): Promise<SeenDrift> {
  const rows = await objects(connection.sql)
  return { ...(await drifted(connection, major, rows)), catalog: catalogOf(rows) }
}

/** What has changed since the last look at the schema. */
export interface Drift {
  /** Objects that are not as they were, except those that steps since that look may have changed. */
  changed: string[]
  /** Why not all of them could be compared; null where they were. */
  whyNotCompared: string | null
}

/** Nothing was stored that could have changed. */
export const noDrift: Drift = { changed: [], whyNotCompared: null }

/**
 * Compares the schema with the last complete look at it. A run that was killed stored none: what its files
 * may have made, changed or dropped is not drift. Compared only within one major version, as each
 * writes definitions its own way. `rows` is how the schema is now, where the caller has looked.
 */
export async function drifted(connection: Connection, major: number, rows?: ObjectRow[]): Promise<Drift> {
  const look = await newestLook(connection.sql)
  const now = rows ?? (await objects(connection.sql))
  // one hash over all definitions: where it is the same, no object differs
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
  // reads files of SQL: only after a run that was killed
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

/** Drift as a finding, or why it could not be looked for; none where nothing has changed. */
export const driftFinding = ({ changed, whyNotCompared }: Drift): Finding[] => [
  ...(changed.length === 0
    ? []
    : [finding('DRIFT', 'schema', { objects: changed.slice(0, mostShownChanges) })]),
  ...(whyNotCompared === null ? [] : [finding('DRIFT_UNKNOWN', 'schema', { reason: whyNotCompared })]),
]

/**
 * Before the first step of a run: how the schema looks, so that a rollback to here can be proved exact.
 * `rows` is what the run has looked at already; null where it must look again.
 */
export async function keepStart(
  run: Run,
  track: string,
  before: string,
  rows: ObjectRow[] | null,
): Promise<void> {
  await keepCatalog(run.writer.sql, track, before, catalogOf(rows ?? (await objects(run.writer.sql))))
}

/** After a rollback: whether the schema is as it was before the migration that was undone last. */
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

/** An object that differs between two catalogs: `+` is new, `-` is gone, `~` is defined otherwise. */
interface Change {
  mark: '+' | '-' | '~'
  name: string
}

/** What differs between two catalogs, by name. */
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

/** The same as a report shows it. */
export const changedObjects = (then: Record<string, string>, now: Record<string, string>): string[] =>
  changes(then, now).map(changeText)

const changeText = (c: Change): string => `${c.mark} ${c.name}`

/** The same of two looks, with the definitions before and after. */
export function differences(before: ObjectRow[], after: ObjectRow[]): string[] {
  const definitions = (rows: ObjectRow[]) => new Map(rows.map(r => [`${r.kind} ${r.object}`, r.definition]))
  const then = definitions(before)
  const now = definitions(after)
  return changes(Object.fromEntries(then), Object.fromEntries(now)).map(({ mark, name }) =>
    mark === '~' ? `${mark} ${name}: ${then.get(name)} -> ${now.get(name)}` : `${mark} ${name}`,
  )
}
