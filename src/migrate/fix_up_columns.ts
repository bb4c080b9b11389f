import { plural } from '../model/plural.js'
import { partText } from '../model/table_name.js'
import { keyOfTable } from './adopt_differences.js'
import {
  addColumnSql,
  alterColumn,
  changeType,
  commented,
  constraintSql,
  dropConstraintSql,
  fillNullsSql,
  rename,
  requireValues,
  validateSql,
} from './fix_up.sql.js'
import { choose, type Desk, replacing } from './fix_up_parts.js'
import { nulls, rowsAgainst } from './fix_up_rows.sql.js'
import type { MadeObject } from './made_objects.sql.js'
import { keyOfObject } from './track_states.js'

/** Pairs of types in which every value of the first has exactly one equal value in the second. */
const wider: readonly (readonly [RegExp, RegExp])[] = [
  [/^character varying(\(\d+\))?$/, /^(text|character varying)$/],
  [/^smallint$/, /^(integer|bigint)$/],
  [/^integer$/, /^bigint$/],
  [/^real$/, /^double precision$/],
]

function isWider(from: string, to: string, enums: ReadonlySet<string>): boolean {
  if (enums.has(from) && to === 'text') return true
  const lengths = [from, to].map(t => Number(/^character varying\((\d+)\)$/.exec(t)?.[1] ?? Number.NaN))
  return wider.some(([a, b]) => a.test(from) && b.test(to)) || lengths[0]! <= lengths[1]!
}

/** Resolves a column that is missing or differs. */
export async function settleColumn(desk: Desk, want: MadeObject, has: MadeObject | null): Promise<void> {
  const { parts, actual } = desk
  const should = want.column!
  if (!has) {
    // CREATE TABLE includes it
    if (!actual.has(keyOfTable(want.relation))) return
    const { some } = await desk.rows(want.relation)
    if (some && should.notNull && should.default === null && should.identity === '') {
      const free = { ...want, column: { ...should, notNull: false } }
      const { first, later } = requireValues(want)
      choose(
        desk,
        want,
        'it must have a value in every row, and only you know which',
        [addColumnSql(free), fillNullsSql(want), first, later].join('\n'),
      )
    } else parts.columns.push(addColumnSql(want))
    return
  }
  const is = has.column!
  if (is.identity !== should.identity || is.generated !== should.generated) {
    choose(
      desk,
      want,
      `it is ${has.definition}, and should be ${want.definition}`,
      `${rename(has)}\n${addColumnSql(want)}`,
    )
    return
  }
  if (is.type !== should.type && !isWider(is.type, should.type, desk.enumerations)) {
    const reason = `it is ${is.type}, and should be ${should.type}: not every value of the one is a value of the other`
    choose(desk, want, reason, changeType(want, is.type))
    return
  }
  if (is.type !== should.type) desk.retyped.add(want.relation)
  const altered = alterColumn(want, is)
  if (altered !== '') parts.columns.push(`${commented(`was: ${has.definition}`)}\n${altered}`)
  if (!should.notNull || is.notNull) return
  const empty = await nulls(desk.sql, want.relation, partText(want.name))
  const { first, later } = requireValues(want)
  if (empty === 0) {
    parts.constraints.push(first)
    parts.after.push(later)
  } else
    choose(
      desk,
      want,
      `${plural(empty, 'row', 'have')} no value in it`,
      [fillNullsSql(want), first, later].join('\n'),
    )
}

/** Resolves a key or check that is missing or differs. If rows violate it, it is a choice. */
export async function settleConstraint(desk: Desk, want: MadeObject, has: MadeObject | null): Promise<void> {
  const { parts, actual } = desk
  const should = want.constraint!
  const unproven = has !== null && has.definition === want.definition
  const { first, later } = constraintSql(want)
  // if the table or the columns do not exist yet, no row can violate it
  const columns = should.columns.map(c => keyOfObject({ kind: 'column', relation: want.relation, name: c }))
  const isThere = actual.has(keyOfTable(want.relation)) && columns.every(c => actual.has(c))
  const broken = isThere ? await rowsAgainst(desk.sql, want.relation, should) : null
  if (broken !== null && broken.rows > 0) {
    const steps = unproven ? [validateSql(want)] : [...(has ? [dropConstraintSql(has)] : []), first, later]
    const reason = `${plural(broken.rows, 'row', 'break')} it`
    choose(desk, want, reason, [`${broken.query};`, ...steps].filter(Boolean).join('\n'))
    return
  }
  if (unproven) {
    parts.after.push(validateSql(want))
    return
  }
  if (has && (has.constraint!.type === 'p' || has.constraint!.type !== should.type)) {
    const reason = `it is ${has.definition}, and should be ${want.definition}`
    choose(desk, want, reason, [dropConstraintSql(has), first, later].filter(Boolean).join('\n'))
    return
  }
  const other = [...actual.values()].find(
    o => should.type === 'p' && o.relation === want.relation && o.constraint?.type === 'p',
  )
  if (other && !has) {
    choose(desk, want, `its key is ${other.definition}`, [dropConstraintSql(other), first].join('\n'))
    return
  }
  if (has) parts.dropped.push(replacing(has, dropConstraintSql(has)))
  parts.constraints.push(first)
  if (later !== '') parts.after.push(later)
}
