import type { Root } from '../database/types.js'
import type { Mapping } from '../model/mapping.js'
import type { TrackInfo } from '../model/project.js'
import { namesIn, partText } from '../model/table_name.js'
import type { ApplicationTable } from './application_tables.sql.js'
import { type AskingFunction, askingFunctions } from './asking_functions.sql.js'
import { idColumnOf } from './fit_columns.js'
import { nobody } from './identity.sql.js'
import { apiKey, grantedText, type OwnGrant, readers, settingsKey } from './own_grants.js'
import {
  hasNoApi,
  type OwnPolicy,
  policiesOf,
  rowSecurityOf,
  type TableUser,
  usersOf,
} from './own_roles.sql.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { settingsRead, settingValue } from './settings_read.js'

/** A column that identifies the owner of a row, and how the current user is derived from its value. */
interface Identifies {
  table: string
  column: string
  /** Its type. */
  type: string
  /** Makes the SQL of the current user, as the track compares it, from the SQL of the setting. */
  asks: (setting: string) => string
}

const binding = (role: string, to: string | null, because: string): ProposedBinding => ({
  role,
  label: role,
  to,
  confidence: to === null ? 'open' : 'certain',
  because,
  rivals: [],
  renamed: true,
})

/**
 * On a plain PostgreSQL, that nobody asks through an API: who asks, as far as the application's own policies
 * say it, and the roles that the copy is written for. Empty where there is an API.
 */
