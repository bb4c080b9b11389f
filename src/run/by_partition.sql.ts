import type { Db } from '../database/types.js'

/** A table of a partition tree below its root, and what it has of an index of the root's or a constraint. */
export interface Part {
  /** `schema.table` as SQL. */
  table: string
  /** It is partitioned itself. */
  parted: boolean
  /** How many steps below the root. */
  level: number
  /** `schema.index` as SQL of the index that belongs to that of the root. */
  index: string
  /** The same without the schema. */
  indexName: string
  indexExists: boolean
  indexValid: boolean
  indexAttached: boolean
  /** The index of the table one level above that it belongs to. */
  parentIndex: string
  /** Of the constraint of this name: null where there is none. */
  constraintValid: boolean | null
  constraintDefinition: string | null
}

/** True when the name is that of a partitioned table or of an index of one. */
export async function isPartitioned(sql: Db, name: string): Promise<boolean> {
  const [row] = await sql<{ parted: boolean }[]>`
    select c.relkind in ('p', 'I') as parted from pg_catalog.pg_class c where c.oid = to_regclass(${name})`
  return row?.parted ?? false
}

/**
 * The tables below a partitioned table, from the top down. Indexes of partitions are named after the root's
 * and their table, by a hash where that is more than a name may have.
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

/** The server's version, as a number such as 150010. */
export async function versionNumber(sql: Db): Promise<number> {
  const [row] = await sql<{ n: number }[]>`select current_setting('server_version_num')::int as n`
  return row!.n
}

/** Drops an index; that of a partitioned table can't be dropped concurrently. */
export const dropIndexText = (index: string, concurrently: boolean): string =>
  `drop index ${concurrently ? 'concurrently ' : ''}if exists ${index}`

/** Makes a partition's index one of the index of the table above it. */
export const attachText = (parent: string, index: string): string =>
  `alter index ${parent} attach partition ${index}`

/** Validates a constraint of one partition. */
export const validateText = (table: string, name: string): string =>
  `alter table ${table} validate constraint ${name}`

/** Drops a constraint where there is one. */
export const dropConstraintText = (table: string, name: string): string =>
  `alter table ${table} drop constraint if exists ${name}`

/** Adds a constraint by the definition that the catalog has of it. */
export const addConstraintText = (table: string, name: string, definition: string): string =>
  `alter table ${table} add constraint ${name} ${definition}`

/** An index like another: without partitions, or of one partition and built concurrently. */
export const createIndexText = (
  head: string,
  index: string,
  only: boolean,
  table: string,
  tail: string,
): string => `${head}${only ? '' : ' concurrently'} ${index} on ${only ? 'only ' : ''}${table}${tail}`

/** The same change of another table. */
export const alterTableText = (table: string, tail: string): string => `alter table ${table}${tail}`
