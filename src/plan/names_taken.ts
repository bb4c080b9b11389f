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
import { type Consent, type Plan, pendingIn } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { partText } from '../model/table_name.js'
import { proofState } from '../run/catalog_proof.js'
import { finishedOf, type History } from '../run/ledger_history.js'
import { type NamedObject, namedText, namesThere, renaming } from './look_ahead.sql.js'

/** The state of a track before a run. */
export interface Ahead {
  applied: Migration[]
  /** All migrations that are not applied, also those that a run leaves for later. */
  pending: Migration[]
  /** Migrations that an earlier run began and did not finish, with the number of finished statements. */
  resumed: ReadonlyMap<string, number>
  /** Major version of the server. */
  major: number
  /** What `preflight` found. An object that is missing would cause many other findings. */
  obstacles: Finding[]
  consent: Consent
}

/** What a plan has before it: the files that it runs, and those that it leaves for later. */
export const aheadOf = (
  plan: Plan,
  history: History,
  { major, obstacles, consent }: Pick<Ahead, 'major' | 'obstacles' | 'consent'>,
): Ahead => ({
  applied: plan.applied,
  pending: pendingIn(plan),
  resumed: finishedOf(history),
  major,
  obstacles,
  consent,
})

/** A name that a file gives to something new. */
interface Given extends NamedObject {
  migration: Migration
}

/** Schemas that belong to a track: it may replace functions there. */
const ownSchema = /^chat_private\./

/**
 * Names that pending files give to new indexes, columns, constraints, policies, triggers and functions, and
 * that another object has already. Also looks at files that come much later. Names that an earlier pending
 * statement frees do not count, nor do objects that a file without a transaction would skip because the
 * catalog proves them. `preflight` checks tables.
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

/** True for a statement that accepts an existing object: IF NOT EXISTS or OR REPLACE. */
const mayBeThere = ({ kind, node }: Statement): boolean =>
  kind === 'AlterTableStmt'
    ? node.cmds.some((c: Node) => c.AlterTableCmd?.missing_ok)
    : Boolean(node.if_not_exists ?? node.replace)

/** For a statement of a file without a transaction: whether the catalog has the object that it creates. */
async function isProven(connection: Connection, s: Statement, resumed: boolean): Promise<boolean> {
  const proof = proofOf(s)
  // an existing column is proof only if an earlier run of the file may have added it
  if (!proof || (proof.kind === 'column' && !resumed)) return false
  try {
    return (await proofState(connection, proof, resumed)) !== 'absent'
  } catch (error) {
    if (error instanceof Failure && error.finding.code === 'DIFFERENT_DEFINITION') return false
    // FOREIGN_INVALID_INDEX is reported elsewhere
    if (error instanceof Failure && error.finding.code === 'FOREIGN_INVALID_INDEX') return true
    throw error
  }
}

const nameKey = ({ kind, table, name }: NamedObject): string => [kind, table, name].join('\0')

/**
 * The indexes of a new table's keys, named after their constraints. A primary key without a name gets
 * `primary`, because statements refer to it. For other keys the server chooses a free name.
 */
const keyIndexes = (elements: unknown, primary: string): string[] => {
  if (Array.isArray(elements)) return elements.flatMap(e => keyIndexes(e, primary))
  if (elements === null || typeof elements !== 'object') return []
  const { Constraint: c } = elements as Node
  const name = c?.conname ?? (c?.contype === 'CONSTR_PRIMARY' ? primary : null)
  const keyed = name && ['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_EXCLUSION'].includes(c.contype)
  return keyed ? [name] : Object.values(elements).flatMap(e => keyIndexes(e, primary))
}

/** The named objects that a statement creates. */
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

/** Keys (`nameKey`) of the names that a statement frees. */
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
