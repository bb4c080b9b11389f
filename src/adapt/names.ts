import { columnOf } from '../files/header_names.js'
import type { Statement } from '../files/statements.js'
import type { ColumnBinding, Mapping, Roles } from '../model/mapping.js'
import { shippedIdentity } from '../model/mapping.js'
import { columnText, namesIn, partText, type TableName, tableText } from '../model/table_name.js'

/** A column under its new name. */
export interface NewColumn extends ColumnBinding {
  /** The name as SQL. */
  text: string
}

/** A function of the track's that takes ids from a sequence of the application's. */
export interface TakenIds {
  name: string
  type: string
  /** The call that takes one. */
  from: string
}

/** How ids are made. */
interface MadeIds {
  /** The default as the server prints it. */
  made: string
  /** Null where the default needs no function of the track's. */
  taken: TakenIds | null
}

/** What the files of a track call things, and what they are called in one database. */
export interface Names {
  /** True when the track's files name this table. */
  knows(table: string): boolean
  /** All tables that the track's files name. */
  tables(): Iterable<string>
  /** Columns of a table as the track's files name them. */
  columns(table: string): ReadonlySet<string>
  /** The table's new name; itself where it keeps it. */
  table(table: string): TableName
  /** The column's new name; null where it keeps it, and is read and written as it is. */
  column(table: string, column: string): NewColumn | null
  /**
   * The type of parameters, variables, columns and casts of that name, in a function or table of the track;
   * null where it is the track's own.
   */
  type(name: string, within?: string | null): string | null
  /** How a column of a table that the track makes gets its ids; null where it is the track's own way. */
  makes(table: string, column: string): MadeIds | null
  /** True when the probe's ids with this letter are those of a column of numbers. */
  isNumber(letter: string): boolean
  /** True when they are those of a column of numbers below 2^15. */
  isSmall(letter: string): boolean
  /** True when they are those of a column of texts that are shorter than a uuid. */
  isShort(letter: string): boolean
  /** True for a column of the track's files that this database does not have. */
  lacks(table: string, column: string): boolean
  /** Columns beside the track's that a probe has to write into a table, and the values. */
  filled(table: string): { text: string; value: string }[]
  /** SQL that says who asks, where it is not the track's own. */
  identity: string | null
  /** Types of the parameters of a function of the track, by its name; null for those that stay. */
  signature: Map<string, (string | null)[]>
  /** Indexes of the track, by name, and their tables: an index is in the schema of its table. */
  indexes: Map<string, string>
}

/** What a track's files say of its tables: those of the application, and those that it makes. */
export interface TrackNames {
  roles: Roles
  own: Map<string, Set<string>>
  statements: Statement[]
}

/** What a track says of its roles, as far as names need it. */
export interface TrackRoles {
  roles: Roles
  /** role -> names in the files whose type is that of the role's column, alone or with what they are in. */
  typed: Record<string, string[]>
  /** letter of the ids of probes (`a0000000-7e57-...`) -> role of the column that holds them. */
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
 * The type that the track gives its own columns for ids of a type: a varchar is compared as text, and the
 * server would print each comparison with its casts.
 */
const ownType = (type: string): string => (type === 'character varying' ? 'text' : type)

/** Ids of a sequence are taken by a function of the track's: writers need no right on the sequence. */
function madeIds(column: string, type: string, makes: string): MadeIds {
  if (!makes.startsWith('nextval(')) return { made: makes, taken: null }
  const name = `chat_private.new_${column.replace('.', '_')}`
  return { made: `${name}()`, taken: { name, type, from: makes } }
}

const noColumns: ReadonlySet<string> = new Set()

/** The binding of an attribute, short or long. */
export const bindingOf = (value: string | ColumnBinding | null | undefined): ColumnBinding | null =>
  value === undefined || value === null
    ? null
    : typeof value === 'string'
      ? { column: columnOf(value) }
      : value

/** A table's new name as SQL, always with its schema. */
export const newTable = (names: Names, table: string): string => tableText(names.table(table))
