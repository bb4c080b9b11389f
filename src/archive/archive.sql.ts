import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'

/** What would be lost of one object. `untouched` came from a backfill and nobody wrote it since. */
export interface LossRow {
  rows: number
  untouched: number
  edited: number
  users: number
}

/** Transaction ids of a track's batches, as the 32 bits that `xmin` shows. */
const batchXids = `(
  select (b.xid::text::numeric % 4294967296)::bigint
  from rethread.batches b
  join rethread.backfills f on f.id = b.backfill
  where f.track = $1
)`

/**
 * Counts a table's rows, or a column's values, by where they came from. `ours`: the predicate for what a
 * repeated migrate makes again.
 */
export async function lossOf(
  sql: Db,
  track: string,
  table: string,
  column: string | null,
  ours: string | null,
): Promise<LossRow> {
  const [row] = await sql.unsafe<LossRow[]>(
    `select
       count(*)::float8 as rows,
       (count(*) filter (where mine and made))::float8 as untouched,
       (count(*) filter (where mine and not made))::float8 as edited,
       (count(*) filter (where not mine))::float8 as users
     from (
       select coalesce((${ours ?? 'false'}), false) as mine, t.xmin::text::bigint in ${batchXids} as made
       from ${table} t
       ${column === null ? '' : `where t.${ident(column)} is not null`}
     ) x`,
    [track],
  )
  return row!
}

/**
 * Rows or values at risk only, of all these objects with one statement: for the line that `migrate` and `status` print.
 * Of a column, what a repeated migrate makes again is not counted at all, so that an index on it is enough.
 */
export async function riskOf(
  sql: Db,
  track: string,
  objects: { table: string; column: string | null; ours: string | null }[],
): Promise<number> {
  const counts = objects.map(({ table, column, ours }) =>
    column === null
      ? `select count(*) as n from ${table} t
         where coalesce((${ours ?? 'false'}), false) is not true or t.xmin::text::bigint not in (select xid from made)`
      : `select count(*) as n from ${table} t where t.${ident(column)} is not null and not (${ours ?? 'false'})`,
  )
  const [row] = await sql.unsafe<{ n: number }[]>(
    `with made (xid) as materialized ${batchXids}
     select coalesce(sum(n), 0)::float8 as n from (${counts.join(' union all ')}) c`,
    [track],
  )
  return row!.n
}

/** An archive as the list knows it. */
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
  /** True for rows that a DELETE removed from a table that stays. */
  deleted: boolean
}

/** All archives, newest first; none when the schema is not there. */
export async function listArchives(sql: Db): Promise<ArchiveRow[]> {
  if (!(await relationExists(sql, 'rethread_archive.archives'))) return []
  return sql<ArchiveRow[]>`
    select id, run, track, migration, relation, column_name as column, stored_as as "storedAs",
      key_columns as "keyColumns", ours, rows, state, hash, to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
      manifest @> '[{"kind": "deleted rows"}]' as deleted
    from rethread_archive.archives
    order by id desc`
}

/** Notes an archive; returns its id. */
export async function addArchive(
  sql: Db,
  a: {
    run: number
    track: string
    migration: string
    relation: string
    column: string | null
    storedAs: string
    keyColumns: string[]
    ours: string | null
    state: string
    manifest?: object[]
  },
): Promise<number> {
  const [row] = await sql<{ id: number }[]>`
    insert into rethread_archive.archives (run, track, migration, relation, column_name, stored_as, key_columns, ours, state, manifest)
    values (${a.run}, ${a.track}, ${a.migration}, ${a.relation}, ${a.column}, ${a.storedAs}, ${a.keyColumns}::text[], ${a.ours}, ${a.state},
      ${sql.json((a.manifest ?? []) as never)})
    returning id`
  return row!.id
}

/** Gives what interrupted rollbacks of a track have archived to one run, so that they come back together. */
export async function adoptArchives(sql: Db, track: string, run: number): Promise<void> {
  await sql`update rethread_archive.archives set run = ${run} where track = ${track} and state = 'capturing'`
}

/** Completes an archive with its count and its hash. */
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

/** Marks an archive as brought back. */
export async function markRestored(sql: Db, id: number): Promise<void> {
  await sql`update rethread_archive.archives set state = 'restored' where id = ${id}`
}

/** Rows of a table as the planner last counted them are not enough for a seal: counts. */
export async function countRows(sql: Db, table: string): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(`select count(*)::float8 as n from ${table}`)
  return row!.n
}

