import { type Db, ident } from '../database/types.js'
import { type TableName, tableText } from '../model/table_name.js'

/** The relation that a name refers to with the current search_path. */
export interface Relation {
  oid: number
  schema: string
  name: string
  /** Its name as SQL. */
  text: string
  /** `pg_class.relkind`: r, p (partitioned), v, m, f (foreign), c (composite type). */
  kind: string
  temporary: boolean
  /** Whether it has children that are not partitions. */
  inherited: boolean
  /** Whether it is an archive, the list of archives, the quarantine, or the list of failed rows. */
  archive: boolean
}

/** The relation of each name; null if there is none. */
export async function relationsOf(sql: Db, names: TableName[]): Promise<(Relation | null)[]> {
  if (names.length === 0) return []
  const written = names.map(t => (t.schema === null ? '' : `${ident(t.schema)}.`) + ident(t.name))
  const rows = await sql<(Omit<Relation, 'text'> & { position: number })[]>`
    select wanted.position::int as position, c.oid::int8 as oid, n.nspname::text as schema, c.relname::text as name,
      c.relkind::text as kind, c.relpersistence = 't' as temporary,
      exists (
        select from pg_catalog.pg_inherits i join pg_catalog.pg_class child on child.oid = i.inhrelid
        where i.inhparent = c.oid and not child.relispartition
      ) as inherited,
      n.nspname = 'rethread_archive' and c.relname ~ '^(archives|quarantine|failed_rows|r[0-9]+_.*)$' as archive
    from unnest(${written}::text[]) with ordinality as wanted (name, position)
    join pg_catalog.pg_class c on c.oid = to_regclass(wanted.name)
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace`
  const found = new Map(rows.map(row => [row.position, row]))
  return names.map((_, i) => {
    const row = found.get(i + 1)
    return row ? { ...row, text: tableText(row) } : null
  })
}

/** The state of a table with rows, or of a composite type, at one moment of a transaction. */
export interface Holding {
  oid: number
  schema: string
  name: string
  /** The root of its partition tree; its own oid if it is no partition. */
  root: number
  /** The file node of its rows. It changes with TRUNCATE and with each rewrite. */
  file: number
  /** Names of its columns, by attribute number. */
  columns: Record<string, string>
  /** Rows that this session has deleted and inserted, including attempts that were rolled back. */
  deleted: number
  inserted: number
}

/**
 * Everything of users that has rows, with the numbers of rows that this session has changed. Differences
 * within one transaction are exact, because the server only resets the counts between transactions. Null if
 * `track_counts` is off.
 */
export async function holdings(sql: Db): Promise<Map<number, Holding> | null> {
  const rows = await sql<(Holding & { counted: boolean })[]>`
    select c.oid::int8 as oid, n.nspname::text as schema, c.relname::text as name,
      coalesce(case when c.relispartition then pg_catalog.pg_partition_root(c.oid) end, c.oid)::int8 as root,
      c.relfilenode::int8 as file,
      (select coalesce(json_object_agg(a.attnum, a.attname), '{}') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
      pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)::float8 as deleted,
      pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid)::float8 as inserted,
      current_setting('track_counts')::boolean as counted
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'c') and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'rethread')`
  return rows.some(r => !r.counted) ? null : new Map(rows.map(r => [r.oid, r]))
}

/**
 * The relations that this transaction has locked with ACCESS EXCLUSIVE. They include everything that it has
 * dropped, truncated or rewritten, and nothing that another session has dropped.
 */
export async function exclusivelyLocked(sql: Db): Promise<ReadonlySet<number>> {
  const rows = await sql<{ oid: number }[]>`
    select l.relation::int8 as oid
    from pg_catalog.pg_locks l
    where l.pid = pg_catalog.pg_backend_pid() and l.locktype = 'relation' and l.granted and l.mode = 'AccessExclusiveLock'
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())`
  return new Set(rows.map(r => r.oid))
}

/** Runs deferred constraints and their triggers now. */
export async function runDeferred(sql: Db): Promise<void> {
  await sql.unsafe('set constraints all immediate')
}

/** A plain statement with only this deletion, as a suggestion. Names are SQL. */
export const plainDeletion = (kind: string, table: string, column: string | null): string =>
  kind === 'table'
    ? `drop table ${table};`
    : kind === 'column'
      ? `alter table ${table} drop column ${column};`
      : `delete from ${table} where ...;`
