import type { Connection } from '../database/connection.js'
import { proofOf } from '../files/statement_proof.js'
import {
  indexName,
  type Node,
  pathName,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
} from '../files/statements.js'
import { Failure } from '../model/failure.js'
import { type Plan, pendingIn } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { partText } from '../model/table_name.js'
import { proofState } from '../run/catalog_proof.js'
import { finishedOf, type History } from '../run/ledger_history.js'
import { type NamedObject, namedText, namesThere, renaming } from './look_ahead.sql.js'

/** What a track has before it, where it is now. */
export interface Ahead {
  applied: Migration[]
  /** Everything that is not applied, also what a run leaves for later. */
  pending: Migration[]
  /** Names of those that an earlier run began and did not finish, each with its finished statements. */
  resumed: ReadonlyMap<string, number>
  /** Major version of the server. */
  major: number
  /** What `preflight` found: where something is missing, it would show up in all that needs it. */
  obstacles: Finding[]
}

/** What a plan has before it: the files that it runs, and those that it leaves for later. */
export const aheadOf = (
  plan: Plan,
  history: History,
  { major, obstacles }: Pick<Ahead, 'major' | 'obstacles'>,
): Ahead => ({
  applied: plan.applied,
  pending: pendingIn(plan),
  resumed: finishedOf(history),
  major,
  obstacles,
})

/** A name that a file gives to something new. */
interface Given extends NamedObject {
  migration: Migration
}

/** Schemas whose functions a track may replace: they are of its own. */
const ownSchema = /^chat_private\./

/**
 * Names that pending files give to something new, and that something else has already: indexes, columns,
 * constraints, policies, triggers and functions of any file, also of one that comes much later. Names that
 * an earlier pending statement frees again are left out, and so is what a file without a transaction would
 * skip, because the catalog shows the very same object. Tables are `preflight`'s.
 */
export async function namesTaken(
  connection: Connection,
  { applied, pending, resumed }: Ahead,
): Promise<Finding[]> {
  const freed = new Set<string>()
  const given = new Map<string, Given>()
  const made = new Set<string>()
  const replaceable = new Set<string>()
  for (const m of [...applied, ...pending])
    for (const s of await statementsOrNone(m.file.text))
      if (s.kind === 'CreateFunctionStmt') replaceable.add(pathName(strings(s.node.funcname)))
  for (const m of pending)
    for (const s of await statementsOrNone(m.file.text)) {
      for (const key of freedBy(s)) freed.add(key)
      if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
      for (const o of givenBy(s, replaceable)) {
        if (m.foreign && mayBeThere(s)) continue
        const key = nameKey(o)
        const proven = m.transaction === 'none' || (m.foreign && resumed.has(m.name))
        if (proven && (await isProven(connection, s, resumed.has(m.name)))) continue
        if (!freed.has(key) && !given.has(key) && !(o.table && made.has(o.table)))
          given.set(key, { ...o, migration: m })
      }
    }
  const wanted = [...given.values()]
  if (pending[0]) wanted.push({ kind: 'schema', table: null, name: 'rethread', migration: pending[0] })
  const there = await namesThere(connection.sql, wanted)
  return wanted.flatMap(({ migration, ...o }, i) =>
    there[i]
      ? [finding('NAME_TAKEN', namedText(o), { migration: migration.file.path, rename: renaming(o) })]
      : [],
  )
}

/** True for a statement that is content with what is there. */
const mayBeThere = ({ kind, node }: Statement): boolean =>
  kind === 'AlterTableStmt'
    ? node.cmds.some((c: Node) => c.AlterTableCmd?.missing_ok)
    : Boolean(node.if_not_exists ?? node.replace)

/** Whether the catalog shows the object that a statement of a file without a transaction makes. */
async function isProven(connection: Connection, s: Statement, resumed: boolean): Promise<boolean> {
  const proof = proofOf(s)
  // a column of that name is proof only where an earlier run of the file may have added it
  if (!proof || (proof.kind === 'column' && !resumed)) return false
  try {
    return (await proofState(connection, proof, resumed)) !== 'absent'
  } catch (error) {
    if (error instanceof Failure && error.finding.code === 'DIFFERENT_DEFINITION') return false
    // an invalid index in the way has a finding of its own
    if (error instanceof Failure && error.finding.code === 'FOREIGN_INVALID_INDEX') return true
    throw error
  }
}

const nameKey = ({ kind, table, name }: NamedObject): string => [kind, table, name].join('\0')

/**
 * The indexes that the keys of a new table have, by the names of their constraints. A primary key without one
 * has `primary`, which statements refer to; for others the server finds a name that is free.
 */
