import {
  type Node,
  pathName,
  relationName,
  type Statement,
  someNode,
  strings,
  visitNodes,
} from '../files/statements.js'
import { namesIn, partText, quotedPart, tableText } from '../model/table_name.js'
import { nameOfRole } from './widens_access.js'

/** A policy that a statement makes or changes. */
export interface PolicyChange {
  name: string
  /** The name that it has afterwards; null where it is dropped. */
  becomes: string | null
  /** Of a new one: whether it is asked when rows are read. Null where the policy was there before. */
  reads: boolean | null
}

/** What a statement changes about who sees which rows, or about those rows. */
export type AccessChange =
  /**
   * Of one table: policies, row security, owner, rights. `sql` is the statement for a table of another name;
   * null for the statement itself with that name in it.
   */
  | { on: 'table'; table: string; sql: ((twin: string) => string) | null; policy: PolicyChange | null }
  /**
   * Of roles, functions, types and schemas; no table is locked by it. `functions` are those that it names,
   * `schemas` those whose rights it changes.
   */
  | { on: 'server'; roles: boolean; functions: string[]; schemas: string[] }
  /** Rows of a table; `columns` are those that change, null for whole rows. */
  | { on: 'rows'; table: string; columns: string[] | null }
  /** It makes the relation, or moves it: what reads it cannot be asked yet. */
  | { on: 'relation'; relation: string }
  /**
   * Nobody can tell before it runs; `tables` are those that it may be about, null for all, and `functions`
   * those that it makes or replaces.
   */
  | { on: 'unknown'; tables: string[] | null; functions: string[] }

/** Pure: everything that a statement changes about who sees which rows. */
export function accessChanges(statement: Statement): AccessChange[] {
  const { kind, node } = statement
  switch (kind) {
    case 'CreatePolicyStmt':
      return [ofNewPolicy(node)]
    case 'AlterPolicyStmt':
      return [
        onTable(relationName(node.table), null, {
          name: node.policy_name,
          becomes: node.policy_name,
          reads: null,
        }),
      ]
    case 'AlterTableStmt':
      return node.cmds.flatMap((c: Node) => ofAlterTable(relationName(node.relation), c.AlterTableCmd))
    case 'DropStmt':
      return ofDrop(node)
    case 'RenameStmt':
      return ofRename(node)
    case 'AlterObjectSchemaStmt':
      return node.relation
        ? [{ on: 'relation', relation: relationName(node.relation) }]
        : [server(functionsOf(node.object))]
    case 'GrantStmt':
      return ofGrant(node)
    case 'GrantRoleStmt':
    case 'AlterRoleStmt':
    case 'CreateRoleStmt':
    case 'DropRoleStmt':
      return [{ ...server([]), roles: true }]
    case 'CreateFunctionStmt':
      return [server([pathName(strings(node.funcname))])]
    case 'AlterFunctionStmt':
      return [server([pathName(strings(node.func.objname))])]
    case 'AlterOwnerStmt':
      return [server(functionsOf(node.object))]
    case 'CreateSchemaStmt':
    case 'CreateEnumStmt':
    case 'CreateDomainStmt':
    case 'CompositeTypeStmt':
      return [server([])]
    case 'CreateStmt':
      return [{ on: 'relation', relation: relationName(node.relation) }]
    case 'ViewStmt':
      return [{ on: 'relation', relation: relationName(node.view) }]
    case 'CreateTableAsStmt':
      return [{ on: 'relation', relation: relationName(node.into.rel) }]
    case 'VariableSetStmt':
      return /^(role|session_authorization|row_security)$/.test(node.name) ? [unknownOf(null)] : []
    case 'DoStmt':
      return ofBlock(statement)
    case 'CallStmt':
    case 'ReassignOwnedStmt':
    case 'DropOwnedStmt':
      return [unknownOf(null)]
    default:
      return ofWrites(statement)
  }
}

const onTable = (
  table: string,
  sql: ((twin: string) => string) | null,
  policy: PolicyChange | null = null,
): AccessChange => ({ on: 'table', table, sql, policy })

const server = (functions: string[], schemas: string[] = []): Extract<AccessChange, { on: 'server' }> => ({
  on: 'server',
  roles: false,
  functions,
  schemas,
})

const unknownOf = (tables: string[] | null, functions: string[] = []): AccessChange => ({
  on: 'unknown',
  tables,
  functions,
})

const functionsOf = (object: Node | undefined): string[] =>
  object?.ObjectWithArgs ? [pathName(strings(object.ObjectWithArgs.objname))] : []

/** A policy for writers alone has nothing to say of what is seen: on a twin it is only there. */
function ofNewPolicy(node: Node): AccessChange {
  const name: string = node.policy_name
  const reads = node.cmd_name === 'all' || node.cmd_name === 'select'
  return onTable(relationName(node.table), reads ? null : stubOfPolicy(name), { name, becomes: name, reads })
}

