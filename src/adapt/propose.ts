import { type Mapping, noTable } from '../model/mapping.js'
import { dottedText, namesIn, partText } from '../model/table_name.js'
import type { ApplicationTable } from './application_tables.sql.js'
import { type Choice, chooseTables, isLikeIt } from './choose_tables.js'
import type { Confidence, FittedColumn } from './fit_columns.js'
import { bindingOf } from './names.js'
import { authUsers, type WantedTable } from './wanted.js'

/** The name that a database has for one role of a track. */
export interface ProposedBinding {
  /** For example `chats`, `chats.message`, `identity`, `zone`. */
  role: string
  /** The role as `--map` takes it, with the schema unless that is `public`. */
  label: string
  /** Its name in the database, as `--map` takes it. Null if nothing is similar. */
  to: string | null
  confidence: Confidence
  because: string
  /** Other names with an equal score. */
  rivals: string[]
  /** False if the name is the same as the track's own. */
  renamed: boolean
  /** True if the database has no such table or column, and the track does without. */
  isNone?: boolean
  /** Where it has none: the column that could be it nevertheless. */
  doubt?: string
  /** True if the open question is the meaning of its values, which `--map-values` answers. */
  isOfValues?: boolean
}

/** The names that a database has for all roles of a track. */
export interface Proposal {
  bindings: ProposedBinding[]
  /** The bindings whose names differ from the track's. */
  mapping: Mapping
  /** Tables of the best combination, by entity. */
  tables: ReadonlyMap<string, ApplicationTable>
  columns: ReadonlyMap<string, FittedColumn[]>
  /** The share of roles that were found, from 0 to 1. */
  found: number
  score: number
}

/** How much the best combination must score above the best one with another table. */
const clearLead = 4

/** A table's name as `--map` takes it, without the schema `public`. */
export const shortName = (table: string): string => {
  const path = namesIn(table)!
  return dottedText(path[0] === 'public' ? path.slice(1) : path)
}

/** Proposes tables and columns for what a track needs. `given` is what a person has already named. */
export function propose(wanted: WantedTable[], all: ApplicationTable[], given: Mapping): Proposal {
  const named = new Map(
    Object.entries(given).flatMap(([role, to]) => {
      if (role === 'identity' || to === null) return []
      const name =
        typeof to === 'string' && !role.includes('.')
          ? dottedText(['public', ...namesIn(to)!].slice(-2))
          : bindingOf(to)!.column
      return [[role, name] as const]
    }),
  )
  const choices = chooseTables(wanted, all, named)
  const best = choices[0]!
  const bindings = wanted.flatMap(want => [
    tableBinding(want, best, choices, named),
    ...(best.tables.has(want.entity) ? columnBindings(want, best, given) : []),
  ])
  const mapping: Mapping = { ...given }
  for (const { role, to, renamed, isNone } of bindings)
    if (isNone) mapping[role] = null
    else if (renamed && to !== null && mapping[role] === undefined)
      mapping[role] = role.includes('.') ? { column: namesIn(to)![0]! } : dottedText(namesIn(to)!)
  const { tables, columns, score } = best
  return { bindings, mapping, tables, columns, found: shareFound(wanted, bindings), score }
}

/**
 * The share of a track's needs that was found. Uncertain bindings count half, and so does what it does
 * without; users do not count.
 */
function shareFound(wanted: WantedTable[], bindings: ProposedBinding[]): number {
  const others = wanted.filter(w => w.table !== authUsers)
  const roles = others.reduce((sum, w) => sum + 1 + w.columns.length, 0)
  const counted = bindings.filter(b => others.some(w => w.entity === b.role.split('.')[0]))
  const weight = (b: ProposedBinding) =>
    b.to === null ? 0 : b.confidence === 'certain' && !b.isNone ? 1 : 0.5
  return counted.reduce((sum, b) => sum + weight(b), 0) / roles
}

/** The role as `--map` takes it. */
const mapLabel = (want: WantedTable, column?: string): string =>
  [shortName(want.table), ...(column === undefined ? [] : [column])].join('.')

function tableBinding(
  want: WantedTable,
  best: Choice,
  choices: Choice[],
  named: ReadonlyMap<string, string>,
): ProposedBinding {
  const role = want.entity
  const table = best.tables.get(role)
  if (!table) {
    const said = named.get(role)
    const because = said === undefined ? 'no table is like it' : `there is no table \`${said}\``
    return { role, label: mapLabel(want), to: null, confidence: 'open', because, rivals: [], renamed: false }
  }
  const other = choices.find(c => c.tables.has(role) && c.tables.get(role) !== table)
  const close = other !== undefined && best.score - other.score < clearLead && !named.has(role)
  const columns = best.columns.get(role)!
  const missing = columns.filter(c => c.column === null && !c.isNone)
  const without = columns.filter(c => c.isNone).map(c => c.want.column)
  const half = missing.length * 2 > columns.length
  const rival = close ? other.tables.get(role)! : null
  const sure = named.has(role) || isLikeIt(want, table) || (want.table !== authUsers && isLinked(want, best))
  return {
    role,
    label: mapLabel(want),
    to: shortName(table.table),
    confidence: rival || half ? 'open' : sure ? 'certain' : 'likely',
    because: named.has(role)
      ? 'as you said'
      : missing.length > 0
        ? `it lacks ${missing.map(m => m.want.column).join(', ')}`
        : ['it has all columns', ...(without.length > 0 ? [without.join(', ')] : [])].join(' but '),
    rivals: rival ? [shortName(rival.table)] : [],
    renamed: table.table !== want.table,
  }
}

/** True if a foreign key connects the table with another one that is not the users' table. */
function isLinked(want: WantedTable, best: Choice): boolean {
  const table = best.tables.get(want.entity)!
  const others = [...best.tables].filter(([entity]) => entity !== want.entity && entity !== 'users')
  const leads = (from: ApplicationTable, to: ApplicationTable) =>
    from.columns.some(c => c.references.some(r => r.table === to.table))
  return others.some(([, other]) => leads(table, other) || leads(other, table))
}

function columnBindings(want: WantedTable, best: Choice, given: Mapping): ProposedBinding[] {
  return best.columns
    .get(want.entity)!
    .filter(found => given[`${want.entity}.${found.want.column}`] !== null)
    .map(found => ({
      role: `${want.entity}.${found.want.column}`,
      label: mapLabel(want, found.want.column),
      to: found.isNone ? noTable : found.column && columnName(found.column.column),
      confidence: found.confidence,
      because: found.because,
      rivals: found.rivals.map(columnName),
      renamed: found.isNone || (found.column !== null && found.column.column !== found.want.column),
      ...(found.isNone ? { isNone: true } : {}),
      ...(found.doubt === undefined ? {} : { doubt: columnName(found.doubt) }),
    }))
}

/** A column as `--map` takes it. One that is called as what there is none of is in quotes. */
const columnName = (column: string): string => (column === noTable ? `"${column}"` : partText(column))
