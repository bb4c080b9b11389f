import { askedName, type Known } from '../database/known.js'
import {
  indexName,
  type Node,
  pathName,
  relationName,
  type Statement,
  someNode,
  strings,
} from '../files/statements.js'
import { commandLabel, pointsAt } from './alter_table_locks.js'
import { isStoredAlike, keepsValue, sameFamily, targetOf } from './column_types.js'
import { isFullVacuum, tablesOfDomain } from './object_locks.js'

/** Work on all rows of a table, in addition to the locks. `detail` names its cause. */
export interface RowWork {
  code: 'REWRITES_TABLE' | 'SCANS_TABLE'
  subject: string
  detail: string
}

const rewrites = (tables: string[], detail: string): RowWork[] =>
  tables.map(subject => ({ code: 'REWRITES_TABLE', subject, detail }))
const scans = (tables: string[], detail: string): RowWork[] =>
  tables.map(subject => ({ code: 'SCANS_TABLE', subject, detail }))

/**
 * Pure: the tables that a statement rewrites or reads completely while it holds its locks. If types,
 * functions or constraints are unknown, the worse case is assumed.
 */
export function rowWorkOf({ kind, node }: Statement, known: Known): RowWork[] {
  switch (kind) {
    case 'AlterTableStmt':
      return workOfAlterTable(node, known)
    case 'IndexStmt':
      return workOfIndex(node, known)
    case 'ReindexStmt': {
      if (!node.relation) return []
      const name = relationName(node.relation)
      const table = node.kind === 'REINDEX_OBJECT_INDEX' ? known.owners.get(name) : name
      if (!table) return []
      return scans(
        stored(known.withPartitions(table), known).filter(t => !known.looked || known.indexed.has(t)),
        'REINDEX reads the table',
      )
    }
    case 'ClusterStmt':
      return node.relation
        ? rewrites(
            stored(known.withPartitions(relationName(node.relation)), known),
            'CLUSTER writes the table in the order of an index',
          )
        : []
    case 'VacuumStmt':
      return isFullVacuum(node)
        ? (node.rels ?? []).flatMap((r: Node) =>
            rewrites(
              stored(known.family(relationName(r.VacuumRelation.relation)), known),
              'VACUUM FULL writes the table again',
            ),
          )
        : []
    case 'RefreshMatViewStmt': {
      const view = relationName(node.relation)
      return node.concurrent
        ? scans([view], 'REFRESH CONCURRENTLY reads the view and compares')
        : rewrites([view], 'REFRESH MATERIALIZED VIEW writes it again')
    }
    case 'CreateStmt':
      return (node.inhRelations ?? []).flatMap((p: Node) => {
        const rest = node.partbound && known.defaultOf(relationName(p.RangeVar))
        return rest
          ? scans(
              stored(known.family(rest), known),
              'the default partition is searched for rows of the new one',
            )
          : []
      })
    case 'AlterDomainStmt':
      return ['C', 'O', 'V'].includes(node.subtype) && !node.def?.Constraint?.skip_validation
        ? scans(
            tablesOfDomain(pathName(strings(node.typeName)), known),
            `a constraint of ${pathName(strings(node.typeName))} is checked in every row`,
          )
        : []
    default:
      return []
  }
}

/** The tables of the list that store rows. */
const stored = (tables: string[], known: Known): string[] => tables.filter(t => known.hasRows(t))

function workOfIndex(node: Node, known: Known): RowWork[] {
  if (node.if_not_exists && node.idxname && known.owners.has(indexName(node))) return []
  const table = relationName(node.relation)
  const name = node.idxname ? ` ${node.idxname}` : ''
  return scans(
    stored(node.relation.inh ? known.withPartitions(table) : [table], known),
    node.concurrent
      ? `CREATE INDEX CONCURRENTLY${name} reads the table twice; nobody waits`
      : `CREATE INDEX${name} reads the table while writes wait`,
  )
}

