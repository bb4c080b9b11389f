import type { Migration } from '../model/project.js'
import type { ObjectRow } from '../run/schema_snapshot.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import { keyOfObject, type Objects, type TrackStates } from './track_states.js'

/** One way in which a database is not what the files make. */
export interface Difference {
  /**
   * `missing`: it is not there. `differs`: something else has its name. `surplus`: the files have taken it
   * away by then, or it lets somebody in beside them. `early`: a later file would make it, and finds it
   * there.
   */
  what: 'missing' | 'differs' | 'surplus' | 'early'
  /** The migration that makes it. */
  migration: Migration
  want: MadeObject | null
  has: MadeObject | null
}

/** How far a database is from the state after one migration. */
export interface Comparison {
  /** Number of migrations that this is the state after. */
  at: number
  differences: Difference[]
  /** What somebody else has added to the track's own tables, and what may stay. */
  beside: MadeObject[]
}

/** Kinds that say how something is that has been made before. */
export const qualities: ReadonlySet<string> = new Set(['row security', 'replica identity', 'privilege'])

/** Compares the database with the state after the first `at` migrations. */
export function compareAt(track: TrackStates, at: number): Comparison {
  const { base, states, actual } = track
  const last = states[at - 1]!
  const differences: Difference[] = []
  const expected = new Set<string>()
  for (const [key, want] of last.objects) {
    if (same(base.get(key), want)) continue
    expected.add(key)
    const migration = firstWith(track, key).migration
    const has = actual.get(key) ?? null
    if (has === null) differences.push({ what: 'missing', migration, want, has })
    else if (!matches(want, has, last.unproven.has(key)))
      differences.push({ what: 'differs', migration, want, has })
  }
  const early = new Set<string>()
  for (const state of states.slice(at))
    for (const [key, want] of state.objects) {
      if (early.has(key) || last.objects.has(key) || qualities.has(want.kind) || !isOwnTable(track, want, at))
        continue
      early.add(key)
      const has = actual.get(key)
      if (!has) continue
      // a file without a transaction leaves out what is there already
      if (state.migration.transaction === 'none' && matches(want, has, true)) continue
      differences.push({ what: 'early', migration: state.migration, want, has })
    }
  const gone = new Map<string, Migration>()
  for (const state of states.slice(0, at))
    for (const key of state.objects.keys())
      if (!last.objects.has(key)) gone.set(key, states[at - 1]!.migration)
  const beside: MadeObject[] = []
  for (const [key, has] of actual) {
    if (expected.has(key) || early.has(key) || last.objects.has(key)) continue
    const migration = gone.get(key)
    if (migration) differences.push({ what: 'surplus', migration, want: null, has })
    else if (track.made.has(has.relation) && last.objects.has(keyOfTable(has.relation))) {
      const makes = firstWith(track, keyOfTable(has.relation)).migration
      if (isInTheWay(has)) differences.push({ what: 'surplus', migration: makes, want: null, has })
      else if (!qualities.has(has.kind)) beside.push(has)
    }
  }
  return { at, differences, beside }
}

/** Number of the last migration of which something is there that no earlier one makes; 0 for none. */
export function lastStanding({ base, states, actual }: TrackStates, until: number): number {
  const before = new Map(base)
  let found = 0
  for (const [i, state] of states.slice(0, until).entries()) {
    for (const [key, made] of state.objects) {
      const isNew = !same(before.get(key), made)
      // a schema's usual privileges, and settings of a table, are there without any file
      if (!isNew || qualities.has(made.kind)) continue
      const has = actual.get(key)
      // what an earlier file has made otherwise must have become what this one makes of it
      if (has && (!before.has(key) || matches(made, has, true))) found = i + 1
      before.set(key, made)
    }
  }
  return found
}

/** The identity of a table. */
export const keyOfTable = (relation: string): string => keyOfObject({ kind: 'table', relation, name: '' })

/** The first state in which something is as it is in the end, or there at all. */
const firstWith = ({ states }: TrackStates, key: string) =>
  states.find(s => s.objects.has(key)) ?? states.at(-1)!

/** What is on a table that a later file makes comes with the table. */
const isOwnTable = (track: TrackStates, o: MadeObject, at: number): boolean =>
  o.kind === 'table' ||
  !track.made.has(o.relation) ||
  Boolean(track.states[at - 1]!.objects.get(keyOfTable(o.relation)))

/** A policy that lets somebody in whom the files would not, or a column that nobody fills. */
const isInTheWay = ({ kind, permissive, column }: MadeObject): boolean =>
  (kind === 'policy' && permissive) ||
  (kind === 'column' &&
    column!.notNull &&
    column!.default === null &&
    column!.identity === '' &&
    column!.generated === '')

/** Whether an object is still what it was. */
export const same = (a: MadeObject | undefined, b: MadeObject): boolean =>
  a !== undefined && a.definition === b.definition && a.constraint?.valid === b.constraint?.valid

/** How the server prints a list of strings that is compared with a varchar, before it has read its print. */
const stringList = /\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]/g

/** A definition as the server prints it once it has read its own print. */
export const canonical = (definition: string): string =>
  definition.replace(
    stringList,
    (_, list: string) => `ARRAY[${list.replace(/('(?:[^']|'')*'::character varying)/g, '($1)::text')}]`,
  )

/**
 * Whether something is what a file makes. A constraint must be proven, unless the file leaves that for
 * later.
 */
export const matches = (want: MadeObject, has: MadeObject, unproven: boolean): boolean =>
  canonical(want.definition) === canonical(has.definition) &&
  (unproven || has.constraint === null || has.constraint.valid)

/** True where nothing of an object's table is there: it says no more than that the table is missing. */
export const isPartOfMissing = (d: Difference, actual: Objects): boolean =>
  d.what === 'missing' &&
  d.want!.kind !== 'table' &&
  d.want!.kind !== 'view' &&
  d.want!.kind !== 'function' &&
  !actual.has(keyOfTable(d.want!.relation)) &&
  !actual.has(keyOfObject({ kind: 'view', relation: d.want!.relation, name: '' })) &&
  !actual.has(keyOfObject({ kind: 'function', relation: d.want!.relation, name: '' }))

/** An object as a person names it. */
export const nameOfObject = (o: MadeObject): string =>
  o.name === ''
    ? `${o.kind} ${o.relation}`
    : o.kind === 'column'
      ? `column ${o.relation}.${o.name}`
      : o.kind === 'privilege'
        ? `privileges of ${o.name} on ${o.relation}`
        : `${o.kind} ${o.name} on ${o.relation}`

/** Whether an object of the schema is one that the files make, or on a table that they make. */
export function madeByFiles({ base, states, made }: TrackStates): (o: ObjectRow) => boolean {
  const names = new Set<string>()
  for (const { objects } of states)
    for (const [key, o] of objects)
      if (!base.has(key)) names.add(`${o.kind} ${o.name === '' ? o.relation : `${o.relation}.${o.name}`}`)
  const relations = [...made]
  return ({ kind, object }) =>
    names.has(`${kind} ${object}`) || relations.some(r => object === r || object.startsWith(`${r}.`))
}
