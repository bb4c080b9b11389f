import { columnOf } from '../files/header_names.js'
import type { Statement } from '../files/statements.js'
import type { ColumnBinding, Mapping, Roles } from '../model/mapping.js'
import { shippedIdentity } from '../model/mapping.js'
import { columnText, namesIn, partText, type TableName, tableText } from '../model/table_name.js'

/** The new name of a column, and how to read and write it. */
export interface NewColumn extends ColumnBinding {
  /** The name as SQL. */
  text: string
}

/** A function of the track that returns ids from a sequence of the application. */
export interface TakenIds {
  name: string
  type: string
  /** The call that returns the next id. */
  from: string
}

/** How ids are generated. */
interface MadeIds {
  /** The default as the server prints it. */
  made: string
  /** Null if the default needs no function of the track. */
  taken: TakenIds | null
}

/** The names in the files of a track and their names in one database. */
export interface Names {
  /** True if the track's files name this table. */
  knows(table: string): boolean
  /** All tables that the track's files name. */
  tables(): Iterable<string>
  /** Columns of a table as the track's files name them. */
  columns(table: string): ReadonlySet<string>
  /** The table's new name; the same if it does not change. */
  table(table: string): TableName
  /** The column's new name. Null if neither the name nor the way to read and write it changes. */
  column(table: string, column: string): NewColumn | null
  /**
   * The new type of parameters, variables, columns and casts with this name, in a function or table of the
   * track. Null if it does not change.
   */
  type(name: string, within?: string | null): string | null
  /** How a column of a table that the track creates gets its ids. Null if as in the track's files. */
  makes(table: string, column: string): MadeIds | null
  /** True if the probe ids with this letter belong to a column of numbers. */
  isNumber(letter: string): boolean
  /** True if that column takes no negative numbers. */
  isPositive(letter: string): boolean
  /** True if they belong to a column of numbers below 2^15. */
  isSmall(letter: string): boolean
  /** True if they belong to a column of texts that is too short for a uuid. */
  isShort(letter: string): boolean
  /** True if the files name this column and the database does not have it. */
  lacks(table: string, column: string): boolean
  /** Additional columns that a probe must write into a table, with their values. */
  filled(table: string): { text: string; value: string }[]
  /** The SQL expression for the current user, if it differs from the track's. */
  identity: string | null
  /** By function of the track: the new types of its parameters, null for a type that does not change. */
  signature: Map<string, (string | null)[]>
  /** Indexes of the track with their tables. An index is in the schema of its table. */
  indexes: Map<string, string>
}

/** The tables in a track's files: those of the application, and those that the track creates. */
export interface TrackNames {
  roles: Roles
  own: Map<string, Set<string>>
  statements: Statement[]
}

/** The part of a track's roles that is needed for names. */
export interface TrackRoles {
  roles: Roles
  /**
   * By role: names in the files that have the type of the role's column, optionally with the function or
   * table they are in.
   */
  typed: Record<string, string[]>
  /** By letter of a probe's id (`a0000000-7e57-...`): the role of the column that holds it. */
  probes: Record<string, string>
}

const parts = (text: string): TableName => {
  const found = namesIn(text)!
  return { schema: found.length > 1 ? found.at(-2)! : 'public', name: found.at(-1)! }
}

/** What a mapping makes of the names of a track's files, table by table. */
interface NewNames {
  tables: Map<string, TableName>
  /** Columns that are called or read differently. */
  columns: Map<string, Map<string, NewColumn>>
  /** Columns as the files name them. */
  known: Map<string, Set<string>>
  types: Map<string, string>
  made: Map<string, MadeIds>
  /** Columns that this database does not have. */
  absent: Set<string>
}

/**
 * Names of a track under a mapping; `own` are the columns of the tables that the track makes or extends.
 */
export function mappedNames(track: TrackRoles, mapping: Mapping, own: Map<string, Set<string>>): Names {
  const { tables, columns, known, types, made, absent } = newNames(track, mapping, own)
  const fills = new Map(
    Object.entries(track.roles).map(([entity, { table }]) => [table, filledFor(entity, mapping)]),
  )
  const probed = (letter: string) => bindingOf(mapping[track.probes[letter] ?? ''])
  const identity = mapping.identity
  return {
    knows: table => tables.has(table) || known.has(table),
    tables: () => known.keys(),
    columns: table => known.get(table) ?? noColumns,
    table: table => tables.get(table) ?? parts(table),
    column: (table, column) => columns.get(table)?.get(column) ?? null,
    type: (name, within) => (within && types.get(`${within}.${name}`)) || (types.get(name) ?? null),
    makes: (table, column) => made.get(`${parts(table).name}.${column}`) ?? null,
    isNumber: letter => probed(letter)?.number ?? false,
    isPositive: letter => probed(letter)?.positive ?? false,
    isSmall: letter => probed(letter)?.type === 'smallint',
    isShort: letter => probed(letter)?.short ?? false,
    lacks: (table, column) => absent.has(columnText(parts(table), column)),
    filled: table => fills.get(table) ?? [],
    identity: typeof identity === 'string' && identity !== shippedIdentity ? identity : null,
    signature: new Map(),
    indexes: new Map(),
  }
}

