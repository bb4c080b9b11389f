import { relationExists } from '../database/catalog.sql.js'
import type { Db } from '../database/types.js'

/** A row of the list of archives. */
export interface ArchiveRow {
  id: number
  run: number
  track: string
  migration: string
  relation: string
  column: string | null
  storedAs: string
  keyColumns: string[]
  ours: string | null
  rows: number
  state: string
  hash: string | null
  at: string
  /** True for rows that a DELETE removed from a table that still exists. */
  deleted: boolean
  /** Keys that a restore could not restore; null before the first restore. */
  left: string[] | null
  /** Rows that users had made or changed, according to the loss report; null if it could not count them. */
  made: number | null
}

/** The name of the migration in archives of rows that `prune` has deleted. */
export const pruneStep = 'prune'

/** All archives, newest first. Empty if the schema does not exist. */
export async function listArchives(sql: Db): Promise<ArchiveRow[]> {
  if (!(await relationExists(sql, 'rethread_archive.archives'))) return []
  return sql<ArchiveRow[]>`
    select id, run, track, migration, relation, column_name as column, stored_as as "storedAs",
      key_columns as "keyColumns", ours, rows, state, hash, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
      manifest @> '[{"kind": "deleted rows"}]' as deleted,
      (select e -> 'keys' from jsonb_array_elements(manifest) e where e ->> 'kind' = 'left') as left,
      (select (e ->> 'rows')::float8 from jsonb_array_elements(manifest) e where e ->> 'kind' = 'made') as made
    from rethread_archive.archives
    order by id desc`
}

/** Whether a rollback of a track ended before its archives were sealed. */
export async function hasUnsealed(sql: Db, track: string): Promise<boolean> {
  if (!(await relationExists(sql, 'rethread_archive.archives'))) return false
  const [row] = await sql<{ any: boolean }[]>`
    select exists (select from rethread_archive.archives where track = ${track} and state = 'capturing') as any`
  return row!.any
}

/** Adds an archive to the list. Returns its id. */
export async function addArchive(
  sql: Db,
  a: Omit<ArchiveRow, 'id' | 'rows' | 'hash' | 'at' | 'deleted' | 'left' | 'made'> & { manifest?: object[] },
): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    insert into rethread_archive.archives (run, track, migration, relation, column_name, stored_as, key_columns, ours, state, manifest)
    values (${a.run}, ${a.track}, ${a.migration}, ${a.relation}, ${a.column}, ${a.storedAs}, ${a.keyColumns}::text[], ${a.ours}, ${a.state},
      ${sql.json((a.manifest ?? []) as never)})
    returning id`
  return row!.id
}

/** Assigns archives of interrupted rollbacks of a track to one run, so that they are restored together. */
export async function adoptArchives(sql: Db, track: string, run: number): Promise<void> {
  await sql`update rethread_archive.archives set run = ${run} where track = ${track} and state = 'capturing'`
}

/** Completes an archive with its count and hash. */
export async function sealArchive(
  sql: Db,
  id: number,
  seal: { rows: number; hash: string | null },
): Promise<void> {
  await sql`
    update rethread_archive.archives
    set state = 'kept', rows = ${seal.rows}, hash = ${seal.hash}
    where id = ${id}`
}

/** Stores how many rows of an archive users had made or changed. It cannot be found out later. */
export async function noteMade(sql: Db, id: number, rows: number): Promise<void> {
  await sql`
    update rethread_archive.archives a
    set manifest = a.manifest || jsonb_build_array(jsonb_build_object('kind', 'made', 'name', a.relation, 'rows', ${rows}::float8))
    where a.id = ${id}`
}

/** Stores the keys that a restore could not restore. A repeated restore processes only these. */
export async function noteLeft(sql: Db, id: number, keys: string[]): Promise<void> {
  await sql`
    update rethread_archive.archives a
    set manifest = coalesce((select jsonb_agg(e) from jsonb_array_elements(a.manifest) e where e ->> 'kind' <> 'left'), '[]')
      || jsonb_build_array(jsonb_build_object('kind', 'left', 'name', a.relation, 'keys', ${sql.json(keys as never)}::jsonb))
    where a.id = ${id}`
}

/** Marks an archive as restored, and deletes what was stored about its rows, in one statement. */
export async function markRestored(sql: Db, id: number): Promise<void> {
  await sql`
    with noted as (delete from rethread_archive.brought_back where archive = ${id})
    update rethread_archive.archives set state = 'restored' where id = ${id}`
}

/** Counts the rows of a table. An estimate is not sufficient for a seal. */
export async function countRows(sql: Db, table: string): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(`select count(*)::float8 as n from ${table}`)
  return row!.n
}

/** A foreign key: its columns, the referenced table and columns, and its ON DELETE action. */
export interface ParentKey {
  name: string
  columns: string[]
  parent: string
  parentColumns: string[]
  validated: boolean
  /** `pg_constraint.confdeltype`: a and r refuse, c deletes, n sets null, d sets the default. */
  onDelete: string
}

/** The foreign keys of a table. Referenced tables have their schema, whatever the search_path is. */
export async function foreignKeys(sql: Db, table: string): Promise<ParentKey[]> {
  return sql<ParentKey[]>`
    select c.conname::text as name, c.convalidated as validated, c.confdeltype::text as "onDelete",
      array(select a.attname::text from unnest(c.conkey) with ordinality k (n, o)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.o) as columns,
      (select format('%I.%I', n.nspname, p.relname) from pg_catalog.pg_class p
        join pg_catalog.pg_namespace n on n.oid = p.relnamespace where p.oid = c.confrelid) as parent,
      array(select a.attname::text from unnest(c.confkey) with ordinality k (n, o)
        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by k.o) as "parentColumns"
    from pg_catalog.pg_constraint c
    where c.contype = 'f' and c.conrelid = ${table}::regclass`
}

/** Upper limit of the bytes of a copied column of these tables: the size of the tables. */
export async function copiedBytes(sql: Db, tables: string[]): Promise<number> {
  const [row] = await sql<{ bytes: number }[]>`
    select coalesce(sum(pg_catalog.pg_table_size(to_regclass(t))), 0)::float8 as bytes from unnest(${tables}::text[]) as t`
  return row!.bytes
}

/** Archives older than some days, newest first. */
export async function oldArchives(sql: Db, days: number): Promise<ArchiveRow[]> {
  const old = await sql<{ id: number }[]>`
    select id from rethread_archive.archives where at < now() - make_interval(days => ${days})`
  const ids = new Set(old.map(o => o.id))
  return (await listArchives(sql)).filter(a => ids.has(a.id) && a.state !== 'capturing')
}

/** Drops the stored rows of an archive and removes it from the list. */
export async function dropArchive(sql: Db, a: Pick<ArchiveRow, 'id' | 'storedAs'>): Promise<void> {
  await sql.unsafe(`drop table if exists ${a.storedAs}`)
  await sql`delete from rethread_archive.brought_back where archive = ${a.id}`
  await sql`delete from rethread_archive.archives where id = ${a.id}`
}