function workOfAlterTable(node: Node, known: Known): RowWork[] {
  const name = relationName(node.relation)
  if (!['OBJECT_TABLE', 'OBJECT_MATVIEW'].includes(node.objtype) || known.owners.has(name)) return []
  const found: RowWork[] = []
  for (const { AlterTableCmd: cmd } of node.cmds) {
    for (const table of stored(reachOf(name, node, cmd, known), known))
      found.push(...workOfCommand(table, cmd, known))
    if (cmd.subtype === 'AT_AttachPartition') {
      const rest = known.defaultOf(name)
      found.push(
        ...scans(
          stored(known.family(relationName(cmd.def.PartitionCmd.name)), known),
          'ATTACH PARTITION checks every row of it',
        ),
        ...scans(
          rest ? stored(known.family(rest), known) : [],
          'the default partition is searched for rows of the new one',
        ),
      )
    }
  }
  // a rewrite reads the table too: report the rewrite only
  return found.filter(
    f =>
      f.code === 'REWRITES_TABLE' || !found.some(r => r.code === 'REWRITES_TABLE' && r.subject === f.subject),
  )
}

/**
 * The tables whose rows a command concerns. A change of columns concerns all children; a change of storage
 * only the table.
 */
function reachOf(name: string, node: Node, cmd: Node, known: Known): string[] {
  const constraint = cmd.subtype === 'AT_AddConstraint' ? (cmd.def.Constraint as Node) : null
  const own = ['AT_SetLogged', 'AT_SetUnLogged', 'AT_SetAccessMethod', 'AT_SetTableSpace']
  if (!node.relation.inh || own.includes(cmd.subtype) || constraint?.is_no_inherit) return [name]
  return constraint && ['CONSTR_FOREIGN', 'CONSTR_UNIQUE', 'CONSTR_EXCLUSION'].includes(constraint.contype)
    ? known.withPartitions(name)
    : known.family(name)
}

function workOfCommand(table: string, cmd: Node, known: Known): RowWork[] {
  const facts = known.relations.get(table)
  const what = commandLabel(cmd)
  const rewrite = (why: string) => rewrites([table], `${what} ${why}`)
  switch (cmd.subtype) {
    case 'AT_AddColumn': {
      const column = cmd.def.ColumnDef as Node
      if (cmd.missing_ok && facts?.columns[column.colname]) return []
      if (computesRows(column, known)) return rewrite('computes a value for every row')
      return checksRows(column) ? scans([table], `${what} checks every row under its lock`) : []
    }
    case 'AT_AlterColumnType':
      return workOfTypeChange(table, cmd, known, what)
    case 'AT_SetExpression':
      return facts?.columns[cmd.name]?.generated === 'v' ? [] : rewrite('computes a value for every row')
    case 'AT_SetLogged':
      return facts?.unlogged === false ? [] : rewrite('writes the table again')
    case 'AT_SetUnLogged':
      return facts?.unlogged === true ? [] : rewrite('writes the table again')
    case 'AT_SetAccessMethod':
      return facts?.accessMethod && facts.accessMethod === cmd.name ? [] : rewrite('writes the table again')
    case 'AT_SetTableSpace':
      return rewrite('copies the table, unless it is there already')
    case 'AT_SetNotNull':
      return isNeverNull(table, cmd.name, known)
        ? []
        : scans([table], `${what} checks every row under its lock`)
    case 'AT_ValidateConstraint':
      return scans([table], `${what} reads the table; reads and writes go on`)
    case 'AT_AddConstraint':
      return addsConstraint(table, cmd.def.Constraint, known)
    default:
      return []
  }
}

function addsConstraint(table: string, c: Node, known: Known): RowWork[] {
  if (c.skip_validation || c.is_enforced === false) return []
  const what = c.conname ? `ADD CONSTRAINT ${c.conname}` : 'ADD CONSTRAINT'
  if (c.indexname) {
    // a primary key needs NOT NULL, which an index does not prove
    const nullable = Object.values(known.relations.get(table)?.columns ?? {}).some(
      f => f.indexed && !f.notNull,
    )
    return c.contype === 'CONSTR_PRIMARY' && (nullable || !known.relations.has(table))
      ? scans([table], `${what} checks every row under its lock, where a column may be NULL`)
      : []
  }
  if (c.contype === 'CONSTR_NOTNULL' && isNeverNull(table, strings(c.keys)[0]!, known)) return []
  return scans([table], `${what} checks every row under its lock; use NOT VALID`)
}

