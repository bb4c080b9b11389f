import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'

/**
 * What one person saw of one table; rows, hash and ids are null where there was no row
 * security and all was open.
 */
export interface StoredVisibility {
  person: string
  relation: string
  rows: number | null
  hash: string | null
  /** The first ids in order, up to a limit; fewer than `rows` when there were more. */
  ids: string[] | null
  at: string
}

/** Stores what somebody sees; what was stored first stays. */
export async function storeVisibility(
  sql: Db,
  { run, track, person, relation }: { run: number; track: string; person: string; relation: string },
  visibility: Pick<StoredVisibility, 'rows' | 'hash' | 'ids'>,
): Promise<void> {
  await sql`
    insert into rethread.sights (run, track, person, relation, rows, hash, ids)
    values (${run}, ${track}, ${person}, ${relation}, ${visibility.rows}, ${visibility.hash}, ${visibility.ids === null ? null : JSON.stringify(visibility.ids)}::text::jsonb)
    on conflict (track, person, relation) do nothing`
}

/** What was stored of a track; nothing where the tool's schema is not there. */
export async function storedVisibility(sql: Db, track: string): Promise<StoredVisibility[]> {
  if (!(await relationExists(sql, 'rethread.sights'))) return []
  return sql<StoredVisibility[]>`
    select person, relation, rows::float8 as rows, hash, ids, at::text as at
    from rethread.sights where track = ${track}
    order by relation, person`
}

/**
 * Somebody's rows of a table as a count and an order-free hash of ids, and the ids themselves up to a limit.
 */
export interface Visibility {
  rows: number
  hash: string
  ids: string[]
}

/** Whether a role may read a table, or columns of it. */
export async function mayRead(sql: Db, role: string, table: string): Promise<boolean> {
  const [row] = await sql<{ may: boolean }[]>`
    select has_schema_privilege(${role}, c.relnamespace, 'USAGE')
      and has_any_column_privilege(${role}, c.oid, 'SELECT') as may
    from pg_catalog.pg_class c where c.oid = ${table}::regclass`
  return row!.may
}

/** How many rows a table has, as far as a predicate says. */
export async function rowsWhere(sql: Db, table: string, where: string): Promise<number> {
  const [row] = await sql.unsafe<{ rows: number }[]>(
    `select count(*)::float8 as rows from ${table} where ${where}`,
  )
  return row!.rows
}

/** Most ids that are kept of what one person sees in one table. */
const mostIds = 5000

/** What the current role sees of a table, or with full sight what a predicate says. */
export async function readVisibility(
  sql: Db,
  table: string,
  id: string,
  where = 'true',
): Promise<Visibility> {
  const [row] = await sql.unsafe<Visibility[]>(
    `select count(*)::float8 as rows, coalesce(sum(hashtextextended(x.id, 0)::numeric), 0)::text as hash,
       coalesce(array_agg(x.id order by x.id) filter (where x.n <= ${mostIds}), '{}') as ids
     from (select ${ident(id)}::text as id, row_number() over (order by ${ident(id)}::text) as n from ${table} where ${where}) x`,
  )
  return row!
}
