import { tid } from './backfill.js'
import { stands } from './catalog.js'
import { type Db, ident } from './types.js'

/** What is counted: the columns that the backfill left alone, by unit, page range by page range. */
export interface TallySpec {
  backfill: number
  /** Column whose values are the units. */
  unit: string
  /** Columns of the content, unquoted; those that the backfill writes are not among them. */
  columns: string[]
  /** True when a column's type has no hash of its own (json): its text is hashed instead, at four times the cost. */
  asText: boolean
}

/** The columns of a table but for some, and whether each has a hash of its own. */
export async function contentColumns(
  sql: Db,
  table: string,
  but: string[],
): Promise<{ name: string; hashable: boolean }[]> {
  return sql<{ name: string; hashable: boolean }[]>`
    select a.attname::text as name, exists (
        select from pg_catalog.pg_opclass o join pg_catalog.pg_am m on m.oid = o.opcmethod
        where m.amname = 'hash' and o.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid)
      ) or t.typname = 'varchar' as hashable
    from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped and a.attname <> all (${but}::text[])
    order by a.attname`
}

/** Forgets what an earlier count of this backfill has left. */
export async function clearTallies(sql: Db, backfill: number): Promise<void> {
  await sql`delete from rethread.tallies where backfill = ${backfill}`
}

const hashOf = (s: TallySpec): string => {
  const quoted = s.columns.map(c => `t.${ident(c)}`).join(', ')
  return s.asText ? `hashtextextended(row(${quoted})::text, 0)` : `hash_record_extended(row(${quoted}), 0)`
}

/** Counts and hashes the rows of some pages; one short statement, so that no snapshot grows old (pitfall P55). */
export async function tallyPages(
  sql: Db,
  s: TallySpec,
  relation: string,
  from: number,
  to: number,
): Promise<void> {
  await sql.unsafe(
    `with counted as materialized (
       select coalesce(t.${ident(s.unit)}::text, '(none)') as unit, count(*) as rows, bit_xor(${hashOf(s)}) as hash
       from only ${relation} t where t.ctid >= $3::tid and t.ctid < $4::tid
       group by 1
     ),
     units as (
       insert into rethread.tallies as x (backfill, kind, name, rows, hash)
       select $1, 'unit', unit, rows, hash from counted
       on conflict (backfill, kind, name) do update set rows = x.rows + excluded.rows, hash = x.hash # excluded.hash
     )
     insert into rethread.tallies (backfill, kind, name, rows, hash)
     select $1, 'range', $2, coalesce(sum(rows), 0), coalesce(bit_xor(hash), 0) from counted`,
    [s.backfill, `${relation} ${from}-${to}`, tid(from), tid(to)],
  )
}

/** What a finished backfill has counted, by unit; hashes as text. */
export async function storedTallies(
  sql: Db,
  track: string,
  migration: string,
): Promise<Map<string, { rows: number; hash: string }>> {
  if (!(await stands(sql, 'rethread.tallies'))) return new Map()
  const rows = await sql<{ name: string; rows: number; hash: string }[]>`
    select t.name, t.rows::float8 as rows, t.hash::text as hash
    from rethread.tallies t
    where t.kind = 'unit' and t.backfill = (
      select max(b.id) from rethread.backfills b where b.track = ${track} and b.migration = ${migration} and b.state = 'done')`
  return new Map(rows.map(r => [r.name, { rows: r.rows, hash: r.hash }]))
}

/** Rows and content of each unit as they stand, those in the quarantine included; `key` is the table's primary key. */
export async function unitCounts(
  sql: Db,
  table: string,
  s: TallySpec,
  key: string[],
): Promise<Map<string, { rows: number; hash: string }>> {
  const list = (alias: string) =>
    [...new Set([s.unit, ...s.columns])].map(c => `${alias}.${ident(c)}`).join(', ')
  // what stands in the quarantine and no longer in the table was taken out, not lost
  const aside =
    key.length === 0
      ? ''
      : `union all
         select ${list('r')} from rethread_archive.quarantine q cross join lateral jsonb_populate_record(null::${table}, q.original) r
         where q.relation = '${table}' and not exists (select from ${table} o where ${key.map(k => `o.${ident(k)} = r.${ident(k)}`).join(' and ')})`
  const rows = await sql.unsafe<{ name: string; rows: number; hash: string }[]>(
    `select coalesce(t.${ident(s.unit)}::text, '(none)') as name, count(*)::float8 as rows, bit_xor(${hashOf(s)})::text as hash
     from (select ${list('x')} from ${table} x ${aside}) t group by 1`,
  )
  return new Map(rows.map(r => [r.name, { rows: r.rows, hash: r.hash }]))
}
