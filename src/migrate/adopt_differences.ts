import type { Migration } from '../model/project.js'
import type { ObjectRow } from '../run/schema_snapshot.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import { keyOfObject, type Objects, type TrackStates } from './track_states.js'

/** A difference between a database and what the files create. */
export interface Difference {
  /**
   * `missing`: it does not exist. `differs`: another object has its name. `surplus`: the files have dropped
   * it by then, or it gives access that they do not give. `early`: a later file would create it and will find
   * it.
   */
  what: 'missing' | 'differs' | 'surplus' | 'early'
  /** The migration that creates it. */
  migration: Migration
  want: MadeObject | null
  has: MadeObject | null
}

/** The differences between a database and the state after one migration. */
export interface Comparison {
  /** The number of migrations of that state. */
  at: number
  differences: Difference[]
  /** Other objects on the track's own tables, which may stay. */
  beside: MadeObject[]
}

/** Kinds that are properties of an existing object. */
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
      // a file without a transaction skips what exists already
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

/** Number of the last migration of which something exists that no earlier one creates; 0 for none. */
export function lastStanding({ base, states, actual }: TrackStates, until: number): number {
  const before = new Map(base)
  let found = 0
  for (const [i, state] of states.slice(0, until).entries()) {
    for (const [key, made] of state.objects) {
      const isNew = !same(before.get(key), made)
      // a schema's usual privileges and a table's settings exist without any file
      if (!isNew || qualities.has(made.kind)) continue
      const has = actual.get(key)
      // an object that an earlier file created must be as this file changes it
      if (has && (!before.has(key) || matches(made, has, true))) found = i + 1
      before.set(key, made)
    }
  }
  return found
}

/** The key of a table. */
export const keyOfTable = (relation: string): string => keyOfObject({ kind: 'table', relation, name: '' })

/** The first state in which an object exists; if it exists in none, the last state. */
const firstWith = ({ states }: TrackStates, key: string) =>
  states.find(s => s.objects.has(key)) ?? states.at(-1)!

/** An object on a table that a later file creates comes with that table. */
const isOwnTable = (track: TrackStates, o: MadeObject, at: number): boolean =>
  o.kind === 'table' ||
  !track.made.has(o.relation) ||
  Boolean(track.states[at - 1]!.objects.get(keyOfTable(o.relation)))

/** A policy that gives more access than the files do, or a required column that nothing fills. */
const isInTheWay = ({ kind, permissive, column }: MadeObject): boolean =>
  (kind === 'policy' && permissive) ||
  (kind === 'column' &&
    column!.notNull &&
    column!.default === null &&
    column!.identity === '' &&
    column!.generated === '')

/** Whether an object is unchanged. */
export const same = (a: MadeObject | undefined, b: MadeObject): boolean =>
  a !== undefined && a.definition === b.definition && a.constraint?.valid === b.constraint?.valid

/**
 * How the server prints a list of strings for a comparison with a varchar, before it has parsed its own
 * output.
 */
const stringList = /\(ARRAY\[((?:'(?:[^']|'')*'::character varying(?:, )?)+)\]\)::text\[\]/g

/** A definition as the server prints it after it has parsed its own output. */
export const canonical = (definition: string): string =>
  definition.replace(
    stringList,
    (_, list: string) => `ARRAY[${list.replace(/('(?:[^']|'')*'::character varying)/g, '($1)::text')}]`,
  )

/**
 * Whether an object equals what a file creates. A constraint must be validated, unless the file leaves it NOT
 * VALID.
 */
export const matches = (want: MadeObject, has: MadeObject, unproven: boolean): boolean =>
  canonical(want.definition) === canonical(has.definition) &&
  (unproven || has.constraint === null || has.constraint.valid)

/** True if the whole table of an object is missing, so that the object needs no finding of its own. */
export const isPartOfMissing = (d: Difference, actual: Objects): boolean =>
  d.what === 'missing' &&
  d.want!.kind !== 'table' &&
  d.want!.kind !== 'view' &&
  d.want!.kind !== 'function' &&
  !actual.has(keyOfTable(d.want!.relation)) &&
  !actual.has(keyOfObject({ kind: 'view', relation: d.want!.relation, name: '' })) &&
  !actual.has(keyOfObject({ kind: 'function', relation: d.want!.relation, name: '' }))

/** The name of an object for people. */
export const nameOfObject = (o: MadeObject): string =>
  o.name === ''
    ? `${o.kind} ${o.relation}`
    : o.kind === 'column'
      ? `column ${o.relation}.${o.name}`
      : o.kind === 'privilege'
        ? `privileges of ${o.name} on ${o.relation}`
        : `${o.kind} ${o.name} on ${o.relation}`

/** Returns whether an object of the schema is created by the files, or is on a table that they create. */
export function madeByFiles({ base, states, made }: TrackStates): (o: ObjectRow) => boolean {
  const names = new Set<string>()
  for (const { objects } of states)
    for (const [key, o] of objects)
      if (!base.has(key)) names.add(`${o.kind} ${o.name === '' ? o.relation : `${o.relation}.${o.name}`}`)
  const relations = [...made]
  return ({ kind, object }) =>
    names.has(`${kind} ${object}`) || relations.some(r => object === r || object.startsWith(`${r}.`))
}
