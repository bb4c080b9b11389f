import { newKeywords } from '../model/table_name.js'
import { type Db, literal } from './types.js'

/** SQL for a name part as `partText` writes it: the same text for the same name on every server. */
const partSql = (part: string): string =>
  `case when ${part} in (${newKeywords.map(literal).join(', ')}) then '"' || ${part} || '"' else quote_ident(${part}) end`

/** SQL for `schema.name` from two columns of a query, as `tableText` writes it. */
export const nameSql = (sql: Db, schema: string, name: string) =>
  sql.unsafe(`(${partSql(schema)}) || '.' || (${partSql(name)})`)
