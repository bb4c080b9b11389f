import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident, literal } from '../database/types.js'
import { keptRecordSql, readBack } from '../run/kept_rows.sql.js'
import { inPages, restAmong, restPredicate, sleptSql } from './batch_predicate.sql.js'

/** What is counted: by unit and by range of pages, the columns that the backfill does not write. */
export interface ContentCountSpec {
  backfill: number
  /** The column with the units. */
  unit: string
  /**
   * True if equal units have the same text, which is not so for citext or numeric. Then rows are grouped
   * before the unit becomes text, in a quarter of the time.
   */
  alike: boolean
  /** Unquoted names of the columns that are counted. The backfill does not write them. */
  columns: string[]
  /**
   * A column with the time of a row, else null. With it, rows from before the backfill are also counted
   * separately.
   */
  dated: string | null
  /**
   * True if the type of a column has no hash function (json). Its text is hashed instead, in four times the
   * time.
   */
  asText: boolean
}

/** A column that may be counted. */
interface ContentColumn {
  name: string
  /** Whether its type has a hash function. */
  hashable: boolean
  /** Whether it is a time. */
  moment: boolean
  /** Whether equal values have the same text. */
  alike: boolean
}

/** The columns of a table, except some. */
export async function contentColumns(sql: Db, table: string, but: string[]): Promise<ContentColumn[]> {
  return sql<ContentColumn[]>`
    select a.attname::text as name, exists (
        select from pg_catalog.pg_opclass o join pg_catalog.pg_am m on m.oid = o.opcmethod
        where m.amname = 'hash' and o.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
      ) or t.typname = 'varchar' as hashable,
      t.oid in ('timestamptz'::regtype, 'timestamp'::regtype) as moment,
      t.oid in ('uuid'::regtype, 'bigint'::regtype, 'integer'::regtype) as alike
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped and a.attname <> all (${but}::text[])
    order by a.attname`
}

/** Deletes what an earlier count of this backfill has stored. */
export async function clearContentCounts(sql: Db, backfill: number): Promise<void> {
  await sql`delete from rethread.tallies where backfill = ${backfill}`
}

const hashOf = (s: ContentCountSpec): string => {
  const quoted = s.columns.map(c => `t.${ident(c)}`).join(', ')
  return s.asText ? `hashtextextended(row(${quoted})::text, 0)` : `hash_record_extended(row(${quoted}), 0)`
}

/** The SQL to group rows by: the text of the unit, or its value if that is equivalent. */
const unitOf = (s: ContentCountSpec): string => `t.${ident(s.unit)}${s.alike ? '' : '::text'}`

/**
 * SQL that is true for a row from before the backfill. Rows that the application adds later are not counted,
 * so that they cannot hide a loss.
 */
const isPast = (s: ContentCountSpec): string =>
  s.dated === null
    ? 'false'
    : `coalesce(t.${ident(s.dated)} <= (select b.started_at from rethread.backfills b where b.id = ${s.backfill}), false)`

/**
 * The counts of some pages for one unit: its name, whether the rows are from before the backfill, the number
 * of rows, and the two halves of their hash.
 */
export type PageCount = [unit: string, past: boolean, rows: number, high: number, low: number]

/**
 * In how many parts a result is fetched. Each is processed when it arrives, so that memory stays low with any
 * number of units.
 */
const answerPieces = 32

/** When a count rests: at every n-th page that it reads, and at every n-th count that it stores. */
interface CountRests {
  everyPages: number
  everyCounts: number
}

/**
 * Counts and hashes the rows of some pages, and passes the counts on. It is one short statement, so that its
 * snapshot does not hold back vacuum. Returns how long it rested, in milliseconds.
 */
export async function countPages(
  sql: Db,
  s: ContentCountSpec,
  {
    relation,
    pages: [from, to],
    rests,
  }: { relation: string; pages: [from: number, to: number]; rests: CountRests | null },
  take: (counts: PageCount[]) => void,
): Promise<number> {
  let rested = 0
  const answer = sql.unsafe<{ counted: string; sleptMs: number }[]>(
    `select json_agg(json_build_array(coalesce(unit::text, '(none)'), past, rows, (hash >> 32)::int, hash::bit(32)::int))
         ${rests ? `filter (where ${restAmong('hash', rests.everyCounts)})` : ''}::text as counted,
       ${sleptSql} as "sleptMs"
     from (
       select ${unitOf(s)} as unit, ${isPast(s)} as past, count(*) as rows, bit_xor(${hashOf(s)}) as hash
       from only ${relation} t where ${inPages('t', from, to)} ${rests ? `and ${restPredicate('t', rests.everyPages)}` : ''}
       group by 1, 2
     ) x
     group by hash & ${answerPieces - 1}`,
  )
  await answer.forEach(({ counted, sleptMs }) => {
    take(JSON.parse(counted) as PageCount[])
    rested = sleptMs
  })
  return rested
}

