import { batchXids } from '../backfill/batch.sql.js'
import { type Db, ident } from '../database/types.js'

/** What one part of a restore did. `conflicts` names rows that were left as they are, with the reason. */
export interface Merged {
  inserted: number
  updated: number
  conflicts: { key: string; reason: string }[]
}

interface TableMerge {
  table: string
  storedAs: string
  columns: string[]
  key: string[]
  /** Predicate of rows that a migrate makes by itself. */
  ours: string | null
  track: string
  parents: { columns: string[]; parent: string; parentColumns: string[] }[]
}

const quoted = (alias: string, columns: string[]) => columns.map(c => `${alias}.${ident(c)}`).join(', ')
const sameKey = (key: string[], a: string, b: string) =>
  key.map(c => `${a}.${ident(c)} = ${b}.${ident(c)}`).join(' and ')

/** Rows whose parent is there: a workspace that was deleted meanwhile does not come back with its session. */
const parentsThere = (m: TableMerge): string =>
  m.parents
    .map(
      p => `(${p.columns.map(c => `a.${ident(c)} is null`).join(' or ')} or exists (
      select from ${p.parent} p where ${p.columns.map((c, i) => `p.${ident(p.parentColumns[i]!)} = a.${ident(c)}`).join(' and ')}))`,
    )
    .join(' and ') || 'true'

/**
 * Merges a stretch of pages of an archived table into the present one. Rules: a row that is gone comes back;
 * a row that people had edited before the rollback wins over one that a backfill made again and nobody
 * touched; a row that was touched since stays and is reported. Run again, it changes nothing.
 */
export async function mergeTable(
  sql: Db,
  m: TableMerge,
  source: string,
  pages: [string, string],
): Promise<{ inserted: number; updated: number }> {
  const columns = m.columns.map(ident).join(', ')
  const inserted = await sql.unsafe(
    `insert into ${m.table} (${columns})
     select ${quoted('a', m.columns)} from only ${source} a
     where a.ctid >= $1::tid and a.ctid < $2::tid and ${parentsThere(m)}
     on conflict do nothing`,
    pages,
  )
  // "edited" is what no batch of a backfill wrote last, in the archive; "untouched" the
  // same, in the present table
  const rest = m.columns.filter(c => !m.key.includes(c))
  const updated =
    rest.length === 0
      ? { count: 0 }
      : await sql.unsafe(
          `update ${m.table} t set ${rest.map(c => `${ident(c)} = a.${ident(c)}`).join(', ')}
           from only ${source} a
           where a.ctid >= $2::tid and a.ctid < $3::tid
             and ${sameKey(m.key, 't', 'a')} and row(${quoted('t', rest)}) is distinct from row(${quoted('a', rest)})
             and a.xmin::text::bigint not in ${batchXids} and t.xmin::text::bigint in ${batchXids}`,
          [m.track, ...pages],
        )
  return { inserted: inserted.count, updated: updated.count }
}

/** Archived rows that were left as they are, with the reason. */
export async function tableConflicts(sql: Db, m: TableMerge): Promise<Merged['conflicts']> {
  const rest = m.columns.filter(c => !m.key.includes(c))
  const rows = await sql.unsafe<{ key: string; reason: string }[]>(
    `select concat_ws(',', ${quoted('a', m.key)}) as key,
       case when t.${ident(m.key[0]!)} is null then 'its parent row is gone' else 'it was changed after the rollback' end as reason
     from ${m.storedAs} a left join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where t.${ident(m.key[0]!)} is null
        or (a.xmin::text::bigint not in ${batchXids} and row(${quoted('t', rest)}) is distinct from row(${quoted('a', rest)}))
     order by 1
     limit 1000`,
    [m.track],
  )
  return [...rows]
}

/**
 * Takes away rows that the migrate before this restore has made because the archived ones were not there yet,
 * and that nobody has touched: with the archive back, the track's own predicate calls them superseded.
 */
export async function removeSuperseded(sql: Db, m: TableMerge, superseded: string): Promise<number> {
  const result = await sql.unsafe(
    `delete from ${m.table}
     where (${m.ours ?? 'false'}) and (${superseded})
       and not exists (select from ${m.storedAs} a where ${sameKey(m.key, m.table, 'a')})
       and ${m.table}.xmin::text::bigint in (
         select (b.xid::text::numeric % 4294967296)::bigint from rethread.batches b
         join rethread.backfills f on f.id = b.backfill where f.track = $1)`,
    [m.track],
  )
  return result.count
}

interface ColumnMerge {
  table: string
  column: string
  storedAs: string
  key: string[]
  ours: string | null
  parents: TableMerge['parents']
}

/**
 * Gives archived values back to the rows that still carry the value a migrate gives by
 * itself. One stretch of pages.
 */
export async function mergeColumn(sql: Db, m: ColumnMerge, pages: [string, string]): Promise<number> {
  const result = await sql.unsafe(
    `update ${m.table} t set ${ident(m.column)} = a.${ident(m.column)}
     from ${m.storedAs} a
     where a.ctid >= $1::tid and a.ctid < $2::tid and ${sameKey(m.key, 't', 'a')}
       and t.${ident(m.column)} is distinct from a.${ident(m.column)}
       and (t.${ident(m.column)} is null or (${scoped(m)}))
       and ${parentsThere({ ...m, parents: m.parents.filter(p => p.columns.includes(m.column)) } as never)}`,
    pages,
  )
  return result.count
}

/**
 * The predicate speaks of the table's columns without an alias; a subselect keeps them
 * apart from the archive's.
 */
const scoped = (m: ColumnMerge): string =>
  `exists (select from (select t.*) as own where ${m.ours ?? 'false'})`

/** Values that could not be given back, with the reason. */
export async function columnConflicts(sql: Db, m: ColumnMerge): Promise<{ key: string; reason: string }[]> {
  const rows = await sql.unsafe<{ key: string; reason: string }[]>(
    `select concat_ws(',', ${quoted('a', m.key)}) as key,
       case when t.${ident(m.key[0]!)} is null then 'the row is gone'
         when not (${parentsThere({ ...m, parents: m.parents.filter(p => p.columns.includes(m.column)) } as never)}) then 'what it points at is gone'
         else 'it was changed after the rollback' end as reason
     from ${m.storedAs} a left join ${m.table} t on ${sameKey(m.key, 't', 'a')}
     where t.${ident(m.column)} is distinct from a.${ident(m.column)}
     order by 1
     limit 1000`,
  )
  return [...rows]
}
