import type { Db } from '../database/types.js'

/** Begins a restore, or finds an interrupted one. Returns what it must apply again. */
export async function beginRestore(
  sql: Db,
  r: { run: number; track: string; archive: number; migrations: string[] },
): Promise<string[]> {
  await sql`
    insert into rethread.restores (run, track, archive, migrations)
    values (${r.run}, ${r.track}, ${r.archive}, ${r.migrations}::text[])
    on conflict (track, archive) where state <> 'done' do nothing`
  const [row] = await sql<{ migrations: string[] }[]>`
    select migrations from rethread.restores where track = ${r.track} and archive = ${r.archive} and state <> 'done'`
  return row!.migrations
}

/** Ends a restore. */
export async function endRestore(sql: Db, track: string, archive: number): Promise<void> {
  await sql`
    update rethread.restores set state = 'done', finished_at = clock_timestamp()
    where track = ${track} and archive = ${archive} and state <> 'done'`
}

/** Whether the table or column of each archive exists. */
export async function archivedThere(
  sql: Db,
  archives: { relation: string; column: string | null }[],
): Promise<boolean[]> {
  const rows = await sql<{ there: boolean }[]>`
    select case when w.column_name = '' then to_regclass(w.relation) is not null else exists (
      select from pg_catalog.pg_attribute a
      where a.attrelid = to_regclass(w.relation) and a.attname = w.column_name and a.attnum > 0 and not a.attisdropped) end as there
    from unnest(${archives.map(a => a.relation)}::text[], ${archives.map(a => a.column ?? '')}::text[])
      with ordinality as w (relation, column_name, position)
    order by w.position`
  return rows.map(r => r.there)
}
