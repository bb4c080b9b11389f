import type { Known } from '../database/known.js'
import { type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import { namesIn } from '../model/table_name.js'

/** A right that a statement adds: for which object, and a description. */
export interface Widening {
  subject: string
  detail: string
}

/** The roles of anonymous and of signed-in users, with their names in Supabase and PostgREST. */
const anonymous = new Set(['anon'])
const signedIn = new Set(['authenticated'])

/** Whether a role is shared by users, who differ by a claim. Other roles belong to programs. */
export const isRoleOfPeople = (role: string): boolean => anonymous.has(role) || signedIn.has(role)

const to = (subject: string, detail: string): Widening[] => [{ subject, detail }]

/**
 * Pure: what a statement lets a role read, write or run that it could not before. `file` are all statements
 * of its file: a later one may take access back (REVOKE, row security). `verify` checks the effect of
 * policies' expressions, except for a policy that lets everything through or replaces an expression.
 */
export function widenings({ kind, node }: Statement, file: Statement[], known: Known): Widening[] {
  switch (kind) {
    case 'AlterTableStmt':
      return node.cmds.flatMap((c: Node) => wideningsOfAlterTable(node, c.AlterTableCmd, known))
    case 'CreatePolicyStmt':
      return wideningsOfPolicy(node, known)
    case 'AlterPolicyStmt':
      return (node.qual || node.with_check || node.roles) &&
        isGuardedByPolicies(relationName(node.table), known)
        ? to(
            relationName(node.table),
            `ALTER POLICY ${node.policy_name} changes who may see or write which rows`,
          )
        : []
    case 'DropStmt':
      return node.removeType === 'OBJECT_POLICY'
        ? node.objects.flatMap((o: Node) => wideningsOfDroppedPolicy(strings([o]), known))
        : []
    case 'GrantStmt':
      return node.is_grant ? wideningsOfGrant(node, file, known) : []
    case 'AlterDefaultPrivilegesStmt':
      return node.action.is_grant ? wideningsOfDefaults(node.action) : []
    case 'GrantRoleStmt':
      return node.is_grant
        ? node.granted_roles.flatMap((r: Node) =>
            to(r.AccessPriv.priv_name, `its rights go to ${node.grantee_roles.map(nameOfRole).join(', ')}`),
          )
        : []
    case 'ViewStmt':
    case 'CreateTableAsStmt':
    case 'SelectStmt':
      return wideningsOfCopy(kind, node, file, known)
    case 'CreateRoleStmt':
    case 'AlterRoleStmt':
      return wideningsOfRole(node)
    case 'CreateFunctionStmt':
      return wideningsOfFunction(node, file, known)
    case 'AlterFunctionStmt':
      return isDefiner(node.actions)
        ? to(pathName(strings(node.func.objname)), 'it runs with the rights of its owner from here on')
        : []
    default:
      return []
  }
}

/** The name of a role in a statement; `PUBLIC` for everybody. */
export const nameOfRole = (r: Node): string =>
  r.RoleSpec?.roletype === 'ROLESPEC_PUBLIC' ? 'PUBLIC' : (r.RoleSpec?.rolename ?? 'the current role')

/** True unless row security is known to be off. Without row security a policy has no effect. */
const isGuardedByPolicies = (table: string, known: Known): boolean =>
  known.relations.get(table)?.rowSecurity !== false

function wideningsOfAlterTable(node: Node, cmd: Node, known: Known): Widening[] {
  const table = relationName(node.relation)
  const options: Node[] = (cmd.def?.List?.items ?? []).map((o: Node) => o.DefElem)
  const invoker = options.find(o => o?.defname === 'security_invoker')
  switch (cmd.subtype) {
    case 'AT_DisableRowSecurity':
      return isGuardedByPolicies(table, known)
        ? to(table, 'DISABLE ROW LEVEL SECURITY: every role with a grant sees every row')
        : []
    case 'AT_NoForceRowSecurity':
      return to(table, 'NO FORCE ROW LEVEL SECURITY: its owner sees every row')
    case 'AT_ChangeOwner':
      return known.made.has(table)
        ? []
        : to(table, `${nameOfRole({ RoleSpec: cmd.newowner })} becomes its owner, with every right`)
    case 'AT_SetRelOptions':
      return invoker && /^(false|off|no|0)$/i.test(invoker.arg?.String?.sval ?? 'true')
        ? to(table, 'security_invoker is disabled: it reads with the rights of its owner')
        : []
    case 'AT_ResetRelOptions':
      return invoker ? to(table, 'security_invoker is reset: it reads with the rights of its owner') : []
    default:
      return []
  }
}

const isTrue = (expression: Node | undefined): boolean => expression?.A_Const?.boolval?.boolval === true

/**
 * Permissive policies are combined with OR: a policy that lets everything through, or is for everybody,
 * cancels the others.
 */
function wideningsOfPolicy(node: Node, known: Known): Widening[] {
  const table = relationName(node.table)
  if (!node.permissive || !isGuardedByPolicies(table, known)) return []
  const roles: string[] = node.roles.map(nameOfRole)
  // service_role bypasses row security anyway
  if (roles.every(r => r === 'service_role')) return []
  const name = `CREATE POLICY ${node.policy_name}`
  if (isTrue(node.qual) || isTrue(node.with_check))
    return to(table, `${name} lets ${roles.join(', ')} through to every row`)
  const strangers = roles.filter(r => r === 'PUBLIC' || anonymous.has(r))
  return strangers.length > 0 && !known.made.has(table)
    ? to(table, `${name} is for ${strangers.join(', ')}, who need not have signed in`)
    : []
}

/** Dropping a restrictive policy widens access. A policy that was not looked up may be restrictive. */
function wideningsOfDroppedPolicy(path: string[], known: Known): Widening[] {
  const table = pathName(path.slice(0, -1))
  const name = path.at(-1)!
  const policies = known.relations.get(table)?.policies
  const restrictive = policies ? policies[name] === true : !known.made.has(table)
  return restrictive && isGuardedByPolicies(table, known)
    ? to(table, `dropping ${name}: a restrictive policy keeps rows back`)
    : []
}

function wideningsOfGrant(node: Node, file: Statement[], known: Known): Widening[] {
  const roles: string[] = node.grantees.map(nameOfRole)
  const strangers = roles.filter(r => r === 'PUBLIC' || anonymous.has(r))
  const members = roles.filter(r => signedIn.has(r))
  const rights = (node.privileges ?? [])
    .map((p: Node) => p.AccessPriv.priv_name ?? '')
    .join(', ')
    .toUpperCase()
  return node.objects.flatMap((o: Node) => {
    const subject = o.RangeVar
      ? relationName(o.RangeVar)
      : o.ObjectWithArgs
        ? pathName(strings(o.ObjectWithArgs.objname))
        : strings([o]).join('.')
    const detail = (who: string[]) => `GRANT ${rights || 'ALL'} to ${who.join(', ')}`
    if (strangers.length > 0) return to(subject, `${detail(strangers)}, who need not have signed in`)
    return members.length > 0 && o.RangeVar && node.objtype === 'OBJECT_TABLE' && isOpen(subject, file, known)
      ? to(subject, `${detail(members)}, and no row security holds anything back`)
      : []
  })
}

/** True where the file switches row security on. */
const switchesOn = (table: string, file: Statement[]): boolean =>
  file.some(
    ({ kind, node }) =>
      kind === 'AlterTableStmt' &&
      relationName(node.relation) === table &&
      node.cmds.some((c: Node) => c.AlterTableCmd.subtype === 'AT_EnableRowSecurity'),
  )

/** True for a table without row security, if the rest of the file does not enable it. */
function isOpen(table: string, file: Statement[], known: Known): boolean {
  return (
    !switchesOn(table, file) && (known.relations.get(table)?.rowSecurity === false || known.made.has(table))
  )
}

function wideningsOfDefaults(action: Node): Widening[] {
  const roles: string[] = action.grantees.map(nameOfRole)
  const wide = roles.filter(
    r => r === 'PUBLIC' || anonymous.has(r) || (signedIn.has(r) && action.objtype === 'OBJECT_TABLE'),
  )
  return wide.length > 0
    ? to(
        'default privileges',
        `whatever is made from here on is open to ${wide.join(', ')}, before any row security`,
      )
    : []
}

function wideningsOfRole(node: Node): Widening[] {
  const options: Node[] = (node.options ?? []).map((o: Node) => o.DefElem)
  const strong = options.filter(
    o => ['superuser', 'bypassrls'].includes(o.defname) && o.arg?.Boolean?.boolval === true,
  )
  const joins = options.filter(o => o.defname === 'addroleto')
  const found = [
    ...strong.map(o => (o.defname === 'superuser' ? 'SUPERUSER' : 'BYPASSRLS')),
    ...joins.map(() => 'IN ROLE'),
  ]
  return found.length > 0
    ? to(node.role ?? 'role', `${found.join(', ')}: it sees more than its own grants say`)
    : []
}

const isDefiner = (options: Node[] | undefined): boolean =>
  (options ?? []).some(o => o.DefElem?.defname === 'security' && o.DefElem.arg?.Boolean?.boolval === true)

/** Roles that get rights on every new object of a schema through the default privileges of its creator. */
const bornWith = (kind: 'r' | 'f', schema: string, known: Known): string[] =>
  known.defaults
    .filter(d => d.kind === kind && (d.schema === null || d.schema === schema) && d.role !== null)
    .map(d => d.role!)

/** True if the file revokes the role's rights on the object, on its whole schema or on all new objects. */
const isRevoked = (name: string, kinds: string[], role: string, file: Statement[]): boolean =>
  file.some(({ kind, node }) => {
    const grant: Node | null =
      kind === 'AlterDefaultPrivilegesStmt' ? node.action : kind === 'GrantStmt' ? node : null
    if (!grant || grant.is_grant || !kinds.includes(grant.objtype)) return false
    if (!grant.grantees.map(nameOfRole).includes(role)) return false
    if (grant.targtype === 'ACL_TARGET_DEFAULTS') return true
    return grant.objects.some((o: Node) =>
      o.RangeVar
        ? relationName(o.RangeVar) === name
        : o.ObjectWithArgs
          ? pathName(strings(o.ObjectWithArgs.objname)) === name
          : strings([o]).at(-1) === schemaIn(name),
    )
  })

/** The schema of a name that has one. */
const schemaIn = (name: string): string => namesIn(name)![0]!

/**
 * PUBLIC may execute a SECURITY DEFINER function until EXECUTE is revoked. A trigger function cannot be
 * called.
 */
function wideningsOfFunction(node: Node, file: Statement[], known: Known): Widening[] {
  const returns = strings(node.returnType?.names).at(-1) ?? ''
  if (!isDefiner(node.options) || /^(event_)?trigger$/.test(returns)) return []
  const name = pathName(strings(node.funcname))
  const everywhere = known.defaults.filter(d => d.kind === 'f' && d.schema === null)
  const roles = new Set(bornWith('f', schemaIn(name), known).filter(r => anonymous.has(r) || r === 'PUBLIC'))
  // PUBLIC may execute it, unless default privileges for all schemas say otherwise
  if (everywhere.length === 0) roles.add('PUBLIC')
  const kinds = ['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE']
  const open = [...roles].filter(r => !isRevoked(name, kinds, r, file)).sort()
  return open.length === 0
    ? []
    : to(name, `SECURITY DEFINER, and ${open.join(', ')} may run it: REVOKE EXECUTE from ${open.join(', ')}`)
}

/**
 * A table made from rows, or a view that reads with its owner's rights, is open if default privileges grant
 * it.
 */
function wideningsOfCopy(kind: string, node: Node, file: Statement[], known: Known): Widening[] {
  const range: Node | undefined =
    kind === 'ViewStmt' ? node.view : kind === 'SelectStmt' ? node.intoClause?.rel : node.into.rel
  if (!range || range.relpersistence === 't') return []
  const name = relationName(range)
  const invoker = (node.options ?? []).some(
    (o: Node) =>
      o.DefElem?.defname === 'security_invoker' &&
      !/^(false|off|no|0)$/i.test(o.DefElem.arg?.String?.sval ?? 'true'),
  )
  if (invoker || known.exists(name) || switchesOn(name, file)) return []
  const open = new Set(
    bornWith('r', schemaIn(name), known)
      .filter(r => r === 'PUBLIC' || anonymous.has(r) || signedIn.has(r))
      .filter(r => !isRevoked(name, ['OBJECT_TABLE'], r, file)),
  )
  return open.size === 0
    ? []
    : to(
        name,
        kind === 'ViewStmt'
          ? `the view reads with the rights of its owner, and default privileges give it to ${[...open].sort().join(', ')}: WITH (security_invoker = true)`
          : `the rows that it copies are given to ${[...open].sort().join(', ')} by default privileges`,
      )
}
