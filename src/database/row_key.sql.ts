import { type Db, literal } from './types.js'

/**
 * Columns of the primary key, in order. Without one, those of the unique index on NOT NULL columns that has
 * the fewest. Empty if there is neither. `message_key` of workspace-sessions has the same rule.
 */
export async function primaryKey(sql: Db, table: string): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select a.attname::text as name
    from (
      select i.indrelid, i.indkey, i.indnkeyatts from pg_catalog.pg_index i
      where i.indrelid = ${table}::regclass and i.indisunique and i.indisvalid and i.indimmediate
        and i.indpred is null and i.indexprs is null
        and not exists (
          select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) as n (attnum)
          join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = n.attnum
          where not a.attnotnull)
      order by i.indisprimary desc, i.indnkeyatts, i.indexrelid limit 1) i
    cross join unnest(i.indkey::int2[]) with ordinality as k (attnum, position)
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where k.position <= i.indnkeyatts
    order by k.position`
  return rows.map(r => r.name)
}

/** Characters that are escaped in a key of several columns. */
const commaOrBackslash = literal(String.raw`([,\\])`)
const escapedOne = literal(String.raw`\\\1`)

/**
 * SQL of a key as one text. Several columns are separated by commas; a comma or backslash in a value is
 * escaped by a backslash, so that different keys have different texts.
 */
export const keyText = (columns: string[]): string =>
  columns.length === 1
    ? `(${columns[0]})::text`
    : `concat_ws(',', ${columns.map(c => `regexp_replace((${c})::text, ${commaOrBackslash}, ${escapedOne}, 'g')`).join(', ')})`
