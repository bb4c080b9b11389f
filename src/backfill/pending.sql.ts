import type { ReferencingKey } from '../database/catalog.sql.js'
import { type Db, literal } from '../database/types.js'
import type { KeptAs } from '../run/kept_rows.sql.js'
import { restPredicate } from './batch_predicate.sql.js'
import { hasKey, rowKey } from './row_identity.sql.js'
import { isReferenced } from './take_out.sql.js'
import type { KeyColumn } from './walk_keys.sql.js'

/** Which rows of a backfill are pending. */
export interface PendingSpec {
  track: string
  migration: string
  table: string
  alias: string
  pending: string
  reason: string | null
  key: KeyColumn[]
  run: number
  /** True if the backfill removes rows: quarantined rows must then be gone from the table. */
  removes: boolean
  /** The predicate of a canary's unit, which is also part of `pending`. Null for all rows. */
  within: string | null
  /** Foreign keys that reference the table, if the backfill removes rows. */
  references: ReferencingKey[]
  /** False before the first run of all, when there is no list of failed rows. */
  hasFailedRows: boolean
  /** True if an earlier backfill of the track quarantines rows of the same table for its own reasons. */
  explainedBefore: boolean
}

/** The same, and how the quarantine keeps a row: for what copies rows, or compares them with their copies. */
export interface KeptSpec extends PendingSpec {
  kept: KeptAs
}

/** What a sweep looks for, and how it rests. */
export interface PendingScan extends PendingSpec {
  /** It rests at every n-th page that it reads; null for no rests. */
  restEvery: number | null
}

/** Columns that a row has only in its own table. */
const systemColumn = /\b(?:ctid|tableoid|[cx]m(?:in|ax))\b/i

/**
 * The FROM item of a sweep. To rest, its predicate is in a subquery, so that it is evaluated for every row.
 */
const scannedRows = ({ table, alias, restEvery, pending, reason, references }: PendingScan): string =>
  restEvery === null || systemColumn.test(`${pending} ${reason}`) || references.some(r => r.parent !== null)
    ? `${table} ${alias}`
    : `(select * from ${table} ${alias} where ${restPredicate(alias, restEvery)} offset 0) ${alias}`

const notSetAside = (s: PendingSpec): string =>
  s.key.length > 0 ? `not exists (${copyOf(s)})` : `(not exists (${copyOf(s)}) or ${isTwin(s)})`

/**
 * Whether another pending row equals one without a key: the quarantine, which knows rows by their content,
 * could keep only one of them.
 */
const isTwin = (s: PendingSpec): string =>
  `${rowKey(s.alias, s.key)} in (
     select ${rowKey(s.alias, s.key)} from ${s.table} ${s.alias} where (${s.pending}) group by 1 having count(*) > 1)`

/** Whether a record about a row, in the table with alias `noted`, belongs to the current row. */
const isOfRow = (noted: string, s: PendingSpec): string =>
  `${noted}.relation = ${literal(s.table)} and ${noted}.key = ${rowKey(s.alias, s.key)}`

/** The copy of a row in the quarantine. Our aliases begin with `rethread_`: a file may use any other. */
const copyOf = (s: PendingSpec): string =>
  `select from rethread_archive.quarantine rethread_q where ${isOfRow('rethread_q', s)}`

/** Whether this backfill made the copy that `copyOf` finds. */
const isOwn = (s: PendingSpec): string => `rethread_q.migration = ${literal(s.migration)}`

/**
 * Of a backfill that removes rows: whether there is a copy of the current row. Else it may not be deleted.
 */
export const isSetAside = (s: KeptSpec): string =>
  `exists (${copyOf(s)} and ${isOwn(s)} and rethread_q.original = ${s.kept.original} and rethread_q.exact = ${s.kept.exact}) and ${mayLeave(s)}`

/**
 * Whether a row may be removed. Not if it failed in another backfill, or if other rows reference it. If an
 * earlier backfill quarantines rows of the table, only rows that it has quarantined may be removed.
 */
const mayLeave = (s: PendingSpec): string =>
  `${s.key.length > 0 ? 'true' : `not ${isTwin(s)}`} and ${isExplained(s)} and not ${isReferenced(s.alias, s.table, s.references)}`

const failedElsewhere = (s: PendingSpec): string =>
  `select from rethread_archive.failed_rows rethread_f where ${isOfRow('rethread_f', s)} and rethread_f.migration <> ${literal(s.migration)}`

const isExplained = (s: PendingSpec): string =>
  [
    ...(s.hasFailedRows ? [`not exists (${failedElsewhere(s)})`] : []),
    ...(s.explainedBefore ? [`exists (${copyOf(s)} and not ${isOwn(s)})`] : []),
    ...(s.reason === null ? [] : [`(${s.reason}) is not null`]),
    'true',
  ].join(' and ')

