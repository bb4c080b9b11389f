import { askedName, type Known } from '../database/known.js'
import type { ColumnFacts } from '../database/known.sql.js'
import { type Node, strings } from '../files/statements.js'
import { dottedText, namesIn } from '../model/table_name.js'

/** True for equal types, and for text and varchar, which are indexed alike. */
export const sameFamily = (a: string, b: string): boolean =>
  a === b || [a, b].every(t => t === 'pg_catalog.text' || t === 'pg_catalog.varchar')

/** A type and its modifiers, such as a length. */
export interface Type {
  type: string
  args: number[]
}

/** The new type of a column. Null if it is unknown, or if the type checks its values. */
export function targetOf(column: Node, known: Known): Type | null {
  const { names, typmods, arrayBounds } = column.typeName as Node
  const facts = known.types.get(askedName(names))
  if (!facts || facts.guarded) return null
  const given: number[] = (typmods ?? []).map((t: Node) => t.A_Const?.ival?.ival ?? 0)
  if (facts.args.length > 0 && given.length > 0) return null
  const args = facts.args.length > 0 ? facts.args : given
  if (facts.type === 'pg_catalog.numeric' && args.length === 1) args.push(0)
  const [schema, name] = namesIn(facts.type)!
  return { type: arrayBounds ? dottedText([schema!, `_${name}`]) : facts.type, args }
}

/** True if there is no USING, or if USING only names the column or casts it to the same type. */
export function keepsValue(cmd: Node): boolean {
  const using = cmd.def.ColumnDef.raw_default as Node | undefined
  if (!using) return true
  const bare = using.TypeCast?.arg ?? using
  const names = strings(bare.ColumnRef?.fields)
  if (names.length !== 1 || names[0] !== cmd.name) return false
  const shape = (type: Node) =>
    JSON.stringify([askedName(type.names), type.typmods, type.arrayBounds], (key, v) =>
      key === 'location' ? undefined : v,
    )
  return !using.TypeCast || shape(using.TypeCast.typeName) === shape(cmd.def.ColumnDef.typeName)
}

/** Types whose length or precision may grow without a rewrite of the values. */
const growing = new Set(
  ['varchar', 'varbit', 'timestamp', 'timestamptz', 'time', 'timetz'].map(t => `pg_catalog.${t}`),
)

/**
 * Whether values of the old type are stored in the same way in the new type. Source: PostgreSQL's ALTER
 * TABLE and the support functions of its casts.
 */
export function isStoredAlike(old: ColumnFacts, to: Type, known: Known): boolean {
  if (old.type !== to.type) return to.args.length === 0 && known.alike.has(`${old.type}>${to.type}`)
  if (to.args.length === 0 || String(old.args) === String(to.args)) return true
  if (growing.has(to.type)) return to.args[0]! >= (old.args[0] ?? (/time/.test(to.type) ? 6 : Infinity))
  return (
    to.type === 'pg_catalog.numeric' &&
    old.args.length === 2 &&
    to.args[0]! >= old.args[0]! &&
    to.args[1] === old.args[1]
  )
}
