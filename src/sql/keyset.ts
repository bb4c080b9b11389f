import type { Range, SweepSpec } from './backfill.js'
import { keyOf } from './backfill.js'
import type { Db } from './types.js'

/** A column of the key that a walk follows, quoted, with its type as `format_type` writes it. */
export interface KeyColumn {
  name: string
  type: string
}

/** True when a table has no pages of its own that could be walked: a foreign table, or one that another server holds. */
export async function lacksPages(sql: Db, table: string): Promise<boolean> {
  const [row] = await sql<{ foreign: boolean }[]>`
    select c.relkind = 'f' or exists (
      select from pg_catalog.pg_partition_tree(c.oid) t join pg_catalog.pg_class p on p.oid = t.relid where p.relkind = 'f'
    ) as foreign
    from pg_catalog.pg_class c where c.oid = ${table}::regclass`
  return row!.foreign
}

/** The types of the named columns, in the given order; a column that is not there is left out. */
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

/** The rows after one key up to another (null: no bound on that side), of one unit if one is named (its value comes last). */
export function keyPredicate(
  alias: string,
  columns: KeyColumn[],
  after: string[] | null,
  upTo: string[] | null,
  unit: string | null,
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
  if (unit !== null) parts.push(`${alias}.${unit}::text = $${args.length + 1}`)
  return { predicate: parts.join(' and '), args }
}

/** The key of the `limit`-th row after `after`; null when fewer are left. As text, so that no precision is lost (pitfall P9). */
export async function nextKey(
  sql: Db,
  table: string,
  columns: KeyColumn[],
  after: string[] | null,
  limit: number,
): Promise<string[] | null> {
  const { predicate, args } = keyPredicate('k', columns, after, null, null)
  const names = columns.map(c => `k.${c.name}`).join(', ')
  const [row] = await sql.unsafe<{ key: string[] }[]>(
    `select array[${columns.map(c => `k.${c.name}::text`).join(', ')}] as key
     from ${table} k where ${predicate} order by ${names} offset ${limit - 1} limit 1`,
    args,
  )
  return row?.key ?? null
}

/** Where a walk along the key stands. */
export async function readCursor(sql: Db, range: number): Promise<string[] | null> {
  const [row] = await sql<
    { key: string[] | null }[]
  >`select cursor_key as key from rethread.ranges where id = ${range}`
  return row!.key
}

/** The checkpoint of a walk along the key, in the batch's own transaction; null is the end. False when another worker has the range. */
export async function checkpointKey(
  sql: Db,
  range: Range,
  key: string[] | null,
  rows: number,
  ms: number,
): Promise<boolean> {
  const [row] = await sql<{ moved: number }[]>`
    with moved as (
      update rethread.ranges g
      set cursor_key = ${key}::text[], rows = g.rows + ${rows},
          state = case when ${key === null} then 'done' else 'claimed' end
      where g.id = ${range.id} and g.claim = ${range.claim} and g.state = 'claimed'
      returning g.backfill
    ),
    noted as (
      insert into rethread.batches (backfill, relation, xid, rows, ms)
      select backfill, ${range.relation}, pg_current_xact_id(), ${rows}, ${ms} from moved where ${rows} > 0
    )
    select count(*)::int as moved from moved`
  return row!.moved === 1
}

/** Copies the poison row with this key to the quarantine (pitfall P59). */
export async function quarantineKey(
  sql: Db,
  s: SweepSpec,
  columns: KeyColumn[],
  key: string[],
  reason: string,
): Promise<void> {
  await sql.unsafe(
    `insert into rethread_archive.quarantine (track, migration, relation, key, reason, original, run)
     select $1, $2, '${s.table}', ${keyOf(s.alias, s.key)}, $3, to_jsonb(${s.alias}), $4
     from ${s.table} ${s.alias} where ${tuple(s.alias, columns)} = ${values(columns, 5)}
     on conflict do nothing`,
    [s.track, s.migration, reason, s.run, ...key],
  )
}
