import { seesAllRows } from '../database/catalog.sql.js'
import { type Db, literal } from '../database/types.js'
import { partText, tableText } from '../model/table_name.js'
import { namesakesAmong } from './likeness.js'

/** A column of an application's table, with what shows its role in a track. */
export interface ApplicationColumn {
  column: string
  /** The type without its length; for a domain, its base type. */
  base: string
  /** True if it is the whole primary key. */
  key: boolean
  /** True if it is NOT NULL and unique. */
  unique: boolean
  /** Targets of the foreign keys that consist of this column alone. */
  references: { table: string; column: string }[]
  /** The tables that its name is that of, such as `accounts` for `account_id`. */
  namesakes: string[]
}

/** A table of the application. */
export interface ApplicationTable {
  /** Its schema-qualified name, as SQL. */
  table: string
  schema: string
  name: string
  columns: ApplicationColumn[]
}

/** The target of a foreign key. */
interface Lead {
  schema: string
  name: string
  column: string
}

/**
 * Schemas of the server, of extensions and services, and of rethread. They hold no tables of an application.
 */
const foreign =
  '^(pg_|rethread|supabase_)|^(information_schema|chat_private|storage|realtime|_realtime|vault|graphql|graphql_public|extensions|cron|net|pgsodium|drizzle)$'

/** All tables that may be those of an application's chats. Of the schema `auth`, only the table of users. */
export async function applicationTables(sql: Db): Promise<ApplicationTable[]> {
  type Row = Omit<ApplicationColumn, 'references' | 'namesakes'> & {
    schema: string
    name: string
    leads: Lead[]
  }
  const rows = await sql<Row[]>`
    with tables as (
      select c.oid, n.nspname::text as schema, c.relname::text as name
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ ${foreign}
        and (n.nspname <> 'auth' or c.relname = 'users')
        and not exists (
          select from pg_catalog.pg_depend d
          where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    ),
    keys as (
      select i.indrelid, i.indkey[0] as attnum, bool_or(i.indisprimary) as is_primary
      from pg_catalog.pg_index i
      where i.indisunique and i.indisvalid and i.indnkeyatts = 1 and i.indpred is null and i.indkey[0] > 0
      group by 1, 2
    ),
    links as (
      select k.conrelid, k.conkey[1] as attnum, jsonb_agg(distinct jsonb_build_object(
        'schema', rn.nspname, 'name', r.relname, 'column', ra.attname)) as leads
      from pg_catalog.pg_constraint k
      join pg_catalog.pg_class r on r.oid = k.confrelid
      join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
      join pg_catalog.pg_attribute ra on ra.attrelid = k.confrelid and ra.attnum = k.confkey[1]
      where k.contype = 'f' and cardinality(k.conkey) = 1
      group by 1, 2
    )
    select t.schema, t.name, a.attname::text as column,
      format_type(coalesce(nullif(y.typbasetype, 0), a.atttypid), null) as base,
      coalesce(k.is_primary, false) as key, coalesce(k.attnum is not null and a.attnotnull, false) as unique,
      coalesce(l.leads, '[]'::jsonb) as leads
    from tables t
    join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    join pg_catalog.pg_type y on y.oid = a.atttypid
    left join keys k on k.indrelid = t.oid and k.attnum = a.attnum
    left join links l on l.conrelid = t.oid and l.attnum = a.attnum
    order by t.schema, t.name, a.attnum`
  const found = new Map<string, ApplicationTable>()
  for (const { schema, name, leads, ...column } of rows) {
    const table = tableText({ schema, name })
    const known = found.get(table) ?? { table, schema, name, columns: [] }
    found.set(table, known)
    known.columns.push({
      ...column,
      references: leads.map(l => ({ table: tableText(l), column: l.column })),
      namesakes: [],
    })
  }
  const tables = [...found.values()]
  const namesakes = namesakesAmong(tables)
  for (const column of tables.flatMap(t => t.columns)) column.namesakes = namesakes(column.column)
  return tables
}

/** Most rows that are read to see how many have a value. */
const sampled = 1000

/** The share of rows that have a value, by column. Null if not all rows can be seen or there are none. */
export async function filledShares(
  sql: Db,
  table: string,
  columns: string[],
): Promise<Map<string, number> | null> {
  if (!(await seesAllRows(sql, table))) return null
  const counts = columns.map((c, n) => `, count(${partText(c)})::int as c${n}`).join('')
  const [row] = await sql.unsafe<Record<string, number>[]>(
    `select count(*)::int as rows${counts} from (select * from ${table} limit ${sampled}) t`,
  )
  if (row!.rows === 0) return null
  return new Map(columns.map((c, n) => [c, row![`c${n}`]! / row!.rows!]))
}

/**
 * In a sample of rows that have a value: how many lead to a row of another table, by each of its columns.
 * Null if not all rows can be seen.
 */
