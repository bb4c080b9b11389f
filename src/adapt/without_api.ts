import { expectedName } from '../files/expected.js'
import type { RewriteFile } from '../files/scaffold.js'
import { type Node, parseStatements, relationName, type Statement } from '../files/statements.js'
import type { Mapping } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { withCompanions } from './left_out.js'
import {
  mayDo,
  type OwnGrant,
  type OwnTables,
  ownRoles,
  ownTablesOf,
  type Privilege,
  privilegesOn,
  privilegesOnAdded,
  privilegeText,
  settingsKey,
} from './own_grants.js'
import { accessOfRoles, boundTriggers, expectedOfRoles, policyOf, rowSecurityFor } from './own_policies.js'
import { readTrackNames, trackRewriter } from './rewrite_track.js'
import { apiRoles, grantStatement } from './without_api.sql.js'
import { roleRemover } from './without_role.js'

/**
 * The target of a copy: the application's roles, the track's tables, and the expression for the current user.
 */
interface Plain {
  roles: OwnGrant[]
  tables: OwnTables
  identity: string
  /** Settings that identify the current user, beside those that `identity` names. */
  settings: string[]
}

/**
 * Returns a function that writes a track's files for one database: without the tables that it lacks, with its
 * names and, if it has no API, without the API's roles.
 */
export async function trackCopier(
  track: Track,
  info: TrackInfo | null,
  given: Mapping,
): Promise<RewriteFile> {
  const mapping = withCompanions(track.name, info?.roles, given)
  const remove = await roleRemover(track, info, mapping)
  const rename = await trackRewriter(track, info, mapping)
  const rewrite = async (folder: string, file: string, text: string) => {
    const left = await remove(folder, file, text)
    return left === null ? null : await rename(folder, file, left)
  }
  const roles = ownRoles(mapping)
  if (roles === null) return rewrite
  const plain = {
    roles,
    tables: ownTablesOf(await readTrackNames(track), info, mapping),
    identity: String(mapping.identity),
    settings: String(mapping[settingsKey] ?? '')
      .split(',')
      .filter(Boolean),
  }
  return async (folder, file, text) => {
    const now = await rewrite(folder, file, text)
    if (now === null) return null
    if (file === expectedName) return expectedOfRoles(now, roles, plain.tables)
    return file.endsWith('.sql') ? withoutApi(folder, now, plain) : trackInfoWithoutApi(now)
  }
}

/** Checks that act as a user of the API, or examine row security, policies or roles of the API. */
const ofApi = new RegExp(
  `^--! kind: (access|probe)$|\\b(pg_policy|relrowsecurity|row level security|${apiRoles.join('|')})\\b`,
  'm',
)

/**
 * Adapts a file of a track to a database without an API. Grants to the API's roles become grants to the
 * application's roles, equal to their rights on messages. Checks that act as users of the API are removed; so
 * are policies, unless the application uses row security. Null if nothing of the file remains.
 */
async function withoutApi(folder: string, text: string, plain: Plain): Promise<string | null> {
  if (folder === 'verify') {
    if (/^--! kind: access$/m.test(text)) return accessOfRoles(text, plain.roles, plain.tables, plain)
    return ofApi.test(text) ? null : text
  }
  const headed = text.replace(new RegExp(`,\\s*(?:--! +)?role (?:${apiRoles.join('|')})\\b`, 'g'), '')
  let out = ''
  let at = 0
  for (const statement of await parseStatements(headed)) {
    const now = statementWithoutApi(statement, plain)
    if (now === statement.text) continue
    const end = headed.indexOf(';', statement.offset + statement.text.length - 1) + 1
    out +=
      now === null
        ? withoutComment(headed.slice(at, statement.offset))
        : headed.slice(at, statement.offset) + now
    at = end
  }
  return (out + headed.slice(at)).replace(/\n{3,}/g, '\n\n')
}

/** A text up to a statement that is removed, without the comment above it. */
const withoutComment = (text: string): string => text.replace(/(?:^--(?!!).*\n)+$/m, '')

const grantedObjects = (statement: Statement): string =>
  /\bon\s+(?:table\s+|function\s+|schema\s+)?([\s\S]+?)\s+(?:to|from)\s/i.exec(statement.text)![1]!

