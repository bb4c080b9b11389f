import type { ApplicationColumn, ApplicationTable } from './application_tables.sql.js'
import { likeness, namedAfter } from './likeness.js'
import type { WantedColumn, WantedTable } from './wanted.js'

/**
 * How sure a binding is. `certain`: nothing else is similar. `likely`: the best of weak candidates. `open`: a
 * person must decide.
 */
export type Confidence = 'certain' | 'likely' | 'open'

/** The column of a table that is most similar to the one that a track needs. */
export interface FittedColumn {
  want: WantedColumn
  /** Null if the table has none. */
  column: ApplicationColumn | null
  /** True if it has none and the track can do without. */
  isNone?: boolean
  /** Where it has none: the column that could be it nevertheless. */
  doubt?: string
  confidence: Confidence
  /** Columns with an equal score. */
  rivals: string[]
  because: string
  score: number
}

/** Why a column may be the wanted one, and its score. */
interface Evidence {
  score: number
  because: string
}

/** From this score on, a name, a key or a reference alone is sufficient. */
const sure = 6
const missing = -5
/** The score of a column that the track can do without. */
const doneWithout = -2
const asSaid = 20

const idTypes = /^(uuid|bigint|integer|smallint|text|character varying)$/
const textTypes = /^(text|character varying|character)$/
const times = /^(timestamp|date$)/
const numbers = /^(bigint|integer|numeric|double precision)$/

/** The column that other tables reference: the primary key, else a unique column called id. */
export const idColumnOf = (table: ApplicationTable): ApplicationColumn | null =>
  table.columns.find(c => c.key) ??
  table.columns.find(c => c.unique) ??
  table.columns.find(c => c.column === 'id') ??
  null

/** True for the role of who says a message, or of a member: of any type, and called so. */
export const isRole = ({ column, types }: WantedColumn): boolean => column === 'role' && types.length === 0

const named = (name: number, column: ApplicationColumn, what: string): string =>
  name > 0 ? `its name, and it is ${column.base}` : what

/** The evidence for a column. Null if something excludes it. */
function evidence(
  want: WantedColumn,
  table: ApplicationTable,
  column: ApplicationColumn,
  chosen: ReadonlyMap<string, ApplicationTable>,
): Evidence | null {
  if (want.of !== null) return reference(want, want.of, table, column, chosen)
  const name = likeness(column.column, want.column, want.called)
  if (want.column === 'id') {
    // a primary key of another type is still the key; its type has a finding of its own
    if (!idTypes.test(column.base) && !column.key) return null
    if (column.key) return { score: 8 + name, because: 'the primary key' }
    if (column.unique) return { score: 4 + name, because: 'unique and never null' }
    return name > 2 ? { score: 3 + name, because: 'its name' } : null
  }
  // any column could hold roles, and few do
  if (isRole(want) && name === 0) return null
  const wants = (type: RegExp) => want.types.some(t => type.test(t))
  const right = wants(/^time/)
    ? times.test(column.base)
    : wants(/^json/)
      ? /^jsonb?$/.test(column.base)
      : textTypes.test(column.base)
  if (right) return { score: (name > 0 ? 5 : 2) + name, because: named(name, column, `it is ${column.base}`) }
  // probably meant, but of another type: the proposal shows the type
  const near = wants(/^time/) ? numbers.test(column.base) || textTypes.test(column.base) : name > 1
  return near && name > 1 ? { score: 4 + name, because: named(name, column, '') } : null
}

/**
 * That no column is similar. If the track only reads a value of it, also the SQL that adds one. Where people
 * write to each other, every message is a person's; where no message says whose it is, it is nobody's.
 */
function unlike(
  want: WantedColumn,
  { table }: ApplicationTable,
  chosen: ReadonlyMap<string, ApplicationTable>,
): string {
  const { column, of, types } = want
  if (column === 'id')
    return 'no column alone tells its rows apart: it needs one that is unique and never null'
  const target = of === null || !want.nullable ? undefined : chosen.get(of)
  const type = isRole(want)
    ? "text default 'user'"
    : of === null
      ? types[0]
      : target && idColumnOf(target)?.base
  const why = want.needed === null ? '' : `, and ${want.needed}`
  return `no column is like it${why}${
    type !== undefined ? `: where there is none, alter table ${table} add column ${column} ${type}` : ''
  }`
}

