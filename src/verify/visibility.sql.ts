import { relationExists } from '../database/catalog.sql.js'
import type { Db } from '../database/types.js'

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