function newNames(track: TrackRoles, mapping: Mapping, own: Map<string, Set<string>>): NewNames {
  const names: NewNames = {
    tables: new Map(),
    columns: new Map(),
    known: new Map([...own].map(([table, has]) => [table, new Set(has)])),
    types: new Map(),
    made: new Map(),
    absent: new Set(),
  }
  for (const [entity, { table, columns }] of Object.entries(track.roles)) {
    const to = mapping[entity]
    names.tables.set(table, parts(typeof to === 'string' ? to : table))
    names.columns.set(table, new Map())
    if (!names.known.has(table)) names.known.set(table, new Set())
    for (const [attribute, column] of Object.entries(columns)) {
      names.known.get(table)!.add(column)
      bindColumn(names, track, mapping, { role: `${entity}.${attribute}`, table, column })
    }
  }
  // a column that the track adds may be called differently too: `message.session_id`
  for (const [entity, { table }] of Object.entries(track.roles))
    for (const column of own.get(table) ?? []) {
      const bound = bindingOf(mapping[`${entity}.${column}`])
      if (bound && bound.column !== column)
        names.columns.get(table)!.set(column, { ...bound, text: partText(bound.column) })
    }
  // a track may set a table of the application's aside in the archive, under the name that it has
  for (const [table, now] of [...names.tables]) {
    const aside = `rethread_archive.${parts(table).name}`
    names.tables.set(aside, { schema: 'rethread_archive', name: now.name })
    names.columns.set(aside, names.columns.get(table)!)
    names.known.set(aside, names.known.get(table)!)
  }
  return names
}

/** What a mapping makes of one column of the application. */
function bindColumn(
  { columns, types, made, absent }: NewNames,
  track: TrackRoles,
  mapping: Mapping,
  { role, table, column }: { role: string; table: string; column: string },
): void {
  const bound = bindingOf(mapping[role])
  if (mapping[role] === null) absent.add(columnText(parts(table), column))
  if (bound && (bound.column !== column || bound.reads || bound.writes || bound.type || bound.always))
    columns.get(table)!.set(column, { ...bound, text: partText(bound.column) })
  if (!bound?.type) return
  for (const name of track.typed[role] ?? []) {
    types.set(name, ownType(bound.type))
    if (bound.makes) made.set(name, madeIds(name, bound.type, bound.makes))
  }
}

/** Columns that a probe has to write beside the track's, and the values. */
const filledFor = (entity: string, mapping: Mapping): { text: string; value: string }[] =>
  Object.entries(mapping).flatMap(([role, value]) => {
    const bound = role.startsWith(`${entity}.`) ? bindingOf(value) : null
    return bound?.probe ? [{ text: partText(bound.column), value: bound.probe }] : []
  })

/**
 * The type of the track's own columns for ids of a type. It is text for varchar, because the server prints
 * comparisons of varchar with casts.
 */
const ownType = (type: string): string => (type === 'character varying' ? 'text' : type)

/**
 * How ids are generated. For ids from a sequence, a function of the track reads it, so that writers need no
 * right on the sequence.
 */
function madeIds(column: string, type: string, makes: string): MadeIds {
  if (!makes.startsWith('nextval(')) return { made: makes, taken: null }
  const name = `chat_private.new_${column.replace('.', '_')}`
  return { made: `${name}()`, taken: { name, type, from: makes } }
}

const noColumns: ReadonlySet<string> = new Set()

/** The binding of an attribute, from its short or its long form. */
export const bindingOf = (value: string | ColumnBinding | null | undefined): ColumnBinding | null =>
  value === undefined || value === null
    ? null
    : typeof value === 'string'
      ? { column: columnOf(value) }
      : value

/** A table's new name as SQL, with its schema. */
export const newTable = (names: Names, table: string): string => tableText(names.table(table))
