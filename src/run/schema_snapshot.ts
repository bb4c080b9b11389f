import type { Connection } from '../database/connection.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { keepCatalog, keptCatalog, setFingerprint, storedFingerprint } from './ledger.sql.js'
import type { Run } from './run.js'
import { catalogOf, fingerprintOf, type ObjectRow, objects } from './schema_snapshot.sql.js'

/** Stores how the schema looks after the newest finished step, outside its locks. */
export async function storeFingerprint(run: Run): Promise<void> {
  const rows = await objects(run.writer.sql)
  await setFingerprint(run.writer.sql, run.token, run.id, fingerprintOf(rows), catalogOf(rows))
}

/**
 * Objects that are not as they were stored, all of them; compared only within one major version, as
 * each writes them its own way. `rows` is how they are now, where the caller has looked.
 */
export async function drifted(connection: Connection, major: number, rows?: ObjectRow[]): Promise<string[]> {
  const stored = await storedFingerprint(connection.sql)
  if (!stored || stored.major !== major) return []
  const now = rows ?? (await objects(connection.sql))
  return stored.fingerprint === fingerprintOf(now) ? [] : changedObjects(stored.catalog, catalogOf(now))
}

/** Objects that a report shows. */
const mostShownChanges = 30

/** Drift as a finding; none where nothing has changed. */
export const driftFinding = (changed: string[]): Finding[] =>
  changed.length === 0 ? [] : [finding('DRIFT', 'schema', { objects: changed.slice(0, mostShownChanges) })]

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
  changes(then, now).map(c => `${c.mark} ${c.name}`)

/** The same of two looks, with the definitions before and after. */
export function differences(before: ObjectRow[], after: ObjectRow[]): string[] {
  const definitions = (rows: ObjectRow[]) => new Map(rows.map(r => [`${r.kind} ${r.object}`, r.definition]))
  const then = definitions(before)
  const now = definitions(after)
  return changes(Object.fromEntries(then), Object.fromEntries(now)).map(({ mark, name }) =>
    mark === '~' ? `${mark} ${name}: ${then.get(name)} -> ${now.get(name)}` : `${mark} ${name}`,
  )
}
