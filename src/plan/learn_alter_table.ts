import type { Known } from '../database/known.js'
import { type Node, relationName, strings } from '../files/statements.js'
import type { ForeignKey } from '../model/plan.js'
import { namesIn } from '../model/table_name.js'

/** Takes note of what an ALTER TABLE changes, on the table and on those that inherit from it. */
export function learnAlterTable(known: Known, node: Node): void {
  for (const { AlterTableCmd: cmd } of node.cmds)
    for (const table of tablesChanged(known, node, cmd)) alters(known, table, cmd)
}

/** Columns and checks go on to everything that inherits; what a table is, and whose child, is its own. */
function tablesChanged(known: Known, node: Node, cmd: Node): string[] {
  const table = relationName(node.relation)
  if (!node.relation.inh) return [table]
  if (/Column|NotNull|Expression|Validate|DropConstraint/.test(cmd.subtype)) return known.family(table)
  if (cmd.subtype !== 'AT_AddConstraint') return [table]
  return cmd.def.Constraint.contype === 'CONSTR_FOREIGN' ? known.withPartitions(table) : known.family(table)
}

/** What one command of ALTER TABLE changes on one table. */
function alters(known: Known, table: string, cmd: Node): void {
  const facts = known.relations.get(table)
  const column = facts?.columns[cmd.name]
  switch (cmd.subtype) {
    case 'AT_AddColumn':
      for (const c of cmd.def.ColumnDef.constraints ?? [])
        known.foreignKeys.push(...foreignKeyOf(table, c.Constraint, [cmd.def.ColumnDef.colname]))
      return
    case 'AT_DropColumn':
    case 'AT_AlterColumnType':
    case 'AT_SetExpression':
    case 'AT_DropExpression':
      if (facts) delete facts.columns[cmd.name]
      return
    case 'AT_SetNotNull':
      if (column) column.notNull = true
      return
    case 'AT_DropNotNull':
      if (column) column.notNull = false
      return
    case 'AT_AddConstraint':
      adds(known, table, cmd.def.Constraint)
      return
    case 'AT_ValidateConstraint':
      for (const c of facts?.checks ?? []) if (c.name === cmd.name) c.valid = true
      return
    case 'AT_DropConstraint':
      dropsConstraint(known, table, cmd.name)
      return
    case 'AT_SetLogged':
    case 'AT_SetUnLogged':
      if (facts) facts.unlogged = cmd.subtype === 'AT_SetUnLogged'
      return
    case 'AT_SetAccessMethod':
      if (facts) facts.accessMethod = null
      return
    case 'AT_EnableRowSecurity':
    case 'AT_DisableRowSecurity':
      if (facts) facts.rowSecurity = cmd.subtype === 'AT_EnableRowSecurity'
      return
    case 'AT_AttachPartition':
    case 'AT_DetachPartition':
    case 'AT_AddInherit':
    case 'AT_DropInherit':
      descends(known, table, cmd)
  }
}

/** What comes to inherit from another table, or no longer does. */
function descends(known: Known, table: string, { subtype, def }: Node): void {
  const isPartition = subtype === 'AT_AttachPartition' || subtype === 'AT_DetachPartition'
  const [parent, child] = isPartition
    ? [table, relationName(def.PartitionCmd.name)]
    : [relationName(def.RangeVar), table]
  if (subtype === 'AT_AttachPartition' || subtype === 'AT_AddInherit')
    known.descents.push({
      parent,
      child,
      partition: isPartition,
      isDefault: isPartition && Boolean(def.PartitionCmd.bound?.is_default),
    })
  else known.descents = known.descents.filter(d => d.parent !== parent || d.child !== child)
}

function dropsConstraint(known: Known, table: string, name: string): void {
  const facts = known.relations.get(table)
  if (facts) {
    facts.checks = facts.checks.filter(c => c.name !== name)
    // it may have been a primary key or, from PostgreSQL 18 on, a NOT NULL
    for (const c of Object.values(facts.columns)) c.notNull = false
  }
  known.foreignKeys = known.foreignKeys.filter(k => k.table !== table || k.name !== name)
}

function adds(known: Known, table: string, c: Node): void {
  known.foreignKeys.push(...foreignKeyOf(table, c, strings(c.fk_attrs)))
  if (c.contype !== 'CONSTR_CHECK') return
  const test = c.raw_expr?.NullTest
  const column =
    test?.nulltesttype === 'IS_NOT_NULL' ? strings(test.arg?.ColumnRef?.fields).at(-1) : undefined
  known.relations.get(table)?.checks.push({
    name: c.conname ?? '',
    // of any other expression nobody has listed the columns: it may be about all of them
    columns: column ? [column] : Object.keys(known.relations.get(table)!.columns),
    expression: column ? `(${column} IS NOT NULL)` : '',
    valid: !c.skip_validation && c.is_enforced !== false,
  })
}

/** The foreign key that a constraint makes, by the name that the server would give it. */
export function foreignKeyOf(table: string, c: Node | undefined, columns: string[]): ForeignKey[] {
  if (c?.contype !== 'CONSTR_FOREIGN') return []
  return [
    {
      name: c.conname ?? `${namesIn(table)!.at(-1)}_${columns.join('_')}_fkey`,
      table,
      columns,
      references: relationName(c.pktable),
      referenced: strings(c.pk_attrs),
    },
  ]
}
