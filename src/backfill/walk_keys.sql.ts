import { type Db, ident } from '../database/types.js'

/** A column of the key that a walk follows: its quoted name, and its type as `format_type` prints it. */
export interface KeyColumn {
  name: string
  type: string
}

/** True for a table without pages of its own: a foreign table, or one with its rows on another server. */
export async function lacksPages(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ foreign: boolean }[]>`
    select c.relkind = 'f' or exists (
      select from pg_catalog.pg_partition_tree(c.oid) t join pg_catalog.pg_class p on p.oid = t.relid where p.relkind = 'f'
    ) as foreign
    from pg_catalog.pg_class c where c.oid = ${table}::regclass`
  return row!.foreign
}

/** The types of the named columns, in the given order. Columns that do not exist are left out. */
export async function keyColumns(sql: Db, table: string, names: string[]): Promise<KeyColumn[]> {
  return sql<KeyColumn[]>`
    select format('%I', a.attname) as name, format_type(a.atttypid, a.atttypmod) as type
    from unnest(${names}::text[]) with ordinality as w (name, position)
    join pg_catalog.pg_attribute a on a.attrelid = ${table}::regclass and a.attname = w.name and not a.attisdropped
    order by w.position`
}

const tuple = (alias: string, columns: KeyColumn[]): string =>
  `(${columns.map(c => `${alias}.${c.name}`).join(', ')})`
const values = (columns: KeyColumn[], from: number): string =>
  `(${columns.map((c, i) => `$${from + i}::text::${c.type}`).join(', ')})`

/**
 * A predicate for the rows after one key up to another; null means no bound. With a unit, only its rows (its
 * value is the last parameter).
 */
export function keyPredicate(
  alias: string,
  columns: KeyColumn[],
  { after, upTo, unit }: { after: string[] | null; upTo: string[] | null; unit: string | null },
): { predicate: string; args: string[] } {
  const parts: string[] = ['true']
  const args: string[] = []
  for (const [sign, key] of [
    ['>', after],
    ['<=', upTo],
  ] as const) {
    if (key === null) continue
    parts.push(`${tuple(alias, columns)} ${sign} ${values(columns, args.length + 1)}`)
    args.push(...key)
  }
  if (unit !== null) parts.push(`${alias}.${ident(unit)}::text = $${args.length + 1}`)
  return { predicate: parts.join(' and '), args }
}

/**
 * The key of the `limit`-th row after `after`, as text so that no precision is lost. Null if fewer rows are
 * left.
 */
export async function nextKey(
  sql: Db,
  { table, columns }: { table: string; columns: KeyColumn[] },
  after: string[] | null,
  limit: number,
): Promise<string[] | null> {
  const { predicate, args } = keyPredicate('k', columns, { after, upTo: null, unit: null })
  const names = columns.map(c => `k.${c.name}`).join(', ')
  const [row] = await sql.unsafe<{ key: string[] }[]>(
    `select array[${columns.map(c => `k.${c.name}::text`).join(', ')}] as key
     from ${table} k where ${predicate} order by ${names} offset ${limit - 1} limit 1`,
    args,
  )
  return row?.key ?? null
}

/** A predicate for the row with this key. Its values begin at parameter `from`. */
export const atKey = (alias: string, columns: KeyColumn[], from: number): string =>
  `${tuple(alias, columns)} = ${values(columns, from)}`