const keyIndexes = (elements: unknown, primary: string): string[] => {
  if (Array.isArray(elements)) return elements.flatMap(e => keyIndexes(e, primary))
  if (elements === null || typeof elements !== 'object') return []
  const { Constraint: c } = elements as Node
  const name = c?.conname ?? (c?.contype === 'CONSTR_PRIMARY' ? primary : null)
  const keyed = name && ['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_EXCLUSION'].includes(c.contype)
  return keyed ? [name] : Object.values(elements).flatMap(e => keyIndexes(e, primary))
}

/** What a statement makes, by name. */
function givenBy({ kind, node }: Statement, replaceable: Set<string>): NamedObject[] {
  switch (kind) {
    case 'CreateStmt': {
      if (node.if_not_exists) return []
      const schema = node.relation.schemaname ?? 'public'
      const type: NamedObject = { kind: 'type', table: null, name: relationName(node.relation) }
      const keys = keyIndexes(node.tableElts, `${node.relation.relname}_pkey`)
      return [
        type,
        ...keys.map(name => ({ kind: 'index' as const, table: null, name: pathName([schema, name]) })),
      ]
    }
    case 'IndexStmt':
      return node.idxname ? [{ kind: 'index', table: null, name: indexName(node) }] : []
    case 'CreatePolicyStmt':
      return [{ kind: 'policy', table: relationName(node.table), name: node.policy_name }]
    case 'CreateTrigStmt':
      return node.replace
        ? []
        : [{ kind: 'trigger', table: relationName(node.relation), name: node.trigname }]
    case 'CreateFunctionStmt': {
      const name = pathName(strings(node.funcname))
      if (node.replace && (ownSchema.test(name) || replaceable.has(name))) return []
      return [{ kind: 'function', table: null, name: name, arguments: argumentsOf(node) }]
    }
    case 'AlterTableStmt':
      return node.cmds.flatMap(({ AlterTableCmd: c }: Node): NamedObject[] => {
        const table = relationName(node.relation)
        if (c.subtype === 'AT_AddColumn' && !c.missing_ok)
          return [{ kind: 'column', table, name: c.def.ColumnDef.colname }]
        const constraint = c.subtype === 'AT_AddConstraint' ? c.def?.Constraint?.conname : null
        return constraint ? [{ kind: 'constraint', table, name: constraint }] : []
      })
    default:
      return []
  }
}

/** The types of a function's arguments, as `to_regprocedure` reads them. */
function argumentsOf(node: Node): string[] {
  return (node.parameters ?? []).flatMap(({ FunctionParameter: p }: Node) => {
    if (['FUNC_PARAM_OUT', 'FUNC_PARAM_TABLE'].includes(p.mode)) return []
    const type = p.argType.TypeName ?? p.argType
    const path = strings(type.names).map(partText).join('.')
    return [`${path}${'[]'.repeat(type.arrayBounds?.length ?? 0)}`]
  })
}

/** Keys of the names that a statement frees. */
function freedBy({ kind, node }: Statement): string[] {
  if (kind === 'AlterTableStmt')
    return node.cmds.flatMap(({ AlterTableCmd: c }: Node) => {
      const table = relationName(node.relation)
      if (c.subtype === 'AT_DropColumn') return [nameKey({ kind: 'column', table, name: c.name })]
      return c.subtype === 'AT_DropConstraint' ? [nameKey({ kind: 'constraint', table, name: c.name })] : []
    })
  if (kind === 'RenameStmt' && node.subname && node.relation) {
    const renamed = {
      OBJECT_COLUMN: 'column',
      OBJECT_TABCONSTRAINT: 'constraint',
      OBJECT_POLICY: 'policy',
      OBJECT_TRIGGER: 'trigger',
    } as const
    const freedKind = renamed[node.renameType as keyof typeof renamed]
    return freedKind
      ? [nameKey({ kind: freedKind, table: relationName(node.relation), name: node.subname })]
      : []
  }
  if (kind === 'RenameStmt' && node.renameType === 'OBJECT_INDEX')
    return [nameKey({ kind: 'index', table: null, name: relationName(node.relation) })]
  if (kind !== 'DropStmt') return []
  return node.objects.flatMap((o: Node): string[] => {
    const path = strings(o.ObjectWithArgs ? o.ObjectWithArgs.objname : [o])
    const on = { table: pathName(path.slice(0, -1)), name: path.at(-1)! }
    switch (node.removeType) {
      case 'OBJECT_INDEX':
        return [nameKey({ kind: 'index', table: null, name: pathName(path) })]
      case 'OBJECT_POLICY':
        return [nameKey({ kind: 'policy', ...on })]
      case 'OBJECT_TRIGGER':
        return [nameKey({ kind: 'trigger', ...on })]
      case 'OBJECT_FUNCTION':
        return [nameKey({ kind: 'function', table: null, name: pathName(path) })]
      default:
        return []
    }
  })
}
