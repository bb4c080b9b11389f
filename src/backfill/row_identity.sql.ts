import { keyText } from '../database/row_key.sql.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** The identity of a row as text: its primary key, or a hash of its content if it has none. */
export const rowKey = (alias: string, key: KeyColumn[]): string =>
  key.length > 0 ? keyText(key.map(c => `${alias}.${c.name}`)) : `md5(row_to_json(${alias}.*)::text)`

/** SQL of a text as a whole number of at most 64 bits; null for another text. The inner test never fails. */
const bigintOrNull = (text: string): string =>
  `case when ${text} ~ '^(0|-?[1-9][0-9]{0,18})$' then
     case when ${text}::numeric between -9223372036854775808 and 9223372036854775807 then ${text}::bigint end end`

/**
 * SQL that reads a text as a value of a type whose values have one text each; null for another text, which is
 * the key of a row from before the column had this type. `text` is SQL.
 */
const keyReaders: Record<string, (text: string) => string> = {
  uuid: text => `case when ${text} ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then ${text}::uuid end`,
  bigint: bigintOrNull,
  integer: bigintOrNull,
  smallint: bigintOrNull,
}

/**
 * Whether a row has the identity that `text`, as SQL, says. Where the key is one number or uuid, an index on
 * it finds the row; the comparison of texts reads the whole table.
 */
export function hasKey(alias: string, key: KeyColumn[], text: string): string {
  const [only, ...more] = key
  const read = more.length === 0 && only ? keyReaders[only.type] : undefined
  return read ? `${alias}.${only!.name} = ${read(text)}` : `${rowKey(alias, key)} = ${text}`
}
