import {
  type Node,
  pathName,
  relationName,
  type Statement,
  someNode,
  strings,
  visitNodes,
} from '../files/statements.js'
import { partText, tableText } from '../model/table_name.js'
import { ownerText, readRights, rightsText, rowSecuritySwitches, switchText } from './access_changes.sql.js'
import { type AccessChange, onTable, server, unknownOf } from './access_types.js'
import { accessOfBlock } from './block_access.js'
import { nameOfRole } from './widens_access.js'

/** Pure: what a statement changes about which rows each role sees. */
export function accessChanges(statement: Statement): AccessChange[] {
  const { kind, node } = statement
  switch (kind) {
    case 'CreatePolicyStmt':
      return [accessOfNewPolicy(node)]
    case 'AlterPolicyStmt':
      return [
        onTable(relationName(node.table), null, {
          name: node.policy_name,
          becomes: node.policy_name,
          reads: null,
        }),
      ]
    case 'AlterTableStmt':
      return node.cmds.flatMap((c: Node) => accessOfAlterTable(relationName(node.relation), c.AlterTableCmd))
    case 'DropStmt':
      return accessOfDrop(node)
    case 'RenameStmt':
      return accessOfRename(node)
    case 'AlterObjectSchemaStmt':
      return node.relation
        ? [{ on: 'relation', relation: relationName(node.relation) }]
        : [server(functionsOf(node.object))]
    case 'GrantStmt':
      return accessOfGrant(node)
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
      return accessOfBlock(statement)
    case 'CallStmt':
    case 'ReassignOwnedStmt':
    case 'DropOwnedStmt':
      return [unknownOf(null)]
    default:
      return accessOfWrites(statement)
  }
}

const functionsOf = (object: Node | undefined): string[] =>
  object?.ObjectWithArgs ? [pathName(strings(object.ObjectWithArgs.objname))] : []

/** A policy that is only for writes does not decide what is seen: a twin needs nothing but its name. */
function accessOfNewPolicy(node: Node): AccessChange {
  const name: string = node.policy_name
  const reads = node.cmd_name === 'all' || node.cmd_name === 'select'
  return onTable(relationName(node.table), null, { name, becomes: name, reads })
}

function accessOfAlterTable(table: string, cmd: Node): AccessChange[] {
  if (cmd.subtype in rowSecuritySwitches) return [onTable(table, twin => switchText(twin, cmd.subtype))]
  switch (cmd.subtype) {
    case 'AT_ChangeOwner':
      return [onTable(table, twin => ownerText(twin, cmd.newowner))]
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

function accessOfDrop(node: Node): AccessChange[] {
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

function accessOfRename(node: Node): AccessChange[] {
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

/** Only SELECT decides what is seen. */
function accessOfGrant(node: Node): AccessChange[] {
  if (!['OBJECT_TABLE', 'OBJECT_COLUMN'].includes(node.objtype)) {
    const names = (node.objects ?? []).flatMap(functionsOf)
    if (node.objtype === 'OBJECT_SCHEMA') return [server([], strings(node.objects))]
    return /^OBJECT_(FUNCTION|PROCEDURE|ROUTINE|TYPE)$/.test(node.objtype) ? [server(names)] : []
  }
  const rights = readRights(node.privileges)
  // REVOKE GRANT OPTION FOR takes away no right to read
  if (rights.length === 0 || (node.grant_option && !node.is_grant)) return []
  const sql = (twin: string) => rightsText(twin, rights, node)
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

const writeKinds = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']

function accessOfWrites({ kind, node }: Statement): AccessChange[] {
  if (kind === 'TruncateStmt')
    return node.relations.map((r: Node) => ({
      on: 'rows',
      table: relationName(r.RangeVar),
      columns: null,
    }))
  if (kind === 'CopyStmt')
    return node.is_from ? [{ on: 'rows', table: relationName(node.relation), columns: null }] : []
  if (kind !== 'SelectStmt' && !writeKinds.includes(kind)) return []
  if (kind === 'SelectStmt' && node.intoClause)
    return [{ on: 'relation', relation: relationName(node.intoClause.rel) }]
  const found: AccessChange[] = []
  visitNodes({ [kind]: node }, part => {
    for (const write of writeKinds) {
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