export async function ledRows(
  sql: Db,
  table: string,
  column: string,
  target: string,
  keys: string[],
): Promise<number[] | null> {
  if (!(await seesAllRows(sql, table)) || !(await seesAllRows(sql, target))) return null
  const counts = keys.map(
    (k, n) =>
      `count(*) filter (where exists (select from ${target} x where x.${partText(k)} = t.v))::int as k${n}`,
  )
  const [row] = await sql.unsafe<Record<string, number>[]>(
    `select ${counts.join(', ')} from (
       select ${partText(column)} as v from ${table} where ${partText(column)} is not null limit ${sampled}) t`,
  )
  return keys.map((_, n) => row![`k${n}`]!)
}

/** The values of a column in a sample of rows. */
export interface SeenValues {
  rows: number
  /** Distinct values, at most ten; all labels of an enum, and all words of a list in a CHECK. */
  some: string[]
  /** True if the column accepts no other values: it is an enum, or a CHECK lists them. */
  closed: boolean
  /** The largest number; null if no value is a number. */
  largest: number | null
  /** True if every value is an ISO 8601 time. */
  iso: boolean
  /** True where some value is. */
  someIso: boolean
}

/**
 * Reads the values of a column in a sample of rows. Of an enum, all its labels are values; so are the words
 * of `check (column in (...))`.
 */
export async function seenValues(sql: Db, table: string, column: string, iso: string): Promise<SeenValues> {
  const [row] = await sql.unsafe<SeenValues[]>(
    `with own as (
       select a.attrelid, a.attnum, coalesce(nullif(y.typbasetype, 0), y.oid) as type from pg_catalog.pg_attribute a
       join pg_catalog.pg_type y on y.oid = a.atttypid
       where a.attrelid = ${literal(table)}::regclass and a.attname = ${literal(column)}
     ),
     listed as (
       select coalesce((
         select array_agg(e.enumlabel::text order by e.enumsortorder) from own o join pg_catalog.pg_enum e on e.enumtypid = o.type
       ), (
         select array(select replace(w[1], '''''', '''') from regexp_matches(c.def, '''((?:[^'']|'''')*)''::', 'g') w)
         from own o
         cross join lateral (
           select pg_get_constraintdef(k.oid) as def from pg_catalog.pg_constraint k
           where k.contype = 'c' and k.conrelid = o.attrelid and k.conkey = array[o.attnum]) c
         where c.def ~ '^CHECK \\(\\([^=<>~'']* = ANY \\(+ARRAY\\[(''([^'']|'''')*''::[a-z ]+(, )?)+\\]\\)?(::text\\[\\])?\\)\\)\\)*$' limit 1
       )) as words
     )
     select count(v)::int as rows, coalesce(min(l.words), (array_agg(distinct v) filter (where v is not null))[1:10], '{}') as some,
       bool_or(l.words is not null) as closed,
       max(case when v ~ '^\\d+(\\.\\d+)?$' then v::numeric end)::float8 as largest,
       coalesce(bool_and(v ~ $1), false) as iso, coalesce(bool_or(v ~ $1), false) as "someIso"
     from listed l left join (select ${partText(column)}::text as v from ${table} where ${partText(column)} is not null limit ${sampled}) t on true`,
    [iso],
  )
  return row!
}

/**
 * Whether a JSON column holds lists of objects that say whose each is, or documents with such lists, in some
 * rows; null where no row says anything, and where not all rows can be seen.
 */
export async function holdsMessages(sql: Db, table: string, column: string): Promise<boolean | null> {
  if (!(await seesAllRows(sql, table))) return null
  const [row] = await sql.unsafe<{ holds: boolean | null }[]>(
    `select bool_or(v ~ '^\\s*\\[\\s*\\{' and v ~ '"(role|author|from|sender|isCreatedByUser)"\\s*:'
         or v ~ '^\\s*\\{' and v ~ '"(mapping|messages|chat_messages|messagesTree)"\\s*:') as holds
     from (select left(${partText(column)}::text, 1000) as v from ${table} limit ${sampled}) t
     where v !~ '^\\s*(\\[\\s*\\]|\\{\\s*\\}|null)\\s*$'`,
  )
  return row!.holds
}

/** The expressions of the policies of tables, as the server prints them. */
export async function policyTexts(sql: Db, tables: string[]): Promise<string[]> {
  const rows = await sql<{ text: string }[]>`
    select concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) as text
    from pg_catalog.pg_policy p
    where p.polrelid = any (array(select to_regclass(t) from unnest(${tables}::text[]) t)) order by p.polname`
  return rows.map(r => r.text)
}

/** The time zone of connections that set none. */
export async function serverZone(sql: Db): Promise<string> {
  const [row] = await sql<{ zone: string }[]>`
    select reset_val as zone from pg_catalog.pg_settings where name = 'TimeZone'`
  return row!.zone
}