/** The count of a unit, of its rows from before the backfill, or of a range of pages. */
export interface ContentCountRow extends Counted {
  kind: 'unit' | 'past' | 'range'
  name: string
}

/** Adds counts to those that are stored for a backfill. */
export async function storeContentCounts(sql: Db, backfill: number, rows: ContentCountRow[]): Promise<void> {
  await sql.unsafe(
    `insert into rethread.tallies as x (backfill, kind, name, rows, hash)
     select $1::bigint, r.kind, r.name, r.rows, r.hash
     from jsonb_to_recordset($2::text::jsonb) as r (kind text, name text, rows bigint, hash bigint)
     on conflict (backfill, kind, name) do update set rows = x.rows + excluded.rows, hash = x.hash # excluded.hash`,
    [backfill, JSON.stringify(rows)],
  )
}

/** A number of rows and a hash of their content that does not depend on order. */
export interface Counted {
  rows: number
  /** The hash as text. */
  hash: string
}

/** The counts of a unit: of all rows, and of those from before the backfill. */
export interface ContentCount extends Counted {
  past: Counted | null
}

/** The stored counts of a finished backfill, by unit; null if there are none. */
export async function storedContentCounts(
  sql: Db,
  track: string,
  migration: string,
): Promise<{ backfill: number; units: Map<string, ContentCount> } | null> {
  if (!(await relationExists(sql, 'rethread.tallies'))) return null
  const rows = await sql<(Counted & { backfill: number; kind: string; name: string })[]>`
    select t.backfill::float8 as backfill, t.kind, t.name, t.rows::float8 as rows, t.hash::text as hash
    from rethread.tallies t
    where t.kind in ('unit', 'past') and t.backfill = (
      select max(b.id) from rethread.backfills b where b.track = ${track} and b.migration = ${migration} and b.state = 'done')`
  return rows.length === 0 ? null : { backfill: rows[0]!.backfill, units: byUnit(rows) }
}

/** Rows of the quarantine; older versions kept no exact values. */
const quarantinedRows = `(
  select k.track, k.migration, k.relation, k.original, nullif(to_jsonb(k) -> 'exact', 'null') as exact
  from rethread_archive.quarantine k)`

/** How the rows of the quarantine are known that are no longer in the table. */
interface TakenOut {
  /** The table's primary key; empty if it has none. */
  key: string[]
  track: string
  /** The migrations that remove rows. Without a key, every row that they have set aside was removed. */
  by: string[]
}

/** The current counts of each unit, including rows of the quarantine that were removed from the table. */
export async function unitCounts(
  sql: Db,
  table: string,
  s: ContentCountSpec,
  { key, track, by }: TakenOut,
): Promise<Map<string, ContentCount>> {
  const counted = [...new Set([s.unit, ...s.columns, ...(s.dated === null ? [] : [s.dated])])]
  const list = (alias: string) => counted.map(c => `${alias}.${ident(c)}`).join(', ')
  const { columns, read, typed } = await readBack(sql, table, [...counted, ...key])
  const [isTakers, isGone] =
    key.length > 0
      ? [
          'true',
          `not exists (select from ${table} o where ${key.map(k => `o.${ident(k)} = r.${ident(k)}`).join(' and ')})`,
        ]
      : [`q.track = ${literal(track)} and q.migration in (${['', ...by].map(literal).join(', ')})`, 'true']
  // rows that are in the quarantine and no longer in the table were removed, not lost
  const aside = `union all
    select ${list('r')} from (
      select ${read} from ${quarantinedRows} q cross join lateral jsonb_to_record${keptRecordSql} as r (${typed})
      where q.relation = ${literal(table)} and ${isTakers}
    ) r (${columns})
    where ${isGone}`
  const rows = await sql.unsafe<(Counted & { kind: string; name: string })[]>(
    `with counted as (
       select ${unitOf(s)} as unit, ${isPast(s)} as past, count(*) as rows, bit_xor(${hashOf(s)}) as hash
       from (select ${list('x')} from ${table} x ${aside}) t
       group by 1, 2
     )
     select 'unit' as kind, coalesce(unit::text, '(none)') as name, sum(rows)::float8 as rows, bit_xor(hash)::text as hash from counted group by unit
     union all
     select 'past', coalesce(unit::text, '(none)'), rows::float8, hash::text from counted where past`,
  )
  return byUnit(rows)
}

function byUnit(rows: (Counted & { kind: string; name: string })[]): Map<string, ContentCount> {
  const past = new Map(rows.filter(r => r.kind === 'past').map(r => [r.name, r]))
  return new Map(
    rows.filter(r => r.kind === 'unit').map(r => [r.name, { ...r, past: past.get(r.name) ?? null }]),
  )
}