function reference(
  want: WantedColumn,
  of: string,
  table: ApplicationTable,
  column: ApplicationColumn,
  chosen: ReadonlyMap<string, ApplicationTable>,
): Evidence | null {
  const name = likeness(column.column, want.column, want.called)
  const target = chosen.get(of)
  const [lead] = column.references
  if (!target) return name > 0 ? { score: 2 + name, because: 'its name' } : null
  if (lead)
    return lead.table === target.table
      ? { score: 8 + name, because: `references \`${lead.table}.${lead.column}\`` }
      : null
  const key = idColumnOf(target)
  const after = namedAfter(column.column, target.name)
  if ((name === 0 && !after) || target === table || !key) return null
  // `account_id` beside a table of accounts is nobody's who is in another table
  if (!after && column.namesakes.length > 0 && !column.namesakes.includes(target.table)) return null
  // probably meant, but it cannot hold such ids: the proposal shows both types, and what changes one
  if (key.base !== column.base)
    return want.without === null && idTypes.test(column.base)
      ? {
          score: column.column === want.column ? sure : 2 + name,
          because: `its name, but it is ${column.base} and \`${target.table}.${key.column}\` is ${key.base}`,
        }
      : null
  return {
    score: 4 + Math.max(name, 2),
    because: `its name, and the type of \`${target.table}.${key.column}\``,
  }
}

/**
 * The best columns of a table for what a track needs, given the tables that are chosen for the other
 * entities. `given` are columns that a person has named, by role.
 */
export function fitColumns(
  want: WantedTable,
  table: ApplicationTable,
  chosen: ReadonlyMap<string, ApplicationTable>,
  given: ReadonlyMap<string, string>,
): FittedColumn[] {
  const said = (w: WantedColumn) => given.get(`${want.entity}.${w.column}`)
  const taken = new Set(want.columns.flatMap(w => said(w) ?? []))
  const all = want.columns.flatMap(w =>
    table.columns.flatMap(column => {
      if (said(w) !== undefined)
        return column.column === said(w) ? [{ want: w, column, score: asSaid, because: 'as you said' }] : []
      const found = taken.has(column.column) ? null : evidence(w, table, column, chosen)
      // of what the track can do without, a type alone says nothing
      if (found && isByTypeOnly(w, column)) return []
      return found ? [{ want: w, column, ...found }] : []
    }),
  )
  all.sort((a, b) => b.score - a.score)
  const fitted = new Map<WantedColumn, FittedColumn>()
  const used = new Set<string>()
  for (const { want: w, column, score, because } of all) {
    if (fitted.has(w) || used.has(column.column)) continue
    used.add(column.column)
    fitted.set(w, { want: w, column, score, because, rivals: [], confidence: 'certain' })
  }
  for (const found of fitted.values()) {
    found.rivals = all
      .filter(
        a =>
          a.want === found.want &&
          a.column !== found.column &&
          a.score > found.score - 1 &&
          ![...fitted.values()].some(f => f.column === a.column && f.score > a.score),
      )
      .map(a => a.column.column)
    found.confidence = found.rivals.length > 0 ? 'open' : found.score >= sure ? 'certain' : 'likely'
  }
  return want.columns.map(w => {
    const found = fitted.get(w)
    if (found) return found
    const open = { want: w, column: null, score: missing, rivals: [], confidence: 'open' as const }
    if (said(w) !== undefined) return { ...open, because: `there is no column \`${said(w)}\`` }
    return w.without === null
      ? { ...open, because: unlike(w, table, chosen) }
      : noneOf(w, table, chosen, used)
  })
}

/** Types that say nothing of who speaks, unless the name of the column does. */
const plainTypes =
  /^(uuid|smallint|bigint|integer|numeric|double precision|real|text|character( varying)?|jsonb?|timestamp.*|date|time.*|interval|bytea|tsvector|inet|.*\[\])$/

/** True for a column that may say who is a person and who is none: a flag, an enum, or called after one. */
const mayHoldRoles = ({ column, base }: ApplicationColumn): boolean =>
  !plainTypes.test(base) || /bot|assistant|agent|human|sender|author|speaker|direction/i.test(column)

/** True if only the type of a column speaks for it, where the track can do without. */
const isByTypeOnly = (want: WantedColumn, column: ApplicationColumn): boolean =>
  want.without !== null && likeness(column.column, want.column, want.called) === 0

/** That a table has no such column; likely, if one of its type is left over and could be it. */
function noneOf(
  want: WantedColumn,
  table: ApplicationTable,
  chosen: ReadonlyMap<string, ApplicationTable>,
  used: ReadonlySet<string>,
): FittedColumn {
  const [other] = table.columns.filter(
    c =>
      !used.has(c.column) &&
      !c.key &&
      c.references.length === 0 &&
      (isRole(want) ? mayHoldRoles(c) : evidence(want, table, c, chosen)),
  )
  return {
    want,
    column: null,
    isNone: true,
    ...(other ? { doubt: other.column } : {}),
    score: doneWithout,
    rivals: [],
    confidence: other ? 'likely' : 'certain',
    because: other
      ? `${want.without}; \`${other.column}\` could be it by its ${isRole(want) ? 'type or its name' : 'type'} only`
      : `no column is like it: ${want.without}`,
  }
}