/** Whether a column is known to have no NULL. SET NOT NULL accepts a validated CHECK as proof. */
function isNeverNull(table: string, column: string, known: Known): boolean {
  const facts = known.relations.get(table)
  if (facts?.columns[column]?.notNull) return true
  const proof = new RegExp(`^\\(*"?${column.replace(/[^\w]/g, '\\$&')}"? IS NOT NULL\\)*$`)
  return facts?.checks.some(c => c.valid && proof.test(c.expression)) ?? false
}

/** True if a new column cannot use one stored default: every row is rewritten. */
function computesRows(column: Node, known: Known): boolean {
  const type = askedName(column.typeName?.names)
  if (/^(pg_catalog\.)?(small|big)?serial[248]?$/.test(type)) return true
  if (isGuarded(type, known)) return true
  return (column.constraints ?? []).some(({ Constraint: c }: Node) => {
    if (c.contype === 'CONSTR_IDENTITY') return true
    if (c.contype === 'CONSTR_GENERATED') return c.generated_kind !== 'v'
    return c.contype === 'CONSTR_DEFAULT' && isVolatile(c.raw_expr, known)
  })
}

/** Built-in types, for which a new column needs no computation. Other types are looked up. */
const plainType =
  /^(pg_catalog\.)?(bool|int[248]|float[48]|numeric|text|varchar|bpchar|char|name|bytea|uuid|jsonb?|date|timetz?|timestamp(tz)?|interval|inet|cidr|bit|varbit|money|oid|xml|tsvector|point|"char")$/

/** A domain with a constraint or default. A type that is unknown may be one. */
const isGuarded = (type: string, known: Known): boolean =>
  known.types.get(type)?.guarded ?? !plainType.test(type)

/** Built-in functions with one value for a whole transaction. Other functions are looked up. */
const steady = new Set(['now', 'transaction_timestamp', 'statement_timestamp'])

const isVolatile = (expression: unknown, known: Known): boolean =>
  someNode(expression, ({ funcname }) => {
    if (!funcname) return false
    const asked = askedName(funcname)
    return known.functions.get(asked)?.volatile ?? !steady.has(asked.replace(/^pg_catalog\./, ''))
  })

/** True if existing rows are checked for a new column, even if they are not rewritten. */
function checksRows(column: Node): boolean {
  const constraints = (column.constraints ?? []).map((c: Node) => c.Constraint as Node)
  const has = (type: string) => constraints.some((c: Node) => c.contype === type && c.is_enforced !== false)
  const filled = has('CONSTR_DEFAULT')
  return (
    has('CONSTR_CHECK') ||
    has('CONSTR_UNIQUE') ||
    has('CONSTR_PRIMARY') ||
    (has('CONSTR_FOREIGN') && filled) ||
    (has('CONSTR_NOTNULL') && !filled)
  )
}

function workOfTypeChange(table: string, cmd: Node, known: Known, what: string): RowWork[] {
  const facts = known.relations.get(table)
  const old = facts?.columns[cmd.name]
  const type = targetOf(cmd.def.ColumnDef, known)
  if (!old || !type || !keepsValue(cmd) || !isStoredAlike(old, type, known)) {
    const pointing = known.foreignKeys.filter(k => pointsAt(k, table, cmd.name)).map(k => k.table)
    return [
      ...rewrites([table], `${what} ${old && type ? 'writes every row' : 'may write every row'}`),
      ...scans(
        stored(
          pointing.flatMap(t => known.withPartitions(t)),
          known,
        ),
        `${what} of ${table} checks the foreign keys to it`,
      ),
    ]
  }
  const collates = Boolean(cmd.def.ColumnDef.collClause) || !sameFamily(old.type, type.type)
  const checked = facts!.checks.some(c => c.columns.includes(cmd.name))
  return checked || old.inExpression || (old.indexed && collates)
    ? scans([table], `${what} checks its constraints and builds its indexes again under its lock`)
    : []
}
