import type { Root } from '../database/types.js'
import { expectedName } from '../files/expected.js'
import type { RewriteFile } from '../files/scaffold.js'
import { type Node, parseStatements, type Statement } from '../files/statements.js'
import type { Mapping } from '../model/mapping.js'
import type { Track, TrackInfo } from '../model/project.js'
import { namesIn } from '../model/table_name.js'
import { idColumnOf } from './fit_columns.js'
import type { Proposal, ProposedBinding } from './propose.js'
import { trackRewriter } from './rewrite_track.js'
import { apiRoles, grantText, ownGrants } from './without_api.sql.js'

/**
 * The key of a mapping that says that the database has no API: its value has the application's own roles,
 * and what each may do with messages, as `app_rw=select+insert+update app_ro=select`.
 */
export const apiKey = 'api'

/** A role of the application, as SQL, and what it may do with the tables of a track. */
export interface OwnGrant {
  role: string
  privileges: string[]
}

/** The roles of a mapping; null where the track is written for roles of the API. */
export function ownRoles(mapping: Mapping): OwnGrant[] | null {
  const value = mapping[apiKey]
  if (typeof value !== 'string') return null
  return [...value.matchAll(/("(?:[^"]|"")+"|[^\s=]+)=([a-z+]+)/g)].map(([, role, privileges]) => ({
    role: role!,
    privileges: privileges!.split('+'),
  }))
}

/** Entities whose grants say what an application's roles may do with its chats: the first that there is. */
const readers = ['chats', 'messages', 'projects', 'chat_sessions', 'conversations']

/**
 * On a plain PostgreSQL, that nobody asks through an API: who asks is nobody, and the roles that the copy is
 * written for. Empty where there are roles of the API or row security.
 */
export async function plainBindings(sql: Root, found: Proposal): Promise<ProposedBinding[]> {
  const users = found.tables.get('users')
  const key = users && idColumnOf(users)
  const read = readers.map(entity => found.tables.get(entity)).find(t => t !== undefined)
  if (!key || !read) return []
  const all = [...found.tables.values()].map(t => t.table)
  const grants = await ownGrants(sql, read.table, all)
  if (grants === null) return []
  const binding = { confidence: 'certain' as const, rivals: [], renamed: true }
  return [
    {
      ...binding,
      role: 'identity',
      label: 'identity',
      to: `null::${key.base}`,
      because: 'there is no API and no row security: policies would ask nobody',
    },
    {
      ...binding,
      role: apiKey,
      label: apiKey,
      to: grants.map(g => `${g.role}=${g.privileges.join('+')}`).join(' ') || 'none',
      because: `no role of the API is there; this is who may use \`${read.table}\` beside its owner`,
    },
  ]
}

/** A function that writes a track's files for one database: under its names, and without an API it lacks. */
export async function trackCopier(
  track: Track,
  info: TrackInfo | null,
  mapping: Mapping,
): Promise<RewriteFile> {
  const rewrite = await trackRewriter(track, info, mapping)
  const roles = ownRoles(mapping)
  if (roles === null) return rewrite
  return async (folder, file, text) => {
    const now = await rewrite(folder, file, text)
    if (file === expectedName) return expectedWithoutApi(now, roles)
    return file.endsWith('.sql') ? withoutApi(folder, now, roles) : trackInfoWithoutApi(now)
  }
}

/** Checks that act as somebody of the API, or ask for row security, policies or roles of the API. */
const ofApi = new RegExp(
  `^--! kind: (access|probe)$|\\b(pg_policy|relrowsecurity|row level security|${apiRoles.join('|')})\\b`,
  'm',
)

/**
 * A file of a track without what has no meaning where there is no API: policies, row security, grants to its
 * roles and probes as its users. Tables give the application's roles what its messages give them. Null for a
 * file of which nothing is left.
 */
async function withoutApi(folder: string, text: string, roles: OwnGrant[]): Promise<string | null> {
  if (folder === 'verify') return ofApi.test(text) ? null : text
  const headed = text.replace(new RegExp(`,\\s*(?:--! +)?role (?:${apiRoles.join('|')})\\b`, 'g'), '')
  let out = ''
  let at = 0
  for (const statement of await parseStatements(headed)) {
    const now = statementWithoutApi(statement, roles)
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

/** A text up to a statement that is left out, without the comment right above it. */
const withoutComment = (text: string): string => text.replace(/(?:^--(?!!).*\n)+$/m, '')

const grantedObjects = (statement: Statement): string =>
  /\bon\s+(?:table\s+|function\s+|schema\s+)?([\s\S]+?)\s+(?:to|from)\s/i.exec(statement.text)![1]!

/** A statement as it is where there is no API, with its semicolon; null where nothing is left of it. */
function statementWithoutApi(statement: Statement, roles: OwnGrant[]): string | null {
  const { kind, node, text } = statement
  if (kind === 'CreatePolicyStmt') return null
  if (kind === 'CommentStmt' && node.objtype === 'OBJECT_POLICY') return null
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_POLICY') return null
  if (kind === 'DoStmt')
    return new RegExp(`\\bpolicy\\b|row level security|\\b(${apiRoles.join('|')})\\b`).test(text)
      ? null
      : text
  if (kind === 'AlterTableStmt') {
    const commands: Node[] = node.cmds ?? []
    return commands.every(c => /RowSecurity$/.test(c.AlterTableCmd?.subtype ?? '')) ? null : text
  }
  if (kind !== 'GrantStmt') return text
  const grantees: string[] = (node.grantees ?? []).map((g: Node) => g.RoleSpec.rolename ?? 'public')
  if (!grantees.some(g => apiRoles.includes(g))) return text
  if (!node.is_grant) {
    const left = grantees.filter(g => !apiRoles.includes(g))
    return left.length === 0 ? null : `${text.replace(/\bfrom\s[\s\S]*$/i, `from ${left.join(', ')}`)};`
  }
  const objects = grantedObjects(statement)
  if (/\bchat_private\b/.test(objects)) return null
  const isTable = node.objtype === 'OBJECT_TABLE'
  const given = roles.flatMap(({ role, privileges }) =>
    isTable
      ? [grantText(privileges.join(', '), objects, role)]
      : privileges.some(p => p !== 'select')
        ? [grantText('execute', `function ${objects}`, role)]
        : [],
  )
  return given.length === 0 ? null : given.join('\n')
}

/** expected.json: no policies, and the grants of the application's roles. */
function expectedWithoutApi(text: string, roles: OwnGrant[]): string {
  // biome-ignore lint/suspicious/noExplicitAny: a document whose shape its own reader checks
  const entries: any[] = JSON.parse(text)
  const grants = Object.fromEntries(
    roles.flatMap(({ role, privileges }) => (role === 'public' ? [] : [[namesIn(role)![0]!, privileges]])),
  )
  for (const entry of entries)
    for (const table of Object.values<Record<string, unknown>>(entry.tables ?? {})) {
      delete table.policies
      delete table.otherPolicies
      if (table.grants) table.grants = grants
    }
  return `${JSON.stringify(entries, null, 2)}\n`
}

/** track.json: nobody's sight is compared where no policy decides it. */
function trackInfoWithoutApi(text: string): string {
  const { sight: _, ...info } = JSON.parse(text)
  return `${JSON.stringify(info, null, 2)}\n`
}