export async function plainBindings(
  sql: Root,
  found: Proposal,
  info: TrackInfo,
  all: ApplicationTable[],
  given: Mapping,
): Promise<ProposedBinding[]> {
  const persons = personsOf(found, info)
  const tables = [...found.tables.values()].map(t => t.table)
  if (!persons || !(await hasNoApi(sql, tables))) return []
  const reader = readers.map(entity => found.tables.get(entity)).find(t => t !== undefined)
  const users = found.tables.get('users')
  const named = await usersOfTrack(sql, reader, users, all)
  const secured = await rowSecurityOf(sql, tables)
  const [forced] = secured.filter(t => t.forced)
  if (forced)
    return [
      binding(
        'identity',
        null,
        `\`${forced.table}\` forces row security on its owner, with whose rights the track's functions act: migrate as a role with BYPASSRLS, or alter table ${forced.table} no force row level security`,
      ),
    ]
  const watched = secured.find(t => t.table === reader?.table) ?? secured[0]
  const policies = await policiesOf(
    sql,
    secured.map(t => t.table),
    named.map(u => u.role),
  )
  const said = typeof given.identity === 'string' ? given.identity : null
  const functions = await askingFunctions(
    sql,
    secured.map(t => t.table),
  )
  const identity =
    said ?? settingOf(policies, persons, found) ?? calledOf(policies, functions, persons, found)
  const grants = named.map(u =>
    grantOf(u, watched ? policies.filter(p => p.table === watched.table) : null, identity),
  )
  const unclear = grants.find(g => g.unclear)?.unclear
  if (unclear) {
    const [called, ...rivals] = functions.filter(f => f.type === persons.type)
    if (called)
      return [
        {
          ...binding(
            'identity',
            called.call,
            `policy \`${called.policy}\` of \`${called.table}\` calls it, and it returns ${called.type}`,
          ),
          confidence: 'likely',
          rivals: rivals.map(f => f.call),
        },
      ]
    return [
      binding(
        'identity',
        null,
        `policy \`${unclear.policy}\` of \`${unclear.table}\` says what \`${unclear.role}\` reaches, and compares no column of a person with current_setting(...): give SQL for who asks, of type ${persons.type}`,
      ),
    ]
  }
  const reached = grants.map(g => g.grant)
  const asks = reached.some(g => g.reaches === 'own') ? identity! : nobody(persons.type)
  const settings = functions.filter(f => asks.includes(f.call)).flatMap(f => f.settings)
  return [
    binding('identity', asks, whyAsked(asks, said, identity, reached)),
    binding(
      apiKey,
      reached.map(grantedText).join(' ') || 'none',
      `no role of the API is there; this is who may use \`${(reader ?? users)?.table ?? 'its tables'}\` beside its owner${watched ? `, and what policies of \`${watched.table}\` let each reach` : ''}`,
    ),
    ...(settings.length > 0
      ? [binding(settingsKey, [...new Set(settings)].join(','), 'the function that says who asks reads it')]
      : []),
  ]
}

/** Who may use the table that the track reads. */
async function usersOfTrack(
  sql: Root,
  reader: { table: string } | undefined,
  users: { schema: string; table: string } | undefined,
  all: ApplicationTable[],
): Promise<TableUser[]> {
  if (reader) return usersOf(sql, [reader.table])
  // a track that reads no chats: whoever may read the people may do what it may with tables beside them
  const readsUsers = users ? await usersOf(sql, [users.table]) : []
  const beside = all.filter(t => t.schema === users?.schema).map(t => t.table)
  return (await usersOf(sql, beside)).filter(u => readsUsers.some(r => r.role === u.role))
}

/** Why policies ask as they do. */
const whyAsked = (asks: string, said: string | null, identity: string | null, grants: OwnGrant[]): string =>
  asks === said
    ? 'as you said'
    : asks === identity
      ? 'policies of the tables say so'
      : grants.some(g => g.reaches !== null)
        ? 'each role reaches all rows, or none'
        : 'there is no API and no row security: policies would ask nobody'

/** What a role gets on the tables of the track; `unclear` is a policy that says nothing of a person. */
function grantOf(
  user: TableUser,
  policies: OwnPolicy[] | null,
  identity: string | null,
): { grant: OwnGrant; unclear?: OwnPolicy } {
  const { role, privileges, columns } = user
  const grant = (reaches: OwnGrant['reaches']) => ({ grant: { role, privileges, columns, reaches } })
  if (policies === null || user.bypasses) return grant(null)
  // it owns today's tables and sees all their rows; the new tables are owned by another role
  if (user.owns) return grant('all')
  const own = policies.filter(p => p.role === role)
  if (!own.some(p => p.permissive)) return grant(null)
  const isOpen = (privilege: string) =>
    own.some(p => p.permissive && (p.command === 'all' || p.command === privilege) && letsAllIn(p, privilege))
  const named = [...privileges, ...Object.keys(columns)]
  if (own.every(p => p.permissive) && named.every(isOpen)) return grant('all')
  if (identity !== null) return grant('own')
  const unclear = own.find(p => !letsAllIn(p, 'select') && !letsAllIn(p, 'insert')) ?? own[0]!
  return { ...grant('own'), unclear }
}

function letsAllIn(p: OwnPolicy, privilege: string): boolean {
  const isTrue = (e: string | null) => e === null || /^\(*true\)*$/.test(e)
  return (privilege === 'insert' || isTrue(p.using)) && isTrue(p.check ?? p.using)
}

const isTextKey = /^(text|character varying)$/

/** The type of what identifies a person to the track; null where it has none in this database. */
export const personType = (found: Proposal, info: TrackInfo): string | null =>
  personsOf(found, info)?.type ?? null

/** What identifies a person, and its type; null where the track has none in this database. */
function personsOf(found: Proposal, info: TrackInfo): { type: string; of: Identifies[] } | null {
  const [schema, name, column] = namesIn(info.persona.of) ?? []
  const users = found.tables.get('users')
  const key = users && idColumnOf(users)
  const of: Identifies[] = []
  const cast = (type: string) => (setting: string) =>
    isTextKey.test(type) ? setting : `(${setting})::${type}`
  const columnsOfEntity = (entity: string) =>
    [...found.columns].flatMap(([holder, columns]) =>
      columns.flatMap(c =>
        c.want.of === entity && c.column
          ? [{ table: found.tables.get(holder)!.table, column: c.column.column }]
          : [],
      ),
    )
  if (key) {
    const asks = cast(key.base)
    of.push({ table: users.table, column: key.column, type: key.base, asks })
    of.push(...columnsOfEntity('users').map(c => ({ ...c, type: key.base, asks })))
    return { type: key.base, of }
  }
  // the users may have a text id of another service: policies compare that, or the ids of their rows
  const people = found.tables.get(name ?? '')
  const said = found.columns.get(name ?? '')?.find(c => c.want.column === column)?.column
  const id = people && idColumnOf(people)
  if (schema === undefined || !people || !said || !id) return null
  of.push({ table: people.table, column: said.column, type: 'text', asks: cast('text') })
  const byId = (setting: string) =>
    `(select a.${partText(said.column)}::text from ${people.table} a where a.${partText(id.column)} = ${cast(id.base)(setting)})`
  of.push({ table: people.table, column: id.column, type: id.base, asks: byId })
  of.push(...columnsOfEntity(name!).map(c => ({ ...c, type: id.base, asks: byId })))
  return { type: 'text', of }
}

/** A column that is compared with a setting, as the server prints it. */
const compared = [
  /(?:"((?:[^"]|"")+)"|(\w+))\)?(?:::[\w ]+?)? = [( ]*(?:\( SELECT )?[( ]*(?:NULLIF\(|COALESCE\()?\(*current_setting\('([\w.]+)'/g,
  /current_setting\('([\w.]+)'[^=<>]*? = \(?(?:\w+\.)?(?:"((?:[^"]|"")+)"|(\w+))/g,
] as const

/** SQL for the current user, taken from policies that compare a user with a setting. Null if none does. */
function settingOf(policies: OwnPolicy[], persons: { of: Identifies[] }, found: Proposal): string | null {
  for (const p of policies) {
    const text = `${p.using ?? ''} ${p.check ?? ''}`
    const pairs = [
      ...[...text.matchAll(compared[0])].map(m => ({ column: m[1] ?? m[2]!, from: m })),
      ...[...text.matchAll(compared[1])].map(m => ({ column: m[2] ?? m[3]!, from: m })),
    ]
    for (const { column, from } of pairs) {
      const [setting] = settingsRead(text.slice(from.index + from[0].lastIndexOf('current_setting(')))
      const who = identifiedBy(column, p.table, persons, found)
      if (who && setting !== undefined) return who.asks(settingValue(setting))
    }
  }
  return null
}

/** The person whom a column identifies. A key, such as `id`, does so only in the table of users. */
function identifiedBy(
  column: string,
  table: string,
  persons: { of: Identifies[] },
  found: Proposal,
): Identifies | undefined {
  const isKey = [...found.tables.values()].some(t => idColumnOf(t)?.column === column)
  return persons.of.find(i => i.column === column && (i.table === table || !isKey))
}

/** Compares a column with a call: the text before and after it, as the server prints it. */
const comparedWith = (call: string): RegExp[] => {
  const text = call.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return [
    new RegExp(`(?:"((?:[^"]|"")+)"|(\\w+))\\)?(?:::[\\w ]+?)? = [( ]*(?:SELECT )?${text}`, 'g'),
    new RegExp(`${text}(?: AS \\w+\\))?[) ]* = [( ]*(?:\\w+\\.)?(?:"((?:[^"]|"")+)"|(\\w+))`, 'g'),
  ]
}

/** SQL for the current user, taken from policies that compare a user with what a function returns. */
function calledOf(
  policies: OwnPolicy[],
  functions: AskingFunction[],
  persons: { of: Identifies[] },
  found: Proposal,
): string | null {
  for (const p of policies)
    for (const f of functions)
      for (const pattern of [f.call, f.printed].flatMap(comparedWith))
        for (const m of `${p.using ?? ''} ${p.check ?? ''}`.matchAll(pattern)) {
          const who = identifiedBy(
            m[1] ?? m[2]!,
            p.table,
            { of: persons.of.filter(i => i.type === f.type) },
            found,
          )
          if (who) return who.asks(f.call).replace(`(${f.call})::${f.type}`, f.call)
        }
  return null
}
