import type { Mapping, Roles } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import { dottedText, namesIn, partText } from '../model/table_name.js'
import { bindingOf, type TrackNames } from './names.js'

/**
 * The key of a mapping that says that the database has no API: its value has the application's own roles,
 * what each may do with messages, and which rows it reaches where row security is on, as
 * `app_rw=select+insert+update(body):own app_ro=select:all`.
 */
export const apiKey = 'api'

/** A role of the application, as SQL, and what it may do with the tables of a track. */
export interface OwnGrant {
  role: string
  privileges: string[]
  /** By privilege that it has on some columns only, their names in the catalog. */
  columns: Record<string, string[]>
  /** Rows of the person who asks, or all; null where no policy is written for it. */
  reaches: 'own' | 'all' | null
}

const isQuoted = `"(?:[^"]|"")+"`
const grantPattern = new RegExp(
  String.raw`(${isQuoted}|[^\s=]+)=((?:[a-z]+(?:\((?:${isQuoted}|[^"()])+\))?\+?)+)(?::(own|all))?`,
  'g',
)
const privilegePattern = new RegExp(String.raw`([a-z]+)(?:\(((?:${isQuoted}|[^"()])+)\))?`, 'g')
const columnPattern = new RegExp(String.raw`${isQuoted}|[^",\s]+`, 'g')

/** The roles of a mapping; null where the track is written for roles of the API. */
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

/** The same as text for a mapping. */
export const grantedText = ({ role, privileges, columns, reaches }: OwnGrant): string =>
  `${role}=${[
    ...privileges,
    ...Object.entries(columns).map(([privilege, names]) => `${privilege}(${names.map(partText).join(',')})`),
  ].join('+')}${reaches === null ? '' : `:${reaches}`}`

/** True for a role that has a privilege, on some columns at least. */
export const mayDo = ({ privileges, columns }: OwnGrant, privilege: string): boolean =>
  privileges.includes(privilege) || privilege in columns

/** Entities whose grants say what an application's roles may do with its chats: the first that there is. */
export const readers = ['chats', 'messages', 'chat_sessions', 'projects', 'conversations']

/** Tables of a track in one database, as SQL, and what their columns are called in its files. */
export interface OwnTables {
  /** Those that the track makes, with their columns: the name in the files, and the one in the database. */
  made: ReadonlyMap<string, { column: string; now: string }[]>
  /** The table whose grants are taken over; its columns, by the name in the database. */
  reader: { table: string; columns: ReadonlyMap<string, string> } | null
  /** What the track adds to that table, and the columns of it that say what a message belongs to. */
  added: string[]
  containers: string[]
  /** The table whose rows were elements of a column before, and that column; null where none is. */
  elements: { table: string; of: string } | null
}

/** The tables that a track makes and the one that it reads, under their names in the database. */
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

/** A privilege on a table: on all of it, or on these columns. */
export interface Privilege {
  privilege: string
  columns: string[] | null
}

const whole = (privilege: string): Privilege => ({ privilege, columns: null })

/**
 * What a role may do with a table of the track: what it may do with messages, and where it has that on some
 * columns only, on those that mean the same. Who changes an array adds and deletes its elements.
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

/** What a role gets on the columns that a track adds to the table of messages. */
export function privilegesOnAdded(grant: OwnGrant, tables: OwnTables): Privilege[] {
  if (tables.added.length === 0 || tables.reader === null) return []
  return Object.entries(grant.columns).flatMap(([privilege, columns]) =>
    columns.some(c => tables.containers.includes(tables.reader!.columns.get(c) ?? ''))
      ? [{ privilege, columns: tables.added }]
      : [],
  )
}

/** A privilege as a statement or a person writes it. */
export const privilegeText = ({ privilege, columns }: Privilege): string =>
  columns === null ? privilege : `${privilege} (${columns.map(partText).join(', ')})`

/** A table of the track on which a role gets less than all columns, for a privilege that it has on some. */
interface PartialGrant {
  role: string
  table: string
  privilege: string
  /** Columns that it has it on today, and those that it gets. */
  on: string[]
  gets: string[]
}

/** Where roles have a privilege on some columns today, and so get it on some of a new table, or on none. */
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