/** A policy of this name that nobody is asked about who reads. */
export const stubOfPolicy = (name: string) => (twin: string) =>
  `create policy ${quotedPart(name)} on ${twin} for insert with check (true)`

const switches: Record<string, string> = {
  AT_EnableRowSecurity: 'enable row level security',
  AT_DisableRowSecurity: 'disable row level security',
  AT_ForceRowSecurity: 'force row level security',
  AT_NoForceRowSecurity: 'no force row level security',
}

function ofAlterTable(table: string, cmd: Node): AccessChange[] {
  const switched = switches[cmd.subtype]
  if (switched) return [onTable(table, twin => `alter table ${twin} ${switched}`)]
  switch (cmd.subtype) {
    case 'AT_ChangeOwner':
      return [onTable(table, twin => `alter table ${twin} owner to ${roleText({ RoleSpec: cmd.newowner })}`)]
    case 'AT_AlterColumnType':
      return [{ on: 'rows', table, columns: [cmd.name] }]
    case 'AT_DropColumn':
      // CASCADE drops the policies that read it
      return cmd.behavior === 'DROP_CASCADE' ? [unknownOf([table])] : []
    case 'AT_AttachPartition':
    case 'AT_DetachPartition':
    case 'AT_AddInherit':
    case 'AT_DropInherit':
      return [{ on: 'rows', table, columns: null }]
    default:
      return []
  }
}

function ofDrop(node: Node): AccessChange[] {
  const paths: string[][] = node.objects.map((o: Node) => strings(o.ObjectWithArgs?.objname ?? [o]))
  switch (node.removeType) {
    case 'OBJECT_POLICY':
      return paths.map(path =>
        onTable(pathName(path.slice(0, -1)), null, { name: path.at(-1)!, becomes: null, reads: null }),
      )
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
      // CASCADE drops the policies that call it
      return node.behavior === 'DROP_CASCADE' ? [unknownOf(null)] : [server(paths.map(pathName))]
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
      return node.behavior === 'DROP_CASCADE'
        ? [unknownOf(null)]
        : paths.map(path => ({ on: 'relation', relation: pathName(path) }))
    case 'OBJECT_SCHEMA':
    case 'OBJECT_TYPE':
      return node.behavior === 'DROP_CASCADE' ? [unknownOf(null)] : []
    default:
      return []
  }
}

function ofRename(node: Node): AccessChange[] {
  switch (node.renameType) {
    case 'OBJECT_POLICY':
      return [
        onTable(relationName(node.relation), null, {
          name: node.subname,
          becomes: node.newname,
          reads: null,
        }),
      ]
    case 'OBJECT_COLUMN':
      return [onTable(relationName(node.relation), null)]
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
      return [{ on: 'relation', relation: relationName(node.relation) }]
    case 'OBJECT_FUNCTION':
      return [server(functionsOf(node.object))]
    case 'OBJECT_ROLE':
    case 'OBJECT_SCHEMA':
      return [unknownOf(null)]
    default:
      return []
  }
}

const roleText = (role: Node): string => {
  const { roletype, rolename } = role.RoleSpec
  return roletype === 'ROLESPEC_CSTRING'
    ? quotedPart(rolename)
    : roletype === 'ROLESPEC_PUBLIC'
      ? 'public'
      : 'current_user'
}

/** Only the right to read decides what is seen. */
function ofGrant(node: Node): AccessChange[] {
  if (!['OBJECT_TABLE', 'OBJECT_COLUMN'].includes(node.objtype)) {
    const names = (node.objects ?? []).flatMap(functionsOf)
    if (node.objtype === 'OBJECT_SCHEMA') return [server([], strings(node.objects))]
    return /^OBJECT_(FUNCTION|PROCEDURE|ROUTINE|TYPE)$/.test(node.objtype) ? [server(names)] : []
  }
  const rights = (node.privileges ?? [{ AccessPriv: {} }]).flatMap(({ AccessPriv: p }: Node) => {
    if (p.priv_name && p.priv_name.toLowerCase() !== 'select') return []
    const columns = strings(p.cols).map(quotedPart).join(', ')
    return [columns ? `select (${columns})` : 'select']
  })
  // taking back the right to grant takes no right to read
  if (rights.length === 0 || (node.grant_option && !node.is_grant)) return []
  const roles = node.grantees.map(roleText).join(', ')
  const sql = (twin: string) =>
    node.is_grant
      ? `grant ${rights.join(', ')} on ${twin} to ${roles}`
      : `revoke ${rights.join(', ')} on ${twin} from ${roles} cascade`
  if (node.targtype !== 'ACL_TARGET_OBJECT')
    return node.objects.map((o: Node) => onTable(`${partText(strings([o])[0]!)}.*`, sql))
  return node.objects.map((o: Node) => onTable(relationName(o.RangeVar), sql))
}

