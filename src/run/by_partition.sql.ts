import type { Db } from '../database/types.js'

/** A table below the root of a partition tree, with its part of an index or constraint of the root. */
export interface Part {
  /** `schema.table` as SQL. */
  table: string
  /** True if it is partitioned itself. */
  parted: boolean
  /** Its level below the root. */
  level: number
  /** The index that belongs to the root's index: `schema.index` as SQL. */
  index: string
  /** The same without the schema. */
  indexName: string
  indexExists: boolean
  indexValid: boolean
  indexAttached: boolean
  /** The index of the parent table to which it is attached. */
  parentIndex: string
  /** Whether the constraint is validated; null if the table has none with this name. */
  constraintValid: boolean | null
  constraintDefinition: string | null
}

/** True for the name of a partitioned table or of an index of one. */
export async function isPartitioned(sql: Db, name: string): Promise<boolean> {
  const [row] = await sql<{ parted: boolean }[]>`
    select c.relkind in ('p', 'I') as parted from pg_catalog.pg_class c where c.oid = to_regclass(${name})`
  return row?.parted ?? false
}

/**
 * The tables below a partitioned table, top down. The name of a partition's index consists of the root's name
 * and that of its table; if that is too long, of a hash.
 */
export async function partsOf(sql: Db, table: string, object: string): Promise<Part[]> {
  return sql<Part[]>`
    with part as (
      select c.oid, p.level, c.relkind = 'p' as parted, n.nspname, c.relname, p.parentrelid as parent, case
        when p.level = 0 then ${object}
        when octet_length(${object} || '_' || c.relname) <= 63 then ${object} || '_' || c.relname
        else left(${object}, 40) || '_' || left(md5(n.nspname || '.' || c.relname), 12) end as index
      from pg_catalog.pg_partition_tree(to_regclass(${table})) p
      join pg_catalog.pg_class c on c.oid = p.relid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    )
    select format('%I.%I', p.nspname, p.relname) as table, p.parted, p.level,
      format('%I.%I', p.nspname, p.index) as index,
      format('%I', p.index) as "indexName",
      i.indexrelid is not null as "indexExists",
      coalesce(i.indisvalid and i.indisready, false) as "indexValid",
      exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid) as "indexAttached",
      format('%I.%I', a.nspname, a.index) as "parentIndex",
      k.convalidated as "constraintValid", pg_get_constraintdef(k.oid) as "constraintDefinition"
    from part p
    join part a on a.oid = p.parent
    left join pg_catalog.pg_index i on i.indrelid = p.oid and i.indexrelid = to_regclass(format('%I.%I', p.nspname, p.index))
    left join pg_catalog.pg_constraint k on k.conrelid = p.oid and k.conname = ${object}
    where p.level > 0
    order by p.level, 1`
}

/** The server's version number, such as 150010. */
export async function versionNumber(sql: Db): Promise<number> {
  const [row] = await sql<{ n: number }[]>`select current_setting('server_version_num')::int as n`
  return row!.n
}

/** DROP INDEX. CONCURRENTLY is not possible for a partitioned table. */
export const dropIndexText = (index: string, concurrently: boolean): string =>
  `drop index ${concurrently ? 'concurrently ' : ''}if exists ${index}`

/** Attaches a partition's index to the index of its parent table. */
export const attachText = (parent: string, index: string): string =>
  `alter index ${parent} attach partition ${index}`

/** Validates a constraint of one partition. */
export const validateText = (table: string, name: string): string =>
  `alter table ${table} validate constraint ${name}`

/** Drops a constraint if it exists. */
export const dropConstraintText = (table: string, name: string): string =>
  `alter table ${table} drop constraint if exists ${name}`

/** Adds a constraint with its definition from the catalog. */
export const addConstraintText = (table: string, name: string, definition: string): string =>
  `alter table ${table} add constraint ${name} ${definition}`

/**
 * A CREATE INDEX like another one: on the root without its partitions, or on one partition and CONCURRENTLY.
 */
export const createIndexText = (
  head: string,
  index: string,
  only: boolean,
  table: string,
  tail: string,
): string => `${head}${only ? '' : ' concurrently'} ${index} on ${only ? 'only ' : ''}${table}${tail}`

/** The same ALTER TABLE for another table. */
export const alterTableText = (table: string, tail: string): string => `alter table ${table}${tail}`
