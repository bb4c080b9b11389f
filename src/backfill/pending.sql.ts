import { type Db, ident, literal } from '../database/types.js'
import { restPredicate } from './batch_predicate.sql.js'

/** A row's identity as text: its primary key, or a hash of its content where there is none. */
const rowKey = (alias: string, key: string[]): string =>
  key.length > 0
    ? `concat_ws(',', ${key.map(c => `${alias}.${ident(c)}`).join(', ')})`
    : `md5(to_jsonb(${alias})::text)`

/** Which rows of a backfill are to do, and how one is set aside. */
export interface PendingSpec {
  track: string
  migration: string
  table: string
  alias: string
  pending: string
  reason: string | null
  key: string[]
  run: number
  /** The backfill takes rows out: what is set aside must be gone as well. */
  removes: boolean
}

/** What a sweep looks at, and how it rests. */
export interface PendingScan extends PendingSpec {
  /** On every so-many-th page it rests while it reads the table; null for not at all. */
  restEvery: number | null
}

/** Columns that a row has only in its own table. */
const systemColumn = /\b(?:ctid|tableoid|[cx]m(?:in|ax))\b/i

/**
 * The rows that a sweep looks at. Where it rests, at every row: as one predicate among others it
 * would be asked last, of few.
 */
const scannedRows = ({ table, alias, restEvery, pending, reason }: PendingScan): string =>
  restEvery === null || systemColumn.test(`${pending} ${reason}`)
    ? `${table} ${alias}`
    : `(select * from ${table} ${alias} where ${restPredicate(alias, restEvery)} offset 0) ${alias}`

const notSetAside = (s: PendingSpec): string => `not exists (${copyOf(s)})`

const copyOf = (s: PendingSpec): string =>
  `select from rethread_archive.quarantine q
   where q.relation = ${literal(s.table)} and q.key = ${rowKey(s.alias, s.key)}`

/**
 * Of a backfill that takes rows out: whether it has set a row aside as the row is now. What it
 * has not, it may not delete.
 */
export const isSetAside = (s: PendingSpec): string =>
  `exists (${copyOf(s)} and q.migration = ${literal(s.migration)} and q.original = to_jsonb(${s.alias}))`

const intoQuarantine =
  'insert into rethread_archive.quarantine (track, migration, relation, key, reason, original, run)'

/**
 * How many rows are still to do, quarantined ones left out: an anti-join, not "the cursor reached the end".
 * By hashing: of a column that has just been added there are no statistics, and the planner, who expects few
 * rows to lack it, would sort all of them.
 */
export async function countPending(sql: Db, s: PendingScan): Promise<number> {
  const result = await sql.unsafe<{ n: number }[]>(
    `set local enable_mergejoin = off;
     select count(*)::int as n from ${scannedRows(s)} where (${s.pending})
     ${s.removes ? '' : `and ${notSetAside(s)}`}`,
  )
  return result.flat().at(-1)!.n
}

/** What a sweep has found: rows left to do, and the keys of some of them, as `keyOf` writes them. */
interface PendingLeft {
  left: number
  keys: string[]
}

/**
 * One look at all rows: those still to do that have a reason are copied to the quarantine and stay
 * where they are until contract, the others are counted. None left is the proof: in one snapshot every
 * row was done or is set aside.
 */
export async function scanPending(sql: Db, s: PendingScan, mostKeys: number): Promise<PendingLeft> {
  const reason = s.removes ? 'null::text' : `(${s.reason ?? 'null'})::text`
  const result = await sql.unsafe<PendingLeft[]>(
    `set local enable_mergejoin = off;
     with found as materialized (
       select ${rowKey(s.alias, s.key)} as key, ${reason} as reason, case when ${reason} is not null then to_jsonb(${s.alias}) end as original
       from ${scannedRows(s)} where (${s.pending}) ${s.removes ? '' : `and ${notSetAside(s)}`}
     ),
     aside as (
       ${intoQuarantine}
       select ${literal(s.track)}, ${literal(s.migration)}, ${literal(s.table)}, key, reason, original, ${s.run}
       from found where reason is not null
       on conflict do nothing
     )
     select count(*)::int as left, coalesce(json_agg(key) filter (where n <= ${mostKeys}), '[]') as keys
     from (select key, row_number() over () as n from found where reason is null) x`,
  )
  return result.flat().at(-1) as PendingLeft
}

/**
 * Copies rows that are left to the quarantine, of the given keys or all, with their own
 * reason or else the given one.
 */
export async function quarantinePending(
  sql: Db,
  s: PendingScan,
  reason: string,
  keys: string[] | null,
): Promise<void> {
  const args: (string | number)[] = [s.track, s.migration, s.run, reason]
  if (keys) args.push(JSON.stringify(keys))
  await sql.unsafe(
    `${intoQuarantine}
     select $1, $2, ${literal(s.table)}, ${rowKey(s.alias, s.key)}, coalesce((${s.reason ?? 'null'})::text, $4), to_jsonb(${s.alias}), $3
     from ${scannedRows(s)}
     where (${s.pending}) and ${s.removes ? `not ${isSetAside(s)}` : notSetAside(s)}
       ${keys ? `and ${rowKey(s.alias, s.key)} in (select jsonb_array_elements_text($5::text::jsonb))` : ''}
     on conflict ${s.removes ? '(relation, key, migration) do update set original = excluded.original, reason = excluded.reason, run = excluded.run' : 'do nothing'}`,
    args,
  )
}

/** The first parameter that `quarantineRow` leaves to its predicate. */
export const rowParameter = 5

/**
 * Copies one poison row to the quarantine: the row of `from` that `where` finds, with its
 * values from `rowParameter` on.
 */
export async function quarantineRow(
  sql: Db,
  s: PendingSpec,
  row: { from: string; where: string; args: string[] },
  reason: string,
): Promise<void> {
  await sql.unsafe(
    `${intoQuarantine}
     select $1, $2, ${literal(s.table)}, ${rowKey(s.alias, s.key)}, $3, to_jsonb(${s.alias}), $4
     from ${row.from} ${s.alias} where ${row.where}
     on conflict do nothing`,
    [s.track, s.migration, reason, s.run, ...row.args],
  )
}
