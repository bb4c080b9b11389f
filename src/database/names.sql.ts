import { barePart } from '../model/table_name.js'
import type { Db } from './types.js'

/** A name that the server has, as SQL of ours writes names of tables: the same text for the same table. */
const partSql = (part: string): string =>
  `case when ${part} ~ '${barePart}' then ${part}::text else '"' || replace(${part}, '"', '""') || '"' end`

/** `schema.name` of two columns of a query, as `tableText` writes it. */
export const nameSql = (sql: Db, schema: string, name: string) =>
  sql.unsafe(`(${partSql(schema)}) || '.' || (${partSql(name)})`)
