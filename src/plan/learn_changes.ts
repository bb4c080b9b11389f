import { askedName, type Known } from '../database/known.js'
import { indexName, type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import type { ForeignKey } from '../model/plan.js'
import { foreignKeyOf, learnAlterTable } from './learn_alter_table.js'

/**
 * Takes note of what a statement changes, so that those after it in the plan are judged by what they will
 * meet.
 */
export function learnStatement(known: Known, { kind, node }: Statement): void {
  switch (kind) {
    case 'CreateStmt':
      makesTable(known, node)
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
      makesStatistics(known, node)
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
      learnAlterTable(known, node)
      return
    case 'RenameStmt':
      if (node.relation) learnRename(known, node)
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
      types(known, [schemaNameOf(node.typevar), node.typevar.relname], false)
      return
    case 'DropStmt':
      for (const object of node.objects) drops(known, node.removeType, strings([object]))
  }
}

const schemaNameOf = (range: Node): string => range.schemaname ?? 'public'

/**
 * A relation that a statement creates has no users yet, unless IF NOT EXISTS or OR REPLACE may have found
 * it.
 */
function makes(known: Known, name: string, mayExist: boolean | undefined): void {
  if (!mayExist || known.exists(name) === false) known.made.add(name)
}

function makesTable(known: Known, node: Node): void {
  const table = relationName(node.relation)
  makes(known, table, node.if_not_exists)
  known.foreignKeys.push(...keysOfTable(node))
  for (const parent of node.inhRelations ?? [])
    known.descents.push({
      parent: relationName(parent.RangeVar),
      child: table,
      partition: Boolean(node.partbound),
      isDefault: Boolean(node.partbound?.is_default),
    })
  if (node.partspec) known.kinds.set(table, 'p')
}

function makesStatistics(known: Known, node: Node): void {
  for (const r of node.relations)
    if (node.defnames && r.RangeVar)
      known.statistics.set(pathName(strings(node.defnames)), relationName(r.RangeVar))
}

function learnRename(known: Known, node: Node): void {
  const from = relationName(node.relation)
  if (['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW'].includes(node.renameType))
    moves(known, from, `${schemaNameOf(node.relation)}.${node.newname}`)
  // its columns and constraints go by other names: ask no more
  else for (const table of known.family(from)) known.relations.delete(table)
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

const keysOfTable = (node: Node): ForeignKey[] =>
  (node.tableElts ?? []).flatMap((e: Node) => [
    ...foreignKeyOf(relationName(node.relation), e.Constraint, strings(e.Constraint?.fk_attrs)),
    ...(e.ColumnDef?.constraints ?? []).flatMap((c: Node) =>
      foreignKeyOf(relationName(node.relation), c.Constraint, [e.ColumnDef.colname]),
    ),
  ])

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
