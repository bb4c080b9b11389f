import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident, literal } from '../database/types.js'
import type { VisibleRows } from '../model/project.js'

/**
 * What one user saw of one table. `rows`, `hash` and `ids` are null if there was no row security and
 * everything was visible.
 */
export interface StoredVisibility {
  person: string
  relation: string
  rows: number | null
  hash: string | null
  /** The ids; fewer than `rows` if there were too many. */
  ids: string[] | null
  /** How many rows were examined; null for all. */
  of: number | null
  run: number
  at: string
}

/** Stores what a user sees at the start of the transaction. An earlier record stays. */
export async function storeVisibility(
  sql: Db,
  {
    person,
    relation,
    ...seen
  }: Pick<StoredVisibility, 'person' | 'relation' | 'rows' | 'hash' | 'ids' | 'of' | 'run' | 'at'>,
  track: string,
): Promise<void> {
  await sql`
    insert into rethread.sights (run, track, person, relation, rows, hash, ids, sampled, at)
    values (${seen.run}, ${track}, ${person}, ${relation}, ${seen.rows}, ${seen.hash},
      ${seen.ids === null ? null : JSON.stringify(seen.ids)}::text::jsonb, ${seen.of}, ${seen.at}::text::timestamptz)
    on conflict (track, person, relation) do nothing`
}

/** Stores the ids of the sample that was examined. */
export async function storeSample(
  sql: Db,
  { run, track, relation }: { run: number; track: string; relation: string },
  ids: string[],
): Promise<void> {
  await sql`
    insert into rethread.sight_samples (run, track, relation, ids)
    values (${run}, ${track}, ${relation}, ${JSON.stringify(ids)}::text::jsonb)
    on conflict do nothing`
}

/** The ids of a run's sample; null if it examined all rows. */
export async function storedSample(
  sql: Db,
  { run, track, relation }: { run: number; track: string; relation: string },
): Promise<string[] | null> {
  if (!(await relationExists(sql, 'rethread.sight_samples'))) return null
  const [row] = await sql<{ ids: string[] }[]>`
    select ids from rethread.sight_samples where run = ${run} and track = ${track} and relation = ${relation}`
  return row?.ids ?? null
}

/** What was stored for a track. Empty if the tool's schema does not exist. */
export async function storedVisibility(sql: Db, track: string): Promise<StoredVisibility[]> {
  if (!(await relationExists(sql, 'rethread.sights'))) return []
  // a ledger of an older version has no samples
  return sql<StoredVisibility[]>`
    select person, relation, rows::float8 as rows, hash, ids, run::float8 as run, at::text as at,
      (to_jsonb(s) ->> 'sampled')::float8 as of
    from rethread.sights s where track = ${track}
    order by relation, run, person`
}

/** When the transaction began, by the server's clock. */
export async function transactionTime(sql: Db): Promise<string> {
  const [row] = await sql<{ at: string }[]>`select now()::text as at`
  return row!.at
}

/** Whether a role may read a table or some of its columns. */
export async function mayRead(sql: Db, role: string, table: string): Promise<boolean> {
  const [row] = await sql<{ may: boolean }[]>`
    select has_schema_privilege(${role}, c.relnamespace, 'USAGE')
      and has_any_column_privilege(${role}, c.oid, 'SELECT') as may
    from pg_catalog.pg_class c where c.oid = ${table}::regclass`
  return row!.may
}

/** How many rows of a table satisfy a predicate. */
export async function rowsWhere(sql: Db, table: string, where: string): Promise<number> {
  const [row] = await sql.unsafe<{ rows: number }[]>(
    `select count(*)::float8 as rows from ${table} where ${where}`,
  )
  return row!.rows
}

/** Of these ids, those whose row is still in one of the tables, or in the quarantine. */
export async function idsKept(sql: Db, from: VisibleRows[], ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const aside = await relationExists(sql, 'rethread_archive.quarantine')
  const places: string[] = []
  for (const { table, id } of from) {
    if (await relationExists(sql, table)) places.push(`select x.${ident(id)}::text from ${table} x`)
    if (aside)
      places.push(`select k.id from rethread_archive.quarantine q
        cross join lateral unnest(array[q.key, q.original ->> ${literal(id)}]) k (id)
        where q.relation = ${literal(table)}`)
  }
  if (places.length === 0) return new Set()
  const rows = await sql.unsafe<{ id: string }[]>(
    `select p.id from (${places.join(' union all ')}) p (id)
     where p.id in (select jsonb_array_elements_text($1::text::jsonb))`,
    [JSON.stringify(ids)],
  )
  return new Set(rows.map(r => r.id))
}
