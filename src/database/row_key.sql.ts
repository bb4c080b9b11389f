import { type Db, literal } from './types.js'

/**
 * Columns of the primary key, in order; without one, of a unique index over columns that are never null, the
 * one with the fewest columns. Empty without either. `message_key` of workspace-sessions has the same rule.
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

/** What a key of several columns is escaped in. */
const commaOrBackslash = literal(String.raw`([,\\])`)
const escapedOne = literal(String.raw`\\\1`)

/**
 * SQL of a key as one text: of several columns with commas between them, and a backslash before a comma or a
 * backslash that is in a value, so that no two keys are the same text.
 */
export const keyText = (columns: string[]): string =>
  columns.length === 1
    ? `(${columns[0]})::text`
    : `concat_ws(',', ${columns.map(c => `regexp_replace((${c})::text, ${commaOrBackslash}, ${escapedOne}, 'g')`).join(', ')})`
