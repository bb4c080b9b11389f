import { type Db, ident } from '../database/types.js'

/** A column of a table that a seed writes. */
export interface SeededColumn {
  table: string
  name: string
  /** True if it takes integers, where a file may have a uuid. */
  isInteger: boolean
  /** True for GENERATED ALWAYS AS IDENTITY: a given value needs OVERRIDING SYSTEM VALUE. */
  isIdentity: boolean
  /** True if a value must be given: NOT NULL without a default. */
  isRequired: boolean
  /** True if it is in a unique index: another row's value would be refused. */
  isUnique: boolean
  /** The table and column that it references, else null. */
  refersTo: { table: string; column: string } | null
  /** SQL for a value of its type, different in each row if the type allows it. Null if there is none. */
  made: string | null
}

/** The columns of these tables, with what a seed needs to know. */
export async function seededColumns(sql: Db, tables: string[]): Promise<SeededColumn[]> {
  return sql<SeededColumn[]>`
    select t.name as table, a.attname::text as name,
      b.typ in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) as "isInteger",
      a.attidentity = 'a' as "isIdentity",
      (a.attnotnull or y.typnotnull) and not a.atthasdef and y.typdefault is null
        and a.attidentity = '' and a.attgenerated = '' as "isRequired",
      exists (select from pg_catalog.pg_index i
          where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey::int2[]))
        or exists (select from pg_catalog.pg_constraint x
          where x.conrelid = a.attrelid and x.contype = 'x' and a.attnum = any (x.conkey)) as "isUnique",
      (select json_build_object('table', format('%I.%I', rn.nspname, r.relname), 'column',
         (select p.attname from pg_catalog.pg_attribute p
          where p.attrelid = f.confrelid and p.attnum = f.confkey[1]))
       from pg_catalog.pg_constraint f
       join pg_catalog.pg_class r on r.oid = f.confrelid
       join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
       where f.conrelid = a.attrelid and f.contype = 'f' and f.conkey = array[a.attnum] order by f.oid limit 1) as "refersTo",
      case
        when z.typtype = 'e' then (
          select quote_literal(e.enumlabel) from pg_catalog.pg_enum e
          where e.enumtypid = z.oid order by e.enumsortorder limit 1)
        when b.typ = 'uuid'::regtype then 'gen_random_uuid()'
        when b.typ in ('json'::regtype, 'jsonb'::regtype, 'bytea'::regtype)
          then quote_literal(case when b.typ = 'bytea'::regtype then '' else '{}' end)
        when z.typcategory = 'S' then format('left(md5(random()::text), %s)',
          least(32, coalesce(nullif(greatest(a.atttypmod, y.typtypmod), -1) - 4, 32)))
        when z.typcategory = 'N' then 'floor(random() * 30000)'
        when z.typcategory = 'D' then 'now()'
        when z.typcategory = 'B' then 'false'
        when z.typcategory = 'A' then quote_literal('{}')
        when z.typcategory = 'R' then quote_literal(case when z.typtype = 'm' then '{}' else 'empty' end)
        when z.typcategory = 'T' then quote_literal('0')
        when z.typcategory = 'I' then quote_literal('127.0.0.1')
      end as made
    from unnest(${tables}::text[]) as t (name)
    join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.name) and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type y on y.oid = a.atttypid
    cross join lateral (
      with recursive base (typ) as (
        select a.atttypid
        union all
        select d.typbasetype from base join pg_catalog.pg_type d on d.oid = base.typ and d.typtype = 'd')
      select base.typ from base join pg_catalog.pg_type k on k.oid = base.typ and k.typtype <> 'd') b
    join pg_catalog.pg_type z on z.oid = b.typ
    order by t.name, a.attnum`
}

/** Some existing value of a column as text; null if there is none. */
export async function anyValue(sql: Db, table: string, column: string): Promise<string | null> {
  const [row] = await sql.unsafe<{ value: string }[]>(
    `select ${ident(column)}::text as value from ${table} where ${ident(column)} is not null limit 1`,
  )
  return row?.value ?? null
}

/** Rows with one given column, where they are not there yet. */
export const parentRows = (table: string, column: string, rows: string): string =>
  `insert into ${table} (${ident(column)}) values ${rows} on conflict do nothing`