/**
 * Makes the table for a column's values and the trigger that catches what is written while they are copied.
 */
export async function startCapture(
  sql: Db,
  id: number,
  table: string,
  column: string,
  key: string[],
  storedAs: string,
): Promise<void> {
  const columns = [...key, column].map(ident).join(', ')
  const keys = key.map(ident).join(', ')
  const values = [...key, column].map(c => `new.${ident(c)}`).join(', ')
  await sql.unsafe(`
    create table ${storedAs} as select ${columns} from ${table} with no data;
    alter table ${storedAs} add primary key (${keys});
    create function rethread_archive.capture_${id}() returns trigger
    language plpgsql security definer set search_path = '' set row_security = off as $capture$
    begin
      if new.${ident(column)} is not null then
        insert into ${storedAs} (${columns}) values (${values})
        on conflict (${keys}) do update set ${ident(column)} = excluded.${ident(column)};
      end if;
      return null;
    end
    $capture$;
    revoke all on function rethread_archive.capture_${id}() from public;`)
}

/** Whether a capture is attached: a run may have been stopped before it was. */
export async function isCapturing(sql: Db, id: number, table: string): Promise<boolean> {
  const [row] = await sql<{ there: boolean }[]>`
    select exists (
      select from pg_catalog.pg_trigger where tgrelid = ${table}::regclass and tgname = ${`rethread_capture_${id}`}
    ) as there`
  return row!.there
}

/** Attaches the capture; takes SHARE ROW EXCLUSIVE for a moment. */
export async function attachCapture(sql: Db, id: number, table: string, column: string): Promise<void> {
  await sql.unsafe(`
    create trigger rethread_capture_${id} after insert or update of ${ident(column)} on ${table}
    for each row execute function rethread_archive.capture_${id}()`)
}

/** Detaches the capture, in the transaction that drops the column. */
export async function endCapture(sql: Db, id: number, table: string): Promise<void> {
  await sql.unsafe(`
    drop trigger if exists rethread_capture_${id} on ${table};
    drop function if exists rethread_archive.capture_${id}()`)
}

/** Copies the values at risk of one stretch of pages; what the capture wrote first stays. */
export async function copyValues(
  sql: Db,
  from: { relation: string; column: string; key: string[]; ours: string | null; storedAs: string },
  pages: [string, string],
): Promise<number> {
  const columns = [...from.key, from.column].map(ident).join(', ')
  const result = await sql.unsafe(
    `insert into ${from.storedAs} (${columns})
     select ${columns} from only ${from.relation} t
     where t.ctid >= $1::tid and t.ctid < $2::tid and t.${ident(from.column)} is not null and not (${from.ours ?? 'false'})
     on conflict do nothing`,
    pages,
  )
  return result.count
}

/** Foreign keys of a table: its columns, and the table and columns they point at. */
export async function foreignKeys(
  sql: Db,
  table: string,
): Promise<{ columns: string[]; parent: string; parentColumns: string[] }[]> {
  return sql<{ columns: string[]; parent: string; parentColumns: string[] }[]>`
    select
      array(select a.attname::text from unnest(c.conkey) with ordinality k (n, o)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.n order by k.o) as columns,
      c.confrelid::regclass::text as parent,
      array(select a.attname::text from unnest(c.confkey) with ordinality k (n, o)
        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.n order by k.o) as "parentColumns"
    from pg_catalog.pg_constraint c
    where c.contype = 'f' and c.conrelid = ${table}::regclass`
}

/**
 * Rows (or values of a column) that people wrote within some seconds; what a migrate
 * makes by itself is left out.
 */
export async function recentRows(
  sql: Db,
  table: string,
  column: string | null,
  ours: string | null,
  time: string,
  seconds: number,
): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::float8 as n from ${table} t
     where t.${ident(time)} > now() - interval '${seconds} seconds' and t.${ident(time)} <= now()
       and not coalesce((${ours ?? 'false'}), false) ${column === null ? '' : `and t.${ident(column)} is not null`}`,
  )
  return row!.n
}

/** Bytes that copies of a column of these tables may take: no more than the tables themselves. */
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

/** Drops what an archive stores, and forgets it. */
export async function dropArchive(sql: Db, a: Pick<ArchiveRow, 'id' | 'storedAs'>): Promise<void> {
  await sql.unsafe(`drop table if exists ${a.storedAs}`)
  await sql`delete from rethread_archive.archives where id = ${a.id}`
}
