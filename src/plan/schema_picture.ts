import { tablePictures } from '../database/table_pictures.sql.js'
import type { Db } from '../database/types.js'
import {
  type Node,
  parseStatements,
  pathName,
  relationName,
  type Statement,
  strings,
} from '../files/statements.js'
import { fileOfStep, type Plan } from '../model/plan.js'
import type { Report, TablePicture } from '../model/report.js'

type SchemaPicture = NonNullable<Report['schema']>

/** Schemas with no tables for users of the application. They are left out of the picture. */
const internal = /^(chat_private|rethread|rethread_archive)\./

/**
 * The tables of a plan: as they are in the catalog, and as its statements leave them. Statements that are
 * composed at run time are missing; a rehearsal shows their effect.
 */
export async function schemaPicture(sql: Db, plan: Plan): Promise<SchemaPicture | null> {
  const statements: Statement[] = []
  const touched = new Set<string>()
  for (const step of plan.steps) {
    const { migration: m, locks } = step
    const file = fileOfStep(step)
    if (file) statements.push(...(await parseStatements(file.text)))
    if (m.backfill) touched.add(m.backfill.table)
    for (const { table } of locks) if (table !== null) touched.add(table)
  }
  const before = await tablePictures(sql, [...touched].filter(table => !internal.test(table)).sort())
  const after = statements.reduce(afterStatement, before).filter(t => !internal.test(t.table))
  return before.length + after.length === 0 ? null : { after: after, before, from: 'statements' }
}

/** The same tables and those that the plan creates, as they are after a rehearsal. */
export async function rehearsedPicture(sql: Db, { before, after }: SchemaPicture): Promise<SchemaPicture> {
  const names = [...new Set([...before, ...after].map(t => t.table))]
  return { before, after: await tablePictures(sql, names), from: 'rehearsal' }
}

/** Pure: the tables after a statement. */
function afterStatement(tables: TablePicture[], { kind, node }: Statement): TablePicture[] {
  if (kind === 'CreateStmt') {
    const made = madeTable(node)
    return tables.some(t => t.table === made.table) ? tables : [...tables, made]
  }
  if (kind === 'AlterTableStmt' && node.objtype === 'OBJECT_TABLE')
    return withTable(tables, relationName(node.relation), table =>
      (node.cmds ?? []).reduce((t: TablePicture, cmd: Node) => afterCommand(t, cmd.AlterTableCmd), table),
    )
  if (kind === 'RenameStmt' && node.renameType === 'OBJECT_COLUMN' && node.relation)
    return withTable(tables, relationName(node.relation), table => renamed(table, node.subname, node.newname))
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_TABLE') {
    const gone = new Set(node.objects.map((o: Node) => pathName(strings([o]))))
    return tables.filter(t => !gone.has(t.table))
  }
  return tables
}

const withTable = (tables: TablePicture[], name: string, change: (table: TablePicture) => TablePicture) =>
  tables.map(t => (t.table === name ? change(t) : t))

const renamed = (table: TablePicture, from: string, to: string): TablePicture => ({
  ...table,
  columns: table.columns.map(c => (c.name === from ? { ...c, name: to } : c)),
  references: table.references.map(r => ({ ...r, columns: r.columns.map(c => (c === from ? to : c)) })),
})

function madeTable(node: Node): TablePicture {
  const empty: TablePicture = { table: relationName(node.relation), columns: [], references: [] }
  return (node.tableElts ?? []).reduce(
    (table: TablePicture, { ColumnDef: column, Constraint: constraint }: Node) =>
      column ? withColumn(table, column) : withConstraint(table, constraint),
    empty,
  )
}

function afterCommand(table: TablePicture, cmd: Node): TablePicture {
  switch (cmd.subtype) {
    case 'AT_AddColumn': {
      const column = cmd.def.ColumnDef
      return table.columns.some(c => c.name === column.colname) ? table : withColumn(table, column)
    }
    case 'AT_DropColumn':
      return {
        ...table,
        columns: table.columns.filter(c => c.name !== cmd.name),
        references: table.references.filter(r => !r.columns.includes(cmd.name)),
      }
    case 'AT_SetNotNull':
    case 'AT_DropNotNull':
      return withChange(table, [cmd.name], { nullable: cmd.subtype === 'AT_DropNotNull' })
    case 'AT_AlterColumnType':
      return withChange(table, [cmd.name], { type: typeText(cmd.def.ColumnDef.typeName) })
    case 'AT_AddConstraint':
      return withConstraint(table, cmd.def.Constraint)
    default:
      return table
  }
}

const withChange = (
  table: TablePicture,
  names: string[],
  change: Partial<TablePicture['columns'][number]>,
): TablePicture => ({
  ...table,
  columns: table.columns.map(c => (names.includes(c.name) ? { ...c, ...change } : c)),
})

function withColumn(table: TablePicture, column: Node): TablePicture {
  const constraints = (column.constraints ?? []).map((c: Node) => c.Constraint)
  const has = (...types: string[]) => constraints.some((c: Node) => types.includes(c.contype))
  const made = {
    name: column.colname,
    type: typeText(column.typeName),
    nullable: !has('CONSTR_NOTNULL', 'CONSTR_PRIMARY', 'CONSTR_IDENTITY'),
    key: has('CONSTR_PRIMARY'),
  }
  const keys = constraints.filter((c: Node) => c.contype === 'CONSTR_FOREIGN')
  return keys.reduce((t: TablePicture, c: Node) => withReference(t, [column.colname], c), {
    ...table,
    columns: [...table.columns, made],
  })
}

function withConstraint(table: TablePicture, constraint: Node): TablePicture {
  if (constraint?.contype === 'CONSTR_FOREIGN')
    return withReference(table, strings(constraint.fk_attrs), constraint)
  if (constraint?.contype === 'CONSTR_PRIMARY')
    return withChange(table, strings(constraint.keys), { key: true, nullable: false })
  return table
}

const withReference = (table: TablePicture, columns: string[], { pktable }: Node): TablePicture => ({
  ...table,
  references: [...table.references, { columns, to: relationName(pktable) }],
})

/** Type names of the parser with their SQL names. */
const typeNames: Record<string, string> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  bpchar: 'character',
  varchar: 'character varying',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
}

function typeText({ names, arrayBounds }: Node): string {
  const path = strings(names).filter(part => part !== 'pg_catalog')
  const name = path.join('.')
  return `${typeNames[name] ?? name}${arrayBounds ? '[]' : ''}`
}
