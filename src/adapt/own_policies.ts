import { parseStatements, relationName, type Statement } from '../files/statements.js'
import { namesIn, partText, quotedText } from '../model/table_name.js'
import { type OwnGrant, type OwnTables, privilegesOn } from './own_grants.js'
import { settingsRead } from './settings_read.js'
import { allRowsPolicy, boundByPolicies } from './without_api.sql.js'

// biome-ignore lint/suspicious/noExplicitAny: documents whose shape their own readers check
type AnyJson = any

const rolesThatReach = (roles: OwnGrant[], reaches: OwnGrant['reaches']): string[] =>
  roles.filter(r => r.reaches === reaches).map(r => r.role)

/** True if some role gets policies. */
const hasPolicies = (roles: OwnGrant[]): boolean => roles.some(r => r.reaches !== null)

/**
 * A policy of the track for the roles of the application. Null if no role needs it, or if it is on a table
 * that the track does not create.
 */
export function policyOf({ node, text }: Statement, roles: OwnGrant[], tables: OwnTables): string | null {
  const bound = rolesThatReach(roles, 'own')
  if (bound.length === 0 || !tables.made.has(relationName(node.table))) return null
  return `${text.replace(/\bto authenticated\b/, () => `to ${bound.join(', ')}`)};`
}

/**
 * ENABLE ROW LEVEL SECURITY, followed by policies for the roles that reach all messages today. Null if no
 * role gets policies.
 */
export function rowSecurityFor(
  { node, text }: Statement,
  roles: OwnGrant[],
  tables: OwnTables,
): string | null {
  const table = relationName(node.relation)
  if (!hasPolicies(roles) || !tables.made.has(table)) return null
  const policies = rolesThatReach(roles, 'all').map((role, n) =>
    allRowsPolicy(allRowsName(table, n), table, role, roleLiteral(role)),
  )
  return [`${text};`, ...policies].join('\n')
}

const longestStem = 48

const allRowsName = (table: string, n: number): string =>
  partText(`${namesIn(table)!.at(-1)!.slice(0, longestStem)}_all_rows_${n + 1}`)

/** A role's name as a literal; null for PUBLIC. */
const roleLiteral = (role: string): string | null =>
  role === 'public' ? null : quotedText(namesIn(role)![0]!)

/** The text of a trigger in which `row_security_active` no longer includes the roles that reach all rows. */
export const boundTriggers = (text: string, roles: OwnGrant[]): string =>
  text.replace(/\brow_security_active\('[^']*'::regclass\)/g, active =>
    boundByPolicies(
      active,
      rolesThatReach(roles, 'all').flatMap(role => roleLiteral(role) ?? []),
    ),
  )

/** expected.json with the policies and grants of the application's roles on the track's own tables. */
export function expectedOfRoles(text: string, roles: OwnGrant[], tables: OwnTables): string {
  const entries: AnyJson[] = JSON.parse(text)
  const bound = rolesThatReach(roles, 'own').map(roleName)
  for (const entry of entries)
    for (const [name, table] of Object.entries<AnyJson>(entry.tables ?? {})) {
      if (table.policies && hasPolicies(roles) && tables.made.has(name)) {
        const kept = bound.length > 0 ? Object.entries<AnyJson>(table.policies) : []
        table.policies = Object.fromEntries([
          ...kept.map(([policy, spec]) => [policy, { ...spec, roles: bound }]),
          ...rolesThatReach(roles, 'all').map((role, n) => [
            namesIn(allRowsName(name, n))![0],
            {
              command: 'all',
              roles: [roleName(role)],
              using: role === 'public' ? 'true' : '%pg_has_role(%',
              check: role === 'public' ? 'true' : '%pg_has_role(%',
            },
          ]),
        ])
      } else {
        delete table.policies
        delete table.otherPolicies
      }
      if (table.grants)
        table.grants = Object.fromEntries(
          roles
            .filter(({ role }) => role !== 'public')
            .map(grant => [
              roleName(grant.role),
              privilegesOn(name, grant, tables).map(p =>
                p.columns === null ? p.privilege : { [p.privilege]: p.columns },
              ),
            ]),
        )
    }
  return `${JSON.stringify(entries, null, 2)}\n`
}

const roleName = (role: string): string => namesIn(role)![0]!

/**
 * An access file for the application's role that reaches its user's own rows. Its personas differ by the
 * setting, and use the tables of the track. Null if no role can be used for it.
 */
export async function accessOfRoles(
  text: string,
  roles: OwnGrant[],
  tables: OwnTables,
  { identity, settings: read }: { identity: string; settings: string[] },
): Promise<string | null> {
  // one of them identifies the current user
  const settings = [...new Set([...settingsRead(identity), ...read])]
  const [as] = roles
    .filter(r => r.reaches === 'own' && r.role !== 'public' && r.privileges.includes('select'))
    .sort((a, b) => b.privileges.length - a.privileges.length)
  const found = /(\$access\$)([\s\S]*?)\$access\$/.exec(text)
  // an id that a query looks up cannot be set through the setting
  if (!as || !found || settings.length === 0 || /\bselect\b/i.test(identity)) return null
  const access: AnyJson = JSON.parse(found[2]!)
  const people = Object.entries<AnyJson>(access.personas).filter(([, p]) => p.role === 'authenticated')
  access.personas = Object.fromEntries(
    people.map(([name, { claims }]) => {
      const { role: _, ...rest } = claims
      return [name, { role: roleName(as.role), claims: rest, settings }]
    }),
  )
  const mayAll = (table: string) =>
    privilegesOn(table, as, tables).flatMap(p => (p.columns === null ? p.privilege : []))
  const known = (names: string[]) => names.filter(name => name in access.personas)
  access.tables = access.tables.filter((t: AnyJson) => tables.made.has(t.table))
  for (const t of access.tables) {
    const may = mayAll(t.table)
    for (const [operation, names] of Object.entries<string[]>(t.may))
      t.may[operation] = may.includes(operation === 'move' ? 'update' : operation) ? known(names) : []
  }
  const calls: AnyJson[] = []
  for (const call of access.calls ?? []) {
    const [statement] = await parseStatements(call.sql)
    const target = statement?.node.relation ? relationName(statement.node.relation) : null
    const needs = { InsertStmt: 'insert', UpdateStmt: 'update', DeleteStmt: 'delete' }[statement?.kind ?? '']
    if (target === null || !tables.made.has(target) || !needs) continue
    if (!mayAll(target).includes(needs)) continue
    calls.push({
      ...call,
      may: known(call.may),
      ...(call.personas ? { personas: known(call.personas) } : {}),
    })
  }
  access.calls = calls
  return text.replace(found[0], () => `$access$${JSON.stringify(access, null, 2)}$access$`)
}
