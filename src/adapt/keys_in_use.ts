import { readAside } from '../database/scopes.js'
import type { Root } from '../database/types.js'
import type { Mapping } from '../model/mapping.js'
import { ledRows } from './application_tables.sql.js'
import type { Proposal } from './propose.js'

/**
 * The columns that rows lead to where no foreign key says it and the primary key is not the one: exports of
 * document databases have an id of the row, and an id that the application knows. By the role of the id, such
 * as `workspaces.id`. `given` is what a person has named.
 */
export async function keysInUse(sql: Root, found: Proposal, given: Mapping): Promise<Mapping> {
  const keys: Mapping = {}
  for (const [entity, table] of found.tables)
    for (const { want, column } of found.columns.get(entity)!) {
      const target = want.of === null ? undefined : found.tables.get(want.of)
      const role = `${want.of}.id`
      if (!target || !column || column.references.length > 0 || given[role] !== undefined) continue
      const key = found.columns.get(want.of!)!.find(c => c.want.column === 'id')?.column
      const others = target.columns.filter(c => c !== key && c.unique && c.base === column.base)
      if (!key || others.length === 0) continue
      const names = [key, ...others].map(c => c.column)
      const led = await readAside(sql, tx => ledRows(tx, table.table, column.column, target.table, names))
      const [none, ...more] = led ?? []
      const most = Math.max(...more)
      if (none === 0 && most > 0) keys[role] = { column: names[1 + more.indexOf(most)]! }
    }
  return keys
}

/** A proposal that was made with these keys says why. */
export const sayKeys = (found: Proposal, keys: Mapping): Proposal => ({
  ...found,
  bindings: found.bindings.map(b =>
    keys[b.role] === undefined
      ? b
      : { ...b, because: 'rows of other tables name it, and not the primary key' },
  ),
})
