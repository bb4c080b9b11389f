import { foreignCode, foreignFunction } from '../database/foreign_code.sql.js'
import type { Db } from '../database/types.js'
import { tableText } from '../model/table_name.js'
import type { ToolHistory } from './tool_history.js'

/**
 * The table of a tool's history as SQL, in its own schema or another; null if there is none. Throws
 * FOREIGN_OBJECT if a superuser who reads or writes it would run functions of others: it is found by its
 * name, so anyone could have made it.
 */
export async function findTable(sql: Db, history: ToolHistory): Promise<string | null> {
  const found = await sql<{ schema: string; name: string; columns: Record<string, string> }[]>`
    select n.nspname as schema, c.relname as name,
      jsonb_object_agg(a.attname, format_type(a.atttypid, null)) as columns
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p') and c.relname = ${history.table}
    group by 1, 2
    order by n.nspname <> ${history.schema}, 1`
  const fitting = found.find(({ columns }) => fits(history, columns))
  if (!fitting) return null
  const { schema, name } = fitting
  const asked = { schema, name, asked: name, deletes: true, updates: [], trustsOwner: false }
  const code = (await foreignCode(sql, [asked])).find(c => c.superuser)
  if (code) throw foreignFunction(code)
  return tableText(fitting)
}

/** Whether a table has the columns of this tool. Several tools use the name `schema_migrations`. */
const fits = ({ columns }: ToolHistory, has: Record<string, string>): boolean =>
  Object.entries(columns).every(([name, type]) => name in has && (type === null || has[name] === type))