const intoQuarantine =
  'insert into rethread_archive.quarantine (track, migration, relation, key, reason, original, exact, run)'

/**
 * How many rows are pending, without quarantined ones. It is an anti-join, not "the cursor reached the end".
 * It hashes: a new column has no statistics, and the planner, expecting few such rows, would sort them all.
 */
export async function countPending(sql: Db, s: PendingScan): Promise<number> {
  const result = await sql.unsafe<{ n: number }[]>(
    `set local enable_mergejoin = off;
     select count(*)::int as n from ${scannedRows(s)} where (${s.pending}) ${s.removes ? '' : `and ${notSetAside(s)}`}`,
  )
  return result.flat().at(-1)!.n
}

/**
 * Whether a finished backfill has a pending row: a new one, or one that lost the reason for its quarantine.
 * Rows that another backfill has quarantined do not count. It stops at the first such row.
 */
export async function hasPending(sql: Db, s: PendingSpec): Promise<boolean> {
  const released =
    s.reason === null
      ? ''
      : `or exists (${copyOf(s)} and ${isOwn(s)}) and not exists (${copyOf(s)} and not ${isOwn(s)}) and (${s.reason}) is null`
  const [row] = await sql.unsafe<{ found: boolean }[]>(
    // usually no row is pending and all are read: EXISTS by itself would choose a plan that finds one soon
    `with pending as materialized (
       select from ${s.table} ${s.alias} where (${s.pending}) ${s.removes ? '' : `and (${notSetAside(s)} ${released})`}
     ) select exists (select from pending) as found`,
  )
  return row!.found
}

/** A pending row: its key as in the quarantine, and the values of the key as text. */
export interface PendingRow {
  key: string
  values: string[]
  /** True if it has a reason, but no key, and another pending row equals it. */
  twin?: boolean
}

/** The result of a sweep: how many rows are pending, and some of them. */
interface PendingLeft {
  left: number
  rows: PendingRow[]
}

/**
 * Time between the two evaluations of a reason, in seconds. It is longer than a row is missing while it is
 * replaced.
 */
const betweenReasonsSeconds = 0.2

/**
 * Sweeps all rows. Pending rows with a reason are copied to the quarantine and stay in their table until
 * contract. The others are counted. If none is left, every row was done or quarantined in one snapshot. A
 * reason is evaluated again before the copies are committed; a row that has lost it is pending. A row that
 * failed in another backfill is never quarantined.
 */
export async function scanPending(
  sql: Db,
  s: PendingScan & KeptSpec,
  mostRows: number,
): Promise<PendingLeft> {
  const reason = s.removes ? 'null::text' : `(${s.reason ?? 'null'})::text`
  const values =
    s.key.length > 0
      ? `json_build_array(${s.key.map(c => `${s.alias}.${c.name}::text`).join(', ')})`
      : `'[]'::json`
  const twin = s.key.length > 0 ? 'false' : 'count(*) over (partition by key) > 1'
  const result = await sql.unsafe<(PendingLeft & { aside: number })[]>(
    `set local enable_mergejoin = off;
     with seen as materialized (
       select ${rowKey(s.alias, s.key)} as key, ${values} as values, ${reason} as reason, case when ${reason} is not null then ${s.kept.original} end as original, case when ${reason} is not null then ${s.kept.exact} end as exact
       from ${scannedRows(s)} where (${s.pending}) ${s.removes ? '' : `and ${notSetAside(s)}`}
     ),
     found as materialized (
       select key, values, original, exact, ${twin} and reason is not null as twin, case when not ${twin} and not exists (
         select from rethread_archive.failed_rows f
         where f.relation = ${literal(s.table)} and f.key = seen.key and f.migration <> ${literal(s.migration)}
       ) then reason end as reason
       from seen
     ),
     aside as (
       ${intoQuarantine}
       select ${literal(s.track)}, ${literal(s.migration)}, ${literal(s.table)}, key, reason, original, exact, ${s.run}
       from found where reason is not null
       on conflict do nothing returning 1
     )
     select count(*)::int as left, coalesce(json_agg(json_build_object('key', key, 'values', values, 'twin', twin)) filter (where n <= ${mostRows}), '[]') as rows,
       (select count(*)::int from aside) as aside
     from (select key, values, twin, row_number() over () as n from found where reason is null) x`,
  )
  const { left, rows, aside } = result.flat().at(-1)!
  if (aside === 0) return { left, rows }
  return { left: left + (await releaseUntrue(sql, s)), rows }
}

