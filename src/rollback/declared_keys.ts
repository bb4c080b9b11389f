import type { ParentKey } from '../archive/archive.sql.js'
import { relationExists } from '../database/catalog.sql.js'
import { primaryKey } from '../database/row_key.sql.js'
import type { Db } from '../database/types.js'
import { type Node, relationName, statementsOrNone, strings } from '../files/statements.js'
import type { Track } from '../model/project.js'

/**
 * Foreign keys of a table in the track's files whose parents exist. A key that a later phase adds must also
 * hold for rows that are restored before it.
 */
export async function declaredKeys(sql: Db, track: Track, table: string): Promise<ParentKey[]> {
  const keys: ParentKey[] = []
  for (const m of track.migrations) {
    for (const { kind, node } of await statementsOrNone(m.file.text)) {
      if (kind !== 'AlterTableStmt' || relationName(node.relation) !== table) continue
      for (const c of node.cmds.map((x: Node) => x.AlterTableCmd.def?.Constraint)) {
        if (c?.contype !== 'CONSTR_FOREIGN') continue
        const parent = relationName(c.pktable)
        if (!(await relationExists(sql, parent))) continue
        const parentColumns = strings(c.pk_attrs ?? [])
        keys.push({
          name: c.conname,
          columns: strings(c.fk_attrs),
          parent,
          parentColumns: parentColumns.length > 0 ? parentColumns : await primaryKey(sql, parent),
          validated: !c.skip_validation,
          onDelete: c.fk_del_action,
        })
      }
    }
  }
  return keys
}
