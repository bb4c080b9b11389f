import { type Db, ident, literal } from '../database/types.js'

/** A column with what a merge needs to know. */
export interface MergedColumn {
  name: string
  /** Its type with length or precision, as SQL. */
  type: string
  /** The type without length, so that a value that is too long is refused and not cut. */
  bareType: string
  generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: an INSERT may override it, an UPDATE may not. */
  always: boolean
  /** Whether the column or its domain is NOT NULL. */
  notNull: boolean
  /** Its default as SQL; null if there is none, as for an identity column. */
  default: string | null
  /** True if it is NOT NULL and nothing gives it a value. */
  wanted: boolean
}

/** The columns of a table. */
export async function mergedColumns(sql: Db, table: string): Promise<MergedColumn[]> {
  return sql<MergedColumn[]>`
    select c.*, c."notNull" and c.default is null and not c.numbered and not c.generated as wanted
    from (
      select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as type,
        format_type(a.atttypid, -1) as "bareType", a.attgenerated <> '' as generated,
        a.attidentity = 'a' as always, a.attidentity <> '' as numbered,
        a.attnotnull or y.typtype = 'd' and y.typnotnull as "notNull",
        case when a.attgenerated <> '' then null when d.oid is not null then pg_get_expr(d.adbin, d.adrelid)
          when y.typdefault is not null then format('%L::%s', y.typdefault, y.oid::regtype) end as default
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type y on y.oid = a.atttypid
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped
      order by a.attnum
    ) c`
}

/** Whether the server converts one type into the other in an assignment. */
export async function isAssigned(sql: Db, from: string, to: string): Promise<boolean> {
  const [row] = await sql<{ assigned: boolean }[]>`
    select f.oid = t.oid or exists (
      select from pg_catalog.pg_cast c where c.castsource = f.oid and c.casttarget = t.oid and c.castcontext in ('i', 'a')) as assigned
    from pg_catalog.pg_type f, pg_catalog.pg_type t
    where f.oid = ${from}::regtype and t.oid = ${to}::regtype`
  return row?.assigned ?? false
}

/**
 * Whether a table refuses ON CONFLICT, and its deferrable keys. It does if a unique constraint is deferrable
 * or a rule exists for INSERT or UPDATE, even a disabled one.
 */
export async function noConflictClause(
  sql: Db,
  table: string,
): Promise<{ refused: boolean; late: string[] }> {
  const [row] = await sql<{ ruled: boolean; late: string[] }[]>`
    select exists (
        select from pg_catalog.pg_rewrite w where w.ev_class = ${table}::regclass and w.ev_type in ('2', '3')) as ruled,
      array(
        select format('%I.%I', n.nspname, c.conname)
        from pg_catalog.pg_constraint c join pg_catalog.pg_namespace n on n.oid = c.connamespace
        where c.conrelid = ${table}::regclass and c.contype in ('p', 'u', 'x') and c.condeferrable order by 1) as late`
  return { refused: row!.ruled || row!.late.length > 0, late: row!.late }
}

/** How many archived values a column has that no longer exists in its table. */
export async function valuesIn(sql: Db, storedAs: string, column: string): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(${ident(column)})::float8 as n from ${storedAs}`,
  )
  return row!.n
}

/** Advances the sequences of a table beyond the restored numbers. */
export async function advanceSequences(sql: Db, table: string): Promise<void> {
  const sequences = await sql<{ sequence: string; column: string }[]>`
    select s.sequence, quote_ident(a.attname) as column
    from pg_catalog.pg_attribute a
    cross join lateral pg_get_serial_sequence(${table}, a.attname) as s (sequence)
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped and s.sequence is not null`
  for (const { sequence, column } of sequences)
    await sql.unsafe(
      `select setval(${literal(sequence)}, m.most)
       from (select max(${column}) as most from ${table}) m, ${sequence} s
       where m.most > case when s.is_called then s.last_value else s.last_value - 1 end`,
    )
}

/** Disables the application's triggers on a table in this transaction. Returns the input of `release`. */
export async function holdOff(sql: Db, table: string): Promise<string[]> {
  const [row] = await sql<{ undo: string[] }[]>`
    select rethread_archive.hold_off(${table}::regclass, false, false) as undo`
  return row!.undo
}

/** Enables them again. */
export async function release(sql: Db, undo: string[]): Promise<void> {
  for (const again of undo) await sql.unsafe(again)
}

/** The statement that adds an archived column again, as a suggestion. */
export const columnAgain = (table: string, column: string, type: string): string =>
  `alter table ${table} add column ${ident(column)} ${type}`
