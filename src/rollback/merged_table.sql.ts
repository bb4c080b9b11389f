import { type Db, ident } from '../database/types.js'

/** A column as a merge has to know it. */
export interface MergedColumn {
  name: string
  generated: boolean
  /** GENERATED ALWAYS AS IDENTITY: an INSERT may override it, an UPDATE may not. */
  always: boolean
  /** NOT NULL, and nothing gives it a value. */
  wanted: boolean
}

/** The columns of a table. */
export async function mergedColumns(sql: Db, table: string): Promise<MergedColumn[]> {
  return sql<MergedColumn[]>`
    select a.attname::text as name, a.attgenerated <> '' as generated, a.attidentity = 'a' as always,
      a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attgenerated = '' as wanted
    from pg_catalog.pg_attribute a
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped
    order by a.attnum`
}

/** Archived values of a column that is no longer in its table. */
export async function valuesIn(sql: Db, storedAs: string, column: string): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(${ident(column)})::float8 as n from ${storedAs}`,
  )
  return row!.n
}

/** Moves the sequences of a table beyond the numbers that came back. */
export async function advanceSequences(sql: Db, table: string): Promise<void> {
  const sequences = await sql<{ sequence: string; column: string }[]>`
    select s.sequence, quote_ident(a.attname) as column
    from pg_catalog.pg_attribute a
    cross join lateral pg_get_serial_sequence(${table}, a.attname) as s (sequence)
    where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped and s.sequence is not null`
  for (const { sequence, column } of sequences)
    await sql.unsafe(
      `select setval('${sequence.replaceAll("'", "''")}', m.most)
       from (select max(${column}) as most from ${table}) m, ${sequence} s
       where m.most > case when s.is_called then s.last_value else s.last_value - 1 end`,
    )
}

/** Holds off the application's triggers on a table in this transaction; gives what `release` wants. */
export async function holdOff(sql: Db, table: string): Promise<string[]> {
  const [row] = await sql<{ undo: string[] }[]>`
    select rethread_archive.hold_off(${table}::regclass, false, false) as undo`
  return row!.undo
}

/** Lets them fire again. */
export async function release(sql: Db, undo: string[]): Promise<void> {
  for (const again of undo) await sql.unsafe(again)
}

/** The statement that adds an archived column again, for people to send. */
export const columnAgain = (table: string, column: string, type: string): string =>
  `alter table ${table} add column ${ident(column)} ${type}`
