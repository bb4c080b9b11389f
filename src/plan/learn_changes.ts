import { askedName, type Known } from '../database/known.js'
import { indexName, type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import type { ForeignKey } from '../model/plan.js'
import { namesIn } from '../model/table_name.js'

/**
 * Takes note of what a statement changes, so that those after it in the plan are judged by what they will
 * meet.
 */
export function learnStatement(known: Known, { kind, node }: Statement): void {
  switch (kind) {
    case 'CreateStmt':
      makes(known, relationName(node.relation), node.if_not_exists)
      for (const key of keysOfTable(node)) known.foreignKeys.push(key)
      for (const parent of node.inhRelations ?? [])
        known.descents.push({
          parent: relationName(parent.RangeVar),
          child: relationName(node.relation),
          partition: Boolean(node.partbound),
          isDefault: Boolean(node.partbound?.is_default),
        })
      if (node.partspec) known.kinds.set(relationName(node.relation), 'p')
      return
    case 'CreateTableAsStmt':
      makes(known, relationName(node.into.rel), node.if_not_exists)
      return
    case 'ViewStmt':
      makes(known, relationName(node.view), node.replace)
      known.kinds.set(relationName(node.view), 'v')
      return
    case 'CreateForeignTableStmt':
      makes(known, relationName(node.base.relation), node.base.if_not_exists)
      return
    case 'CreateSeqStmt':
      makes(known, relationName(node.sequence), node.if_not_exists)
      return
    case 'IndexStmt':
      indexes(known, node)
      return
    case 'CreateStatsStmt':
      for (const r of node.relations)
        if (node.defnames && r.RangeVar)
          known.statistics.set(pathName(strings(node.defnames)), relationName(r.RangeVar))
      return
    case 'CreateFunctionStmt':
      defines(known, node)
      return
    case 'CreatePolicyStmt': {
      const facts = known.relations.get(relationName(node.table))
      if (facts) facts.policies[node.policy_name] = !node.permissive
      return
    }
    case 'AlterTableStmt':
      for (const { AlterTableCmd: cmd } of node.cmds)
        for (const table of tablesChanged(known, node, cmd)) alters(known, table, cmd)
      return
    case 'RenameStmt':
      if (!node.relation) return
      if (['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'].includes(node.renameType))
        moves(known, relationName(node.relation), `${schemaOf(node.relation)}.${node.newname}`)
      // its columns and constraints go by other names: ask no more
      else for (const table of known.family(relationName(node.relation))) known.relations.delete(table)
      return
    case 'AlterObjectSchemaStmt':
      if (node.relation)
        moves(known, relationName(node.relation), `${node.newschema}.${node.relation.relname}`)
      return
    case 'AlterFunctionStmt':
      defines(known, { funcname: node.func.objname })
      return
    case 'CreateDomainStmt':
      types(known, strings(node.domainname), true)
      return
    case 'AlterDomainStmt':
      types(known, strings(node.typeName), true)
      return
    case 'CreateEnumStmt':
    case 'CreateRangeStmt':
      types(known, strings(node.typeName), false)
      return
    case 'CompositeTypeStmt':
      types(known, [schemaOf(node.typevar), node.typevar.relname], false)
      return
    case 'DropStmt':
      for (const object of node.objects) drops(known, node.removeType, strings([object]))
  }
}

const schemaOf = (range: Node): string => range.schemaname ?? 'public'

/**
 * A relation that a statement creates has no users yet, unless IF NOT EXISTS or OR REPLACE may have found
 * it.
 */
function makes(known: Known, name: string, mayExist: boolean | undefined): void {
  if (!mayExist || known.exists(name) === false) known.made.add(name)
}

function moves(known: Known, from: string, to: string): void {
  known.relations.delete(from)
  known.relations.delete(to)
  const kind = known.kinds.get(from)
  known.kinds.delete(from)
  if (kind) known.kinds.set(to, kind)
  if (known.made.delete(from)) known.made.add(to)
  else known.made.delete(to)
  const now = (name: string) => (name === from ? to : name)
  known.foreignKeys = known.foreignKeys.map(k => ({
    ...k,
    table: now(k.table),
    references: now(k.references),
  }))
  known.descents = known.descents.map(d => ({ ...d, parent: now(d.parent), child: now(d.child) }))
  for (const [part, table] of known.owners) if (table === from) known.owners.set(part, to)
}

function indexes(known: Known, node: Node): void {
  const table = relationName(node.relation)
  known.indexed.add(table)
  if (node.idxname) known.owners.set(indexName(node), table)
  const facts = known.relations.get(table)
  for (const column of Object.values(facts?.columns ?? {})) {
    column.indexed = true
    column.inExpression ||= Boolean(node.whereClause) || node.indexParams.some((p: Node) => p.IndexElem?.expr)
  }
}

/** Notes a function that this plan creates or replaces. */
function defines(known: Known, node: Node): void {
  const volatility = (node.options ?? []).find((o: Node) => o.DefElem?.defname === 'volatility')
  const volatile = (volatility?.DefElem.arg?.String?.sval ?? 'volatile') === 'volatile'
  const path = strings(node.funcname)
  for (const asked of new Set([askedName(node.funcname), path.at(-1)!, pathName(path)])) {
    const old = known.functions.get(asked)
    known.functions.set(asked, {
      asked,
      volatile: volatile || (old?.volatile ?? false),
      acts: volatile || (old?.acts ?? false),
    })
  }
}

/** Notes a type that this plan creates or changes, under all the names that a statement may use. */
function types(known: Known, path: string[], guarded: boolean): void {
  for (const asked of [path.at(-1)!, pathName(path)])
    known.types.set(asked, { asked, type: pathName(path), args: [], guarded })
}

/** Columns and checks are inherited by all children. The kind of a table and its parent are not. */
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
      if (facts) {
        facts.checks = facts.checks.filter(c => c.name !== cmd.name)
        // it may have been a primary key or, from PostgreSQL 18 on, a NOT NULL
        for (const c of Object.values(facts.columns)) c.notNull = false
      }
      known.foreignKeys = known.foreignKeys.filter(k => k.table !== table || k.name !== cmd.name)
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
      known.descents.push({
        parent: table,
        child: relationName(cmd.def.PartitionCmd.name),
        partition: true,
        isDefault: Boolean(cmd.def.PartitionCmd.bound?.is_default),
      })
      return
    case 'AT_DetachPartition': {
      const child = relationName(cmd.def.PartitionCmd.name)
      known.descents = known.descents.filter(d => d.parent !== table || d.child !== child)
      return
    }
    case 'AT_AddInherit':
      known.descents.push({
        parent: relationName(cmd.def.RangeVar),
        child: table,
        partition: false,
        isDefault: false,
      })
      return
    case 'AT_DropInherit': {
      const parent = relationName(cmd.def.RangeVar)
      known.descents = known.descents.filter(d => d.parent !== parent || d.child !== table)
    }
  }
}

