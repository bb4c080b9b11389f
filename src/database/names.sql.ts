import { newKeywords } from '../model/table_name.js'
import { type Db, literal } from './types.js'

/** A name that the server has, as `partText` writes it: the same text for the same table, on every server. */
const partSql = (part: string): string =>
  `case when ${part} in (${newKeywords.map(literal).join(', ')}) then '"' || ${part} || '"' else quote_ident(${part}) end`

/** `schema.name` of two columns of a query, as `tableText` writes it. */
export const nameSql = (sql: Db, schema: string, name: string) =>
  sql.unsafe(`(${partSql(schema)}) || '.' || (${partSql(name)})`)
