import { namesIn } from '../model/table_name.js'
import type { CalledFunction, ReadBy } from './policy_reach.sql.js'

/** What decides about the visibility of a table's rows besides its own policies. */
export interface Reach {
  /**
   * Tables and views that its policies read, each with the function or view that reads it; null for a policy.
   */
  relations: Map<string, { by: string | null; passes: boolean }>
  functions: Set<string>
  /** A function that composes SQL, so that what it reads is unknown; else null. */
  dynamic: string | null
}

/**
 * Pure: everything that a table's policies read, directly or through other tables' policies, views and
 * functions. For a function, every word of its body that is the name of a relation or function counts. That
 * may be more than it reads, but never less.
 */
export function policyReach(
  table: string,
  { reads, functions }: { reads: ReadBy[]; functions: CalledFunction[] },
  relations: ReadonlySet<string>,
): Reach {
  const readers = new Map(reads.map(r => [r.reader, r]))
  const byBare = new Map<string, string[]>()
  for (const name of relations) {
    const bare = namesIn(name)?.at(-1) ?? name
    byBare.set(bare, [...(byBare.get(bare) ?? []), name])
  }
  const callable = new Map<string, CalledFunction[]>()
  for (const f of functions) callable.set(f.bare, [...(callable.get(f.bare) ?? []), f])
  const reach: Reach = { relations: new Map(), functions: new Set(), dynamic: null }
  const seenFunctions = new Set<string>()
  const read = (name: string, by: string | null, passes: boolean): void => {
    const known = reach.relations.get(name)
    if (known && (!known.passes || passes)) return
    if (name !== table || by !== null) reach.relations.set(name, { by, passes })
    // row security does not apply to this owner, so policies of the relation do not matter
    if (!passes) follow(name, by)
  }
  const call = (f: CalledFunction, passes: boolean): void => {
    const through = passes || f.passes
    const key = `${f.name} ${through}`
    if (seenFunctions.has(key)) return
    seenFunctions.add(key)
    reach.functions.add(f.name)
    if (/\bexecute\b/i.test(f.body)) reach.dynamic ??= f.name
    const words = new Set(f.body.match(/"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/gu) ?? [])
    for (const word of words) {
      const bare = word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase()
      for (const name of byBare.get(bare) ?? []) read(name, f.name, through)
      for (const other of callable.get(bare) ?? []) if (other !== f) call(other, through)
    }
  }
  const follow = (reader: string, by: string | null): void => {
    const own = readers.get(reader)
    if (!own) return
    for (const name of own.relations) read(name, by ?? (reader === table ? null : reader), false)
    for (const f of functions) if (own.functions.includes(f.name)) call(f, false)
  }
  follow(table, null)
  return reach
}