/** A statement for a database without an API, with its semicolon. Null if it is removed. */
function statementWithoutApi(statement: Statement, plain: Plain): string | null {
  const { kind, node, text } = statement
  const { roles, tables } = plain
  if (kind === 'CreatePolicyStmt') return policyOf(statement, roles, tables)
  if (kind === 'CommentStmt' && node.objtype === 'OBJECT_POLICY') return null
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_POLICY') return null
  if (kind === 'CreateTrigStmt') {
    const bound = boundTriggers(text, roles)
    return bound === text ? text : `${bound};`
  }
  if (kind === 'DoStmt')
    return new RegExp(`\\bpolicy\\b|row level security|\\b(${apiRoles.join('|')})\\b`).test(text)
      ? null
      : text
  if (kind === 'AlterTableStmt') {
    const commands: Node[] = node.cmds ?? []
    if (commands.every(c => /RowSecurity$/.test(c.AlterTableCmd?.subtype ?? '')))
      return rowSecurityFor(statement, roles, tables)
    return commands.some(c => c.AlterTableCmd?.subtype === 'AT_AddColumn')
      ? [`${text};`, ...grantsOnAdded(statement, plain)].join('\n')
      : text
  }
  return kind === 'GrantStmt' ? grantWithoutApi(statement, plain) : text
}

/**
 * A GRANT or REVOKE for roles of the API, as grants to the application's own roles. Null if there are none.
 */
function grantWithoutApi(statement: Statement, { roles, tables }: Plain): string | null {
  const { node, text } = statement
  const grantees: string[] = (node.grantees ?? []).map((g: Node) => g.RoleSpec.rolename ?? 'public')
  if (!grantees.some(g => apiRoles.includes(g))) return text
  if (!node.is_grant) {
    const left = grantees.filter(g => !apiRoles.includes(g))
    return left.length === 0 ? null : `${text.replace(/\bfrom\s[\s\S]*$/i, () => `from ${left.join(', ')}`)};`
  }
  const objects = grantedObjects(statement)
  const given =
    node.objtype === 'OBJECT_TABLE'
      ? (node.objects as Node[]).flatMap(o => {
          const table = relationName(o.RangeVar)
          return roles.flatMap(grant => grantsOf(privilegesOn(table, grant, tables), table, grant.role))
        })
      : roles
          .filter(grant => mayCall(grant, node.objtype, objects))
          .map(({ role }) =>
            node.objtype === 'OBJECT_SCHEMA'
              ? grantStatement('usage', `schema ${objects}`, role)
              : grantStatement('execute', `function ${objects}`, role),
          )
  return given.length === 0 ? null : given.join('\n')
}

const grantsOf = (privileges: Privilege[], table: string, role: string): string[] =>
  privileges.length > 0 ? [grantStatement(privileges.map(privilegeText).join(', '), table, role)] : []

/**
 * Grants on a column that is added to the table of messages, for roles with rights on only some of its
 * columns.
 */
function grantsOnAdded({ node }: Statement, { roles, tables }: Plain): string[] {
  const table = relationName(node.relation)
  return table === tables.reader?.table
    ? roles.flatMap(grant => grantsOf(privilegesOnAdded(grant, tables), table, grant.role))
    : []
}

/**
 * Whether a role needs a function of the track, or the schema. A role that inserts needs the functions that
 * generate ids; a role that policies apply to needs the functions of policies; a role that writes needs those
 * that the application calls.
 */
function mayCall(grant: OwnGrant, kind: string, objects: string): boolean {
  if (/\bchat_private\.new_/.test(objects)) return mayDo(grant, 'insert')
  if (kind === 'OBJECT_SCHEMA' || /\bchat_private\b/.test(objects)) return grant.reaches === 'own'
  return ['insert', 'update', 'delete'].some(p => mayDo(grant, p))
}

/** track.json without `sight`: the comparison of what users see needs the claims of an API. */
function trackInfoWithoutApi(text: string): string {
  const { sight: _, ...info } = JSON.parse(text)
  return `${JSON.stringify(info, null, 2)}\n`
}
