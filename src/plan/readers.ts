import type { Db } from '../database/types.js'
import {
  type Node,
  pathName,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
} from '../files/statements.js'
import type { Hazard } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import type { Table } from '../model/report.js'
import { rowSecuritySwitches } from './access_changes.sql.js'
import {
  type PolicyScope,
  type RowCommand,
  readersOf,
  type TableReader,
  type TableReaders,
} from './readers.sql.js'
import { isRoleOfPeople, nameOfRole } from './widens_access.js'

/** The part of a table's row security that decides which roles policies apply to. */
type RowSecurity = Pick<TableReaders, 'rowSecurity' | 'forced' | 'policies'>

/** A hazard about what a role sees. `role` is null if it is about users. */
export interface SightHazard extends Hazard {
  role: string | null
}

/** The effect of migrations on the roles that read and write rows. */
export interface ReadersAfter {
  /** For each migration: the roles that lose all rows, or all rights to write. */
  hazards: ReadonlyMap<string, SightHazard[]>
  /** The roles with rights on tables whose row security changes. Empty if it changes nowhere. */
  tables: Table[]
}

/**
 * Finds the roles that can read or write no row after these migrations: row security is switched on or
 * policies are dropped, and no policy is for them. Roles of users are left out, because what each user sees
 * is checked separately. Tables that the migrations create have no readers yet.
 */
export async function readersAfter(sql: Db, migrations: Migration[]): Promise<ReadersAfter> {
  const files: { name: string; statements: Statement[] }[] = []
  for (const m of migrations)
    files.push({ name: m.name, statements: (await statementsOrNone(m.file.text)).filter(s => tableOf(s)) })
  const touched = [...new Set(files.flatMap(f => f.statements.map(s => tableOf(s)!)))]
  const hazards = new Map<string, SightHazard[]>()
  const tables: Table[] = []
  if (touched.length === 0) return { hazards, tables }
  for (const now of await readersOf(sql, touched)) {
    let state: RowSecurity = now
    for (const { name, statements } of files) {
      const own = statements.filter(s => tableOf(s) === now.table)
      if (own.length === 0) continue
      const next = own.reduce(rowSecurityAfter, state)
      const hidden = now.readers.flatMap(r => hides(now, r, state, next))
      if (hidden.length > 0) hazards.set(name, [...(hazards.get(name) ?? []), ...hidden])
      state = next
    }
    tables.push(readersTable(now, state))
  }
  return { hazards, tables }
}

/** The table whose row security or policies a statement changes, else null. */
function tableOf({ kind, node }: Statement): string | null {
  if (kind === 'CreatePolicyStmt' || kind === 'AlterPolicyStmt') return relationName(node.table)
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_POLICY')
    return pathName(strings([node.objects[0]]).slice(0, -1))
  const switches =
    kind === 'AlterTableStmt' && node.cmds.some((c: Node) => c.AlterTableCmd.subtype in rowSecuritySwitches)
  return switches ? relationName(node.relation) : null
}

/** Pure: a table's row security after a statement on it. */
function rowSecurityAfter(state: RowSecurity, { kind, node }: Statement): RowSecurity {
  const { policies } = state
  switch (kind) {
    case 'AlterTableStmt':
      return Object.assign(
        {},
        state,
        ...node.cmds.map((c: Node) => rowSecuritySwitches[c.AlterTableCmd.subtype]?.sets),
      )
    case 'CreatePolicyStmt':
      return { ...state, policies: [...policies, scopeOfPolicy(node)] }
    case 'AlterPolicyStmt':
      return {
        ...state,
        policies: policies.map(p =>
          p.name === node.policy_name && node.roles ? { ...p, roles: rolesOf(node) } : p,
        ),
      }
    default: {
      const dropped = node.objects.map((o: Node) => strings([o]).at(-1))
      return { ...state, policies: policies.filter(p => !dropped.includes(p.name)) }
    }
  }
}

const scopeOfPolicy = (node: Node): PolicyScope => ({
  name: node.policy_name,
  command: (node.cmd_name as string).toUpperCase() as PolicyScope['command'],
  permissive: node.permissive === true,
  roles: rolesOf(node),
})

const rolesOf = (node: Node): string[] =>
  node.roles.map(nameOfRole).map((r: string) => (r === 'PUBLIC' ? 'public' : r))

/** Whether policies apply to this role. */
const isBound = (reader: TableReader, state: RowSecurity): boolean =>
  state.rowSecurity && (reader.exempt === null || (reader.exempt === 'owner' && state.forced))

/** Whether the policies may leave a role some rows for a command. */
const reaches = (reader: TableReader, state: RowSecurity, command: RowCommand): boolean =>
  !isBound(reader, state) ||
  state.policies.some(
    p =>
      p.permissive &&
      (p.command === 'ALL' || p.command === command) &&
      p.roles.some(r => r === 'public' || reader.has.includes(r)),
  )

function hides(
  { table, rows }: TableReaders,
  reader: TableReader,
  before: RowSecurity,
  after: RowSecurity,
): SightHazard[] {
  if (isRoleOfPeople(reader.role)) return []
  const lost = reader.commands.filter(c => reaches(reader, before, c) && !reaches(reader, after, c))
  if (lost.length === 0) return []
  const amount = rows === null ? '' : ` (about ${rows})`
  return [
    {
      role: reader.role,
      code: 'HIDES_ROWS',
      subject: table,
      detail: `role ${reader.role} reaches rows of ${table} now${amount} and none afterwards: no policy is for its ${lost.join(', ')}`,
    },
  ]
}

function readersTable(now: TableReaders, after: RowSecurity): Table {
  const sees = (reader: TableReader, state: RowSecurity): string =>
    !reader.commands.includes('SELECT')
      ? 'may not read'
      : !isBound(reader, state)
        ? 'every row'
        : reaches(reader, state, 'SELECT')
          ? 'what its policies let through'
          : 'no row'
  return {
    title: `Who reads ${now.table} before and after its row security changes`,
    columns: ['role', 'may', 'bypasses row security as', 'reads now', 'reads afterwards'],
    rows: now.readers.map(r => [r.role, r.commands.join(', '), r.exempt, sees(r, now), sees(r, after)]),
  }
}
