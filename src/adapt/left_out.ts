import { UsageError } from '../model/failure.js'
import { type Mapping, noTable, type OptionalColumn, type RoleHint } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import type { TrackNames } from './names.js'

/** What the files of a copy are written without. */
export interface LeftOut {
  roles: ReadonlySet<string>
  /** Tables and functions, as the track's files name them, with their schemas. */
  objects: ReadonlySet<string>
  /** Columns that name rows of these tables, in whatever table they are, and marks of columns. */
  columns: ReadonlySet<string>
  /** By mark of a column that its table lacks: the column or the value that is read in its place. */
  marks: ReadonlyMap<string, Pick<OptionalColumn, 'instead' | 'value'>>
  /** Columns of the track's tables, as `schema.table.column`, that nothing of the application holds. */
  alone: ReadonlySet<string>
  /** The unit for a backfill whose own unit column is left out. */
  unit: string | null
  /** Matches a text that has one of these names as a word. */
  named: RegExp
  /** Matches a text that speaks of the roles: with the beginning of their names as a word. */
  spoken: RegExp
}

/** What applications call the tables of a track, by role. */
export type RoleHints = Record<string, RoleHint>

/** The optional table that a role comes and goes with; null for none. */
export const companion = (hint: RoleHint | undefined): string | null =>
  hint?.optional && 'with' in hint.optional ? hint.optional.with : null

/**
 * A mapping with the roles that go along with those it says are none. Throws USAGE for a role that the track
 * cannot do without, and for one that comes and goes with another.
 */
export function withCompanions(track: string, hints: RoleHints | undefined, mapping: Mapping): Mapping {
  const all: Mapping = { ...mapping }
  for (const [role, hint] of Object.entries(hints ?? {})) {
    const leads = companion(hint)
    if (mapping[role] === null && !hint.optional)
      throw new UsageError(`--map ${role}=${noTable}`, `track ${track} needs a table for it`, {
        known: Object.keys(hints!).filter(r => hints![r]!.optional && companion(hints![r]) === null),
      })
    if (leads === null) continue
    if (mapping[role] === null && mapping[leads] !== null)
      throw new UsageError(`--map ${role}=${noTable}`, `it goes along with ${leads}: say ${leads}=${noTable}`)
    if (mapping[leads] !== null) continue
    if (typeof mapping[role] === 'string')
      throw new UsageError(`--map ${role}`, `where ${leads} is ${noTable}, so is ${role}`)
    all[role] = null
  }
  return all
}

/** A column that a table of the application lacks, and its name in files where it is left out. */
export interface AbsentColumn {
  role: string
  optional: OptionalColumn
  /** A name that nothing else has. */
  mark: string
}

/**
 * Columns of tables that a mapping says are none. Throws USAGE for one that the track cannot do without, and
 * where that which is read in its place is none either.
 */
export function markedColumns(track: string, hints: RoleHints | undefined, mapping: Mapping): AbsentColumn[] {
  return Object.keys(mapping).flatMap(role => {
    const [entity, column] = role.split('.') as [string, string | undefined]
    if (mapping[role] !== null || column === undefined) return []
    const optional = hints?.[entity]?.columns[column]?.optional
    if (!optional)
      throw new UsageError(`--map ${role}=${noTable}`, `track ${track} cannot do without it`, {
        known: optionalColumns(hints),
      })
    if (optional.instead !== undefined && mapping[`${entity}.${optional.instead}`] === null)
      throw new UsageError(
        `--map ${role}=${noTable}`,
        `${optional.instead} is read in its place, and is none`,
      )
    return [{ role, optional, mark: `rethread_no_${entity}_${column}` }]
  })
}

/** Columns that a database may do without, as `--map` takes them. */
const optionalColumns = (hints: RoleHints | undefined): string[] =>
  Object.entries(hints ?? {}).flatMap(([entity, hint]) =>
    Object.keys(hint.columns)
      .filter(column => hint.columns[column]!.optional)
      .map(column => `${entity}.${column}`),
  )

/** Roles of a track that a mapping says are none. */
export const absentRoles = (hints: RoleHints | undefined, mapping: Mapping): string[] =>
  Object.keys(hints ?? {}).filter(role => mapping[role] === null)

/** Columns of a role that name rows of roles that are absent. */
export const absentColumns = (hint: RoleHint | undefined, absent: readonly string[]): string[] =>
  Object.entries(hint?.columns ?? {}).flatMap(([column, { of }]) =>
    of !== undefined && absent.includes(of) ? [column] : [],
  )

/** What a copy of a track leaves out under a mapping; null for nothing. */
export function leftOut(
  info: TrackInfo | null,
  names: TrackNames,
  mapping: Mapping,
  marked: AbsentColumn[] = [],
): LeftOut | null {
  const hints = info?.roles ?? {}
  const roles = absentRoles(hints, mapping)
  if (roles.length === 0 && marked.length === 0) return null
  const optional = roles.flatMap(role => {
    const said = hints[role]!.optional
    return said && 'without' in said ? [said] : []
  })
  const columns = Object.entries(hints).flatMap(([role, hint]) =>
    roles.includes(role) ? [] : absentColumns(hint, roles),
  )
  const objects = [
    ...roles.flatMap(role => names.roles[role]?.table ?? []),
    ...optional.flatMap(o => o.functions ?? []),
  ]
  const marks = marked.map(m => m.mark)
  const words = [...columns, ...marks, ...objects.map(o => namesIn(o)!.at(-1)!)]
  return {
    roles: new Set([...roles, ...marked.map(m => m.role)]),
    objects: new Set(objects),
    columns: new Set([...columns, ...marks]),
    marks: new Map(marked.map(m => [m.mark, m.optional])),
    alone: new Set(marked.flatMap(m => m.optional.alone ?? [])),
    unit: optional.find(o => o.unit !== undefined)?.unit ?? null,
    named: new RegExp(`\\b(?:${words.join('|')})\\b`, 'i'),
    spoken:
      roles.length === 0
        ? /(?!)/
        : new RegExp(`\\b(?:${roles.map(r => r.replace(/s$/, '')).join('|')})`, 'i'),
  }
}
