import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident, literal } from '../database/types.js'
import { inPages, restAmong, restPredicate, sleptSql } from './batch_predicate.sql.js'

/** What is counted: the columns that the backfill left alone, by unit, page range by page range. */
export interface ContentCountSpec {
  backfill: number
  /** Column whose values are the units. */
  unit: string
  /**
   * True when equal units are written alike (not so in citext or numeric), so that they are grouped before
   * they are written: a quarter of the time.
   */
  alike: boolean
  /** Columns of the content, unquoted; those that the backfill writes are not among them. */
  columns: string[]
  /**
   * Column that dates a row, where there is one: what was dated before the backfill is also counted apart.
   */
  dated: string | null
  /**
   * True when a column's type has no hash of its own (json): its text is hashed
   * instead, at four times the cost.
   */
  asText: boolean
}

/** A column that is counted. */
interface ContentColumn {
  name: string
  /** Whether its type has a hash of its own. */
  hashable: boolean
  /** Whether it holds a moment. */
  moment: boolean
  /** Whether equal values are written alike. */
  alike: boolean
}

/** The columns of a table but for some. */
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

/** Forgets what an earlier count of this backfill has left. */
export async function clearContentCounts(sql: Db, backfill: number): Promise<void> {
  await sql`delete from rethread.tallies where backfill = ${backfill}`
}

const hashOf = (s: ContentCountSpec): string => {
  const quoted = s.columns.map(c => `t.${ident(c)}`).join(', ')
  return s.asText ? `hashtextextended(row(${quoted})::text, 0)` : `hash_record_extended(row(${quoted}), 0)`
}

/** What rows are grouped by: the unit as it is written, or its value where that comes to the same. */
const unitOf = (s: ContentCountSpec): string => `t.${ident(s.unit)}${s.alike ? '' : '::text'}`

/**
 * Whether a row is dated before the backfill began: what an application adds later is not,
 * so that it hides no loss.
 */
const isPast = (s: ContentCountSpec): string =>
  s.dated === null
    ? 'false'
    : `coalesce(t.${ident(s.dated)} <= (select b.started_at from rethread.backfills b where b.id = ${s.backfill}), false)`

/**
 * What some pages hold of one unit: its name, whether dated before the backfill,
 * rows, both halves of the hash.
 */
export type PageCount = [unit: string, past: boolean, rows: number, high: number, low: number]

/**
 * In how many pieces an answer comes: a piece is read and forgotten as it arrives, so that memory stays low
 * however many units there are.
 */
const answerPieces = 32

/**
 * On every so-many-th page a count rests, and at every so-many-th of what it has counted
 * while it writes that down.
 */
interface CountRests {
  everyPages: number
  everyCounts: number
}

/**
 * Counts and hashes the rows of some pages, and hands the counts on; one short statement, so that no snapshot
 * grows old and holds back vacuum. Returns how long it rested, in milliseconds.
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

/** A count of a unit, of its rows from before the backfill, or of a range of pages. */
export interface ContentCountRow extends Counted {
  kind: 'unit' | 'past' | 'range'
  name: string
}

/** Adds counts to what is stored of a backfill. */
export async function storeContentCounts(sql: Db, backfill: number, rows: ContentCountRow[]): Promise<void> {
  await sql.unsafe(
    `insert into rethread.tallies as x (backfill, kind, name, rows, hash)
     select $1::bigint, r.kind, r.name, r.rows, r.hash
     from jsonb_to_recordset($2::text::jsonb) as r (kind text, name text, rows bigint, hash bigint)
     on conflict (backfill, kind, name) do update set rows = x.rows + excluded.rows, hash = x.hash # excluded.hash`,
    [backfill, JSON.stringify(rows)],
  )
}

/** Rows and an order-free hash of their content. */
export interface Counted {
  rows: number
  /** As text. */
  hash: string
}

/**
 * What is known of a unit: all of its rows, and those among them that are dated before the backfill began.
 */
export interface ContentCount extends Counted {
  past: Counted | null
}

/** What a finished backfill has counted, by unit; null where none has. */
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

/**
 * Rows and content of each unit as they are, those in the quarantine included; `key`
 * is the table's primary key.
 */
export async function unitCounts(
  sql: Db,
  table: string,
  s: ContentCountSpec,
  key: string[],
): Promise<Map<string, ContentCount>> {
  const counted = [...new Set([s.unit, ...s.columns, ...(s.dated === null ? [] : [s.dated])])]
  const list = (alias: string) => counted.map(c => `${alias}.${ident(c)}`).join(', ')
  const typed = await columnsAs(sql, table, [...counted, ...key])
  // what is in the quarantine and no longer in the table was taken out, not lost
  const aside =
    key.length === 0
      ? ''
      : `union all
         select ${list('r')} from rethread_archive.quarantine q cross join lateral jsonb_to_record(q.original) as r (${typed})
         where q.relation = ${literal(table)} and not exists (select from ${table} o where ${key.map(k => `o.${ident(k)} = r.${ident(k)}`).join(' and ')})`
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

/**
 * A list of columns with their types, for rows that are read from JSON: domains by what they are made of,
 * because one that takes no null refuses a row from before the column was there.
 */
async function columnsAs(sql: Db, table: string, names: string[]): Promise<string> {
  const rows = await sql<{ name: string; type: string }[]>`
    with recursive made as (
      select a.attname, a.atttypid as type, a.atttypmod as modifier from pg_catalog.pg_attribute a
      where a.attrelid = to_regclass(${table}) and a.attname = any (${names}::text[]) and a.attnum > 0 and not a.attisdropped
      union all
      select m.attname, y.typbasetype, y.typtypmod
      from made m join pg_catalog.pg_type y on y.oid = m.type and y.typtype = 'd'
    )
    select m.attname::text as name, format_type(m.type, m.modifier) as type
    from made m join pg_catalog.pg_type y on y.oid = m.type and y.typtype <> 'd'`
  return rows.map(r => `${ident(r.name)} ${r.type}`).join(', ')
}

function byUnit(rows: (Counted & { kind: string; name: string })[]): Map<string, ContentCount> {
  const past = new Map(rows.filter(r => r.kind === 'past').map(r => [r.name, r]))
  return new Map(
    rows.filter(r => r.kind === 'unit').map(r => [r.name, { ...r, past: past.get(r.name) ?? null }]),
  )
}
