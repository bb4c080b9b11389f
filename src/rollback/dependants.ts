import { nameOf, type ObjectAtRisk } from '../archive/loss_report.js'
import { dependantsOf } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { parseStatements, strings } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'

/**
 * Objects of others that depend on what would be dropped. What the rollback files drop themselves does not
 * count.
 */
export async function dependants(
  connection: Connection,
  objects: ObjectAtRisk[],
  undone: Migration[],
): Promise<Finding[]> {
  if (objects.length === 0) return []
  const dropped = new Set<string>()
  for (const m of undone) {
    for (const { kind, node } of m.rollback ? await parseStatements(m.rollback.file.text) : []) {
      if (kind === 'DropStmt')
        for (const o of node.objects)
          dropped.add(
            strings([o.ObjectWithArgs ? { List: { items: o.ObjectWithArgs.objname } } : o]).at(-1) ?? '',
          )
      if (kind === 'AlterTableStmt')
        for (const { AlterTableCmd: c } of node.cmds)
          if (c.subtype === 'AT_DropConstraint') dropped.add(c.name)
    }
  }
  const tables = objects.filter(o => o.column === null && !o.rows).map(o => o.table)
  const columns = objects.flatMap(o => (o.column ? [{ table: o.table, column: o.column }] : []))
  const hanging = (await dependantsOf(connection.sql, tables, columns)).filter(d => !dropped.has(d.name))
  return hanging.length === 0
    ? []
    : [finding('DEPENDANTS', tables.join(', ') || nameOf(objects[0]!), { objects: hanging.map(h => h.what) })]
}