/** Evaluates the reasons of this transaction's copies again and deletes copies without a reason. */
async function releaseUntrue(sql: Db, s: PendingScan): Promise<number> {
  await sql.unsafe(`select pg_sleep(${betweenReasonsSeconds})`)
  const released = await sql.unsafe(
    `with still as materialized (
       select ${rowKey(s.alias, s.key)} as key, (${s.reason})::text as reason
       from ${scannedRows(s)} where (${s.pending}) and (${s.reason}) is not null
     )
     delete from rethread_archive.quarantine q
     where q.xmin = pg_current_xact_id()::xid and q.migration = ${literal(s.migration)} and q.relation = ${literal(s.table)}
       and not exists (select from still where still.key = q.key and still.reason = q.reason)`,
  )
  return released.count
}

/**
 * Copies the rows that a backfill removes to the quarantine. The same transaction compares their number with
 * the consent. Returns how many rows the backfill may then delete.
 */
export async function copyLeaving(sql: Db, s: PendingScan & KeptSpec, reason: string): Promise<number> {
  await sql.unsafe(
    `${intoQuarantine}
     select $1, $2, ${literal(s.table)}, ${rowKey(s.alias, s.key)}, coalesce((${s.reason ?? 'null'})::text, $4), ${s.kept.original}, ${s.kept.exact}, $3
     from ${scannedRows(s)}
     where (${s.pending}) and ${mayLeave(s)}
     on conflict (relation, key, migration) do update set original = excluded.original, exact = excluded.exact, reason = excluded.reason, run = excluded.run
     where (quarantine.original, quarantine.exact) is distinct from (excluded.original, excluded.exact)`,
    [s.track, s.migration, s.run, reason],
  )
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::int as n from ${s.table} ${s.alias} where (${s.pending}) and ${isSetAside(s)}`,
  )
  return row!.n
}

/**
 * How many rows a backfill has quarantined that are still pending or, if it removes rows, are gone. Copies of
 * rows that were deleted or done since do not count. Neither do parts of rows that a file copies itself: no
 * row has their keys.
 */
export async function countAside(sql: Db, s: PendingSpec): Promise<number> {
  const row = (and: string) =>
    `exists (select from ${s.table} ${s.alias} where ${hasKey(s.alias, s.key, 'rethread_q.key')} ${and})`
  const [counted] = await sql.unsafe<{ n: number }[]>(
    `select count(distinct rethread_q.key)::int as n from rethread_archive.quarantine rethread_q
     where ${isOwn(s)} and rethread_q.relation = ${literal(s.table)}
       and ${s.removes ? `not ${row('')}` : row(`and (${s.pending})`)}`,
  )
  return counted!.n
}

/** How many rows a backfill that removes rows would remove now. */
export async function countLeaving(sql: Db, s: PendingSpec): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::int as n from ${s.table} ${s.alias} where (${s.pending}) and ${mayLeave(s)}`,
  )
  return row!.n
}

/** How many of the rows that a backfill would remove are referenced by others. */
export async function countReferenced(sql: Db, s: PendingSpec): Promise<number> {
  if (s.references.length === 0) return 0
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::int as n from ${s.table} ${s.alias}
     where (${s.pending}) and ${isExplained(s)} and ${isReferenced(s.alias, s.table, s.references)}`,
  )
  return row!.n
}

/**
 * Deletes copies of rows that were done since, or have lost their reason. These rows are in their table and
 * can be processed.
 */
export async function releaseRepaired(sql: Db, s: PendingSpec): Promise<number> {
  if (s.removes || s.reason === null) return 0
  const released = await sql.unsafe(
    `delete from rethread_archive.quarantine rethread_q
     using ${s.table} ${s.alias}
     where ${isOwn(s)} and rethread_q.relation = ${literal(s.table)} and ${hasKey(s.alias, s.key, 'rethread_q.key')}
       and ((${s.pending}) is not true or (${s.reason}) is null and not exists (
         select from rethread_archive.quarantine rethread_o
         where rethread_o.relation = rethread_q.relation and rethread_o.key = rethread_q.key
           and rethread_o.migration <> rethread_q.migration))`,
  )
  return released.count
}

/** Of these rows: those that are still pending. */
export async function stillPending(sql: Db, s: PendingSpec, rows: PendingRow[]): Promise<Set<string>> {
  const names = s.key.map(c => `${s.alias}.${c.name}`).join(', ')
  const types = s.key.map((c, i) => `rethread_u.k${i}::${c.type}`).join(', ')
  const left = await sql.unsafe<{ key: string }[]>(
    `select ${rowKey(s.alias, s.key)} as key from ${s.table} ${s.alias}
     where (${names}) in (
       select ${types} from unnest(${s.key.map((_, i) => `$${i + 1}::text[]`).join(', ')}) as rethread_u (${s.key.map((_, i) => `k${i}`).join(', ')})
     ) and (${s.pending}) ${s.removes ? '' : `and ${notSetAside(s)}`}`,
    s.key.map((_, i) => rows.map(r => r.values[i]!)),
  )
  return new Set(left.map(r => r.key))
}
