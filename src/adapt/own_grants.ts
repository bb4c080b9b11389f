import type { Mapping, Roles } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import { dottedText, namesIn, partText } from '../model/table_name.js'
import { bindingOf, type TrackNames } from './names.js'

/**
 * The key of a mapping for a database without an API. Its value lists the application's own roles, what each
 * may do with messages, and which rows it reaches under row security, such as
 * `app_rw=select+insert+update(body):own app_ro=select:all`.
 */
export const apiKey = 'api'

/** The key of a mapping for the settings that the function which says who asks reads. */
export const settingsKey = 'settings'

/** A role of the application, as SQL, and its rights on the tables of a track. */
export interface OwnGrant {
  role: string
  privileges: string[]
  /** Privileges on some columns only, each with the columns' names in the catalog. */
  columns: Record<string, string[]>
  /** Rows of the current user, or all rows. Null if it gets no policy. */
  reaches: 'own' | 'all' | null
}

const isQuoted = `"(?:[^"]|"")+"`
const grantPattern = new RegExp(
  String.raw`(${isQuoted}|[^\s=]+)=((?:[a-z]+(?:\((?:${isQuoted}|[^"()])+\))?\+?)+)(?::(own|all))?`,
  'g',
)
const privilegePattern = new RegExp(String.raw`([a-z]+)(?:\(((?:${isQuoted}|[^"()])+)\))?`, 'g')
const columnPattern = new RegExp(String.raw`${isQuoted}|[^",\s]+`, 'g')

/** The roles in a mapping. Null if the database has the API's roles. */
export function ownRoles(mapping: Mapping): OwnGrant[] | null {
  const value = mapping[apiKey]
  if (typeof value !== 'string') return null
  return [...value.matchAll(grantPattern)].map(([, role, may, reaches]) => {
    const given = [...may!.matchAll(privilegePattern)]
    return {
      role: role!,
      privileges: given.flatMap(([, privilege, columns]) => (columns === undefined ? privilege! : [])),
      columns: Object.fromEntries(
        given.flatMap(([, privilege, columns]) =>
          columns === undefined
            ? []
            : [[privilege!, columns.match(columnPattern)!.map(c => namesIn(c)![0]!)]],
        ),
      ),
      reaches: (reaches as OwnGrant['reaches']) ?? null,
    }
  })
}

/** The role and its rights as text for a mapping. */
export const grantedText = ({ role, privileges, columns, reaches }: OwnGrant): string =>
  `${role}=${[
    ...privileges,
    ...Object.entries(columns).map(([privilege, names]) => `${privilege}(${names.map(partText).join(',')})`),
  ].join('+')}${reaches === null ? '' : `:${reaches}`}`

/** True if a role has a privilege, at least on some columns. */
export const mayDo = ({ privileges, columns }: OwnGrant, privilege: string): boolean =>
  privileges.includes(privilege) || privilege in columns

/** Entities whose grants are the model for the track's tables. The first that the track has is used. */
export const readers = ['chats', 'messages', 'chat_sessions', 'projects', 'conversations']

/** The tables of a track in one database, as SQL, with the columns' names in its files. */
export interface OwnTables {
  /**
   * Tables that the track creates, with their columns: the name in the files and the name in the database.
   */
  made: ReadonlyMap<string, { column: string; now: string }[]>
  /** The table whose grants are the model. Its columns, by the name in the database. */
  reader: { table: string; columns: ReadonlyMap<string, string> } | null
  /** Columns that the track adds to that table, and those that say to what a message belongs. */
  added: string[]
  containers: string[]
  /** The table whose rows were elements of a column before, and that column. Null if there is none. */
  elements: { table: string; of: string } | null
}

