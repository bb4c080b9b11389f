import { relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'

/** A foreign key that points at a table. */
export interface Reference {
  /** Its name, and the table that has it, as SQL. */
  constraint: string
  table: string
  columns: string[]
  parentColumns: string[]
}

/** The foreign keys that point at a table, its own included; those of partitions are their table's. */
export async function referencesTo(sql: Db, table: string): Promise<Reference[]> {
  return sql<Reference[]>`
    select c.conname::text as constraint, format('%I.%I', n.nspname, r.relname) as table,
      array(select a.attname::text from unnest(c.conkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum order by k.position) as columns,
      array(select a.attname::text from unnest(c.confkey) with ordinality k (attnum, position)
        join pg_catalog.pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum order by k.position) as "parentColumns"
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_class r on r.oid = c.conrelid
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
    where c.contype = 'f' and c.conparentid = 0 and c.confrelid = to_regclass(${table})
    order by 2, 1`
}

/**
 * Whether a row has another one that points at it. As a list of values, not row by row: it is asked of few
 * rows, and mostly no index leads from a row to what points at it.
 */
export function isReferenced(alias: string, table: string, references: Reference[]): string {
  if (references.length === 0) return 'false'
  const asked = references.map(r => {
    const own = `(${r.parentColumns.map(c => `${alias}.${ident(c)}`).join(', ')})`
    const theirs = r.columns.map(c => `rethread_child.${ident(c)}`)
    const filled = theirs.map(c => `${c} is not null`)
    // a row that points at itself goes with itself
    const others =
      r.table === table
        ? [
            `(${theirs.join(', ')}) is distinct from (${r.parentColumns.map(c => `rethread_child.${ident(c)}`).join(', ')})`,
          ]
        : []
    return `${own} in (select ${theirs.join(', ')} from ${r.table} rethread_child where ${[...filled, ...others].join(' and ')})`
  })
  return `coalesce(${asked.join(' or ')}, false)`
}

/** How many rows the last report of a run said that a backfill takes out; null where none did. */
export async function announcedRows(sql: Db, track: string, migration: string): Promise<number | null> {
  if (!(await relationExists(sql, 'rethread.announced'))) return null
  const [row] = await sql<{ rows: number }[]>`
    select rows::float8 as rows from rethread.announced where track = ${track} and migration = ${migration}`
  return row?.rows ?? null
}

/** Keeps how many rows a report has named: consent by name alone is for no more than these. */
export async function announceRows(sql: Db, track: string, migration: string, rows: number): Promise<void> {
  await sql`
    insert into rethread.announced (track, migration, rows) values (${track}, ${migration}, ${rows})
    on conflict (track, migration) do update set rows = excluded.rows, at = excluded.at`
}