/** The roles to which a statement gives something. */
export const granteesOf = ({ kind, node }: Statement): string[] =>
  kind === 'GrantStmt'
    ? node.grantees.map(nameOfRole)
    : kind === 'GrantRoleStmt'
      ? node.grantee_roles.map(nameOfRole)
      : kind === 'AlterRoleStmt'
        ? [nameOfRole({ RoleSpec: node.role })]
        : []

/**
 * What a person has written above a statement whose text does not show it: `-- access: public.chats` for each
 * table whose policies, row security or rights it changes, `-- access: partitions of public.chats`, or
 * `-- access: none`.
 */
const declaration = /^--[ \t]*access:[ \t]*(?:(none)|(partitions of )?((?:"[^"]+"|[^\s"])+))[ \t]*$/gim

/** The locks that are written above a block: `-- locks: public.chats ACCESS EXCLUSIVE`, or none. */
const lockDeclaration = /^--[ \t]*locks:[ \t]*(?:none|((?:"[^"]+"|[^\s"])+)[ \t]+([A-Z ]+?))[ \t]*$/gim

const nameInText = /(?<![\w."])(?:"[^"]+"|[a-z_]\w*)\.(?:"[^"]+"|[a-z_]\w*)(?![\w."(])/gi

/**
 * A block that says what it locks can change policies and row security of no other table; rights take no
 * lock, so where it speaks of them, each table that it names may be meant.
 */
function ofBlock({ above, text }: Statement): AccessChange[] {
  const tableOf = (name: string): string[] => {
    const parts = namesIn(name)
    return parts ? [pathName(parts)] : []
  }
  const said = [...above.matchAll(declaration)]
  if (said.length > 0)
    return said.flatMap(([, none, partitions, table]) =>
      none || partitions ? [] : [unknownOf(tableOf(table!))],
    )
  const locks = [...above.matchAll(lockDeclaration)]
  if (locks.length === 0) return [unknownOf(null)]
  const body = text.replace(/--.*$/gm, '')
  const locked = locks.flatMap(([, table, mode]) =>
    table && !/^(access|row) share$/i.test(mode!) ? tableOf(table) : [],
  )
  const named = [...body.matchAll(nameInText)].flatMap(([name]) => tableOf(name))
  const grants = /\b(grant|revoke)\b/i.test(body)
  if (grants && named.length === 0) return [unknownOf(null)]
  const functions = [...body.matchAll(/\bfunction\s+((?:"[^"]+"|\w+)\.(?:"[^"]+"|\w+))/gi)].flatMap(
    ([, name]) => tableOf(name!),
  )
  const tables = [...new Set([...locked, ...(grants ? named : [])])]
  return tables.length + functions.length === 0 ? [] : [unknownOf(tables, functions)]
}

/** The tables whose partitions a block changes, as it says itself. */
export const partitionsIn = ({ kind, above }: Statement): string[] =>
  kind !== 'DoStmt'
    ? []
    : [...above.matchAll(declaration)].flatMap(([, , partitions, table]) => {
        const parts = partitions ? namesIn(table!) : null
        return parts ? [pathName(parts)] : []
      })

const writing = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']

function ofWrites({ kind, node }: Statement): AccessChange[] {
  if (kind === 'TruncateStmt')
    return node.relations.map((r: Node) => ({
      on: 'rows',
      table: relationName(r.RangeVar),
      columns: null,
    }))
  if (kind === 'CopyStmt')
    return node.is_from ? [{ on: 'rows', table: relationName(node.relation), columns: null }] : []
  if (kind !== 'SelectStmt' && !writing.includes(kind)) return []
  if (kind === 'SelectStmt' && node.intoClause)
    return [{ on: 'relation', relation: relationName(node.intoClause.rel) }]
  const found: AccessChange[] = []
  visitNodes({ [kind]: node }, part => {
    for (const write of writing) {
      const statement = part[write]
      if (!statement?.relation) continue
      const sets: Node[] | null = write === 'UpdateStmt' ? statement.targetList : null
      found.push({
        on: 'rows',
        table: relationName(statement.relation),
        columns: sets?.map(t => t.ResTarget?.name ?? '') ?? null,
      })
    }
  })
  // a function of the application may do anything
  const calls = someNode(node, part => {
    const path = Array.isArray(part.funcname) ? strings(part.funcname) : []
    return path.length === 2 && path[0] !== 'pg_catalog'
  })
  return kind === 'SelectStmt' && calls ? [unknownOf(null)] : found
}

/** The relations that an expression of a policy reads in queries of its own. */
export function relationsRead(expression: unknown): string[] {
  const found = new Set<string>()
  visitNodes(expression, part => {
    if (part.RangeVar?.relname)
      found.add(tableText({ schema: part.RangeVar.schemaname ?? null, name: part.RangeVar.relname }))
  })
  return [...found]
}