function adds(known: Known, table: string, c: Node): void {
  known.foreignKeys.push(...foreignKeyOf(table, c, strings(c.fk_attrs)))
  if (c.contype !== 'CONSTR_CHECK') return
  const test = c.raw_expr?.NullTest
  const column =
    test?.nulltesttype === 'IS_NOT_NULL' ? strings(test.arg?.ColumnRef?.fields).at(-1) : undefined
  known.relations.get(table)?.checks.push({
    name: c.conname ?? '',
    // the columns of any other expression are not known: assume all
    columns: column ? [column] : Object.keys(known.relations.get(table)!.columns),
    expression: column ? `(${column} IS NOT NULL)` : '',
    valid: !c.skip_validation && c.is_enforced !== false,
  })
}

const keysOfTable = (node: Node): ForeignKey[] =>
  (node.tableElts ?? []).flatMap((e: Node) => [
    ...foreignKeyOf(relationName(node.relation), e.Constraint, strings(e.Constraint?.fk_attrs)),
    ...(e.ColumnDef?.constraints ?? []).flatMap((c: Node) =>
      foreignKeyOf(relationName(node.relation), c.Constraint, [e.ColumnDef.colname]),
    ),
  ])

/** The foreign key that a constraint creates, with the name that the server would choose. */
function foreignKeyOf(table: string, c: Node | undefined, columns: string[]): ForeignKey[] {
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

function drops(known: Known, type: string, path: string[]): void {
  const name = path.length > 0 ? pathName(path) : ''
  switch (type) {
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE':
    case 'OBJECT_SEQUENCE':
      known.kinds.delete(name)
      known.made.delete(name)
      known.relations.delete(name)
      known.foreignKeys = known.foreignKeys.filter(k => k.table !== name && k.references !== name)
      known.descents = known.descents.filter(d => d.parent !== name && d.child !== name)
      return
    case 'OBJECT_INDEX':
      known.owners.delete(name)
      return
    case 'OBJECT_POLICY':
      delete known.relations.get(pathName(path.slice(0, -1)))?.policies[path.at(-1)!]
  }
}