/** The tables that a track creates and the table that it reads, by their names in the database. */
export function ownTablesOf(read: TrackNames, info: TrackInfo | null, mapping: Mapping): OwnTables {
  const { roles, own } = read
  const made = new Map<string, { column: string; now: string }[]>()
  for (const [entity, { table, new: isNew }] of Object.entries(roles))
    if (isNew)
      made.set(
        tableToday(mapping, entity, table),
        [...(own.get(table) ?? [])].map(column => ({ column, now: columnToday(mapping, entity, column) })),
      )
  const reader = readers.find(entity => roles[entity] && !roles[entity].new)
  const source = info?.elements
  const messages = entityNamed(roles, info?.messages?.table)
  return {
    made,
    reader:
      reader === undefined
        ? null
        : {
            table: tableToday(mapping, reader, roles[reader]!.table),
            columns: new Map(
              Object.keys(roles[reader]!.columns).map(column => [
                columnToday(mapping, reader, column),
                column,
              ]),
            ),
          },
    added:
      reader === undefined
        ? []
        : [...(own.get(roles[reader]!.table) ?? [])].map(c => columnToday(mapping, reader, c)),
    containers: Object.entries(info?.roles?.[reader ?? '']?.columns ?? {}).flatMap(([column, { of }]) =>
      of === undefined || of === 'users' ? [] : [column],
    ),
    elements:
      source && messages && roles[messages]!.new
        ? { table: tableToday(mapping, messages, roles[messages]!.table), of: source.column }
        : null,
  }
}

const entityNamed = (roles: Roles, table: string | undefined): string | undefined =>
  Object.keys(roles).find(entity => roles[entity]!.table === table)

function tableToday(mapping: Mapping, entity: string, table: string): string {
  const to = mapping[entity]
  return typeof to === 'string' ? dottedText(['public', ...namesIn(to)!].slice(-2)) : table
}

const columnToday = (mapping: Mapping, entity: string, column: string): string =>
  bindingOf(mapping[`${entity}.${column}`])?.column ?? column

/** A privilege on a table; `columns` is null for the whole table. */
export interface Privilege {
  privilege: string
  columns: string[] | null
}

const whole = (privilege: string): Privilege => ({ privilege, columns: null })

/**
 * The rights that a role gets on a table of the track: those that it has on messages. A right on some columns
 * becomes one on the corresponding columns. UPDATE of an array becomes INSERT, UPDATE and DELETE of its
 * elements.
 */
export function privilegesOn(table: string, grant: OwnGrant, tables: OwnTables): Privilege[] {
  const meant = (privilege: string): string[] =>
    (grant.columns[privilege] ?? []).map(c => tables.reader?.columns.get(c) ?? c)
  if (table === tables.elements?.table) {
    const { of } = tables.elements
    const may = (privilege: string) => grant.privileges.includes(privilege) || meant(privilege).includes(of)
    return ['select', 'insert', 'update', 'delete']
      .filter(p => may(p) || (p !== 'select' && may('update')))
      .map(whole)
  }
  const columns = tables.made.get(table) ?? []
  return [
    ...grant.privileges.map(whole),
    ...Object.keys(grant.columns).flatMap(privilege => {
      const like = meant(privilege)
      const named = columns.filter(c => like.includes(c.column)).map(c => c.now)
      return named.length > 0 ? [{ privilege, columns: named }] : []
    }),
  ]
}

/** The rights that a role gets on the columns that a track adds to the table of messages. */
export function privilegesOnAdded(grant: OwnGrant, tables: OwnTables): Privilege[] {
  if (tables.added.length === 0 || tables.reader === null) return []
  return Object.entries(grant.columns).flatMap(([privilege, columns]) =>
    columns.some(c => tables.containers.includes(tables.reader!.columns.get(c) ?? ''))
      ? [{ privilege, columns: tables.added }]
      : [],
  )
}

/** A privilege as it is written in SQL. */
export const privilegeText = ({ privilege, columns }: Privilege): string =>
  columns === null ? privilege : `${privilege} (${columns.map(partText).join(', ')})`

/** A table of the track on which a role gets a privilege for fewer than all columns. */
interface PartialGrant {
  role: string
  table: string
  privilege: string
  /** The columns on which it has the privilege today, and those on which it gets it. */
  on: string[]
  gets: string[]
}

/**
 * The roles that have a privilege on some columns today, and get it on some columns of a new table or on
 * none.
 */
export const partialGrants = (roles: OwnGrant[], tables: OwnTables): PartialGrant[] =>
  roles.flatMap(grant =>
    Object.entries(grant.columns).flatMap(([privilege, on]) =>
      [...tables.made.keys()].flatMap(table => {
        const got = privilegesOn(table, grant, tables).find(p => p.privilege === privilege)
        return got?.columns === null
          ? []
          : [{ role: grant.role, table, privilege, on, gets: got?.columns ?? [] }]
      }),
    ),
  )
