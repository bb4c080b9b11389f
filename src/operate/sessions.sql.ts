import { columnFacts } from '../database/catalog.sql.js'
import { isDataFault } from '../database/faults.js'
import { type Db, literal, ident as q } from '../database/types.js'
import { messageValue, readAs } from '../model/message_value.js'
import type { TrackInfo } from '../model/project.js'
import type { Cells } from '../model/report.js'
import { plannedCost } from '../verify/row_groups.sql.js'

const countOf = (info: TrackInfo): string => {
  const { sessions: s, messages: m } = info
  if (s.history) return `jsonb_array_length(s.${q(s.history)})`
  if (!m) return 'null'
  return `(select count(*)::int from ${m.table} m where m.${q(m.session)} = s.${q(m.to ?? s.id)})`
}

const joins = (info: TrackInfo): { columns: string; from: string } => {
  const list = info.sessions.with ?? []
  return {
    columns: list
      .map((w, i) => w.columns.map(c => `, w${i}.${q(c)} as ${q(`${w.as}_${c}`)}`).join(''))
      .join(''),
    from: list.map((w, i) => ` left join ${w.table} w${i} on w${i}.id = s.${q(w.on)}`).join(''),
  }
}

/** A condition that a column has one of the values of a parameter, for which an index is of use. */
async function isOneOf(sql: Db, table: string, column: string, parameter: number): Promise<string> {
  const values = `jsonb_array_elements_text($${parameter}::text::jsonb)`
  const [type] = await sql<{ name: string }[]>`
    -- without its length, to which a longer value would be cut
    select quote_ident(n.nspname) || '.' || quote_ident(t.typname) as name
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where a.attrelid = to_regclass(${table}) and a.attname = ${column} and a.attnum > 0 and not a.attisdropped`
  return `s.${q(column)} = any (array(select v::${type?.name ?? 'text'} from ${values} v))`
}

/** The same where not every value may be one of the column's type: the server refuses to take those for one. */
const isOneOfTexts = (column: string, parameter: number): string =>
  `s.${q(column)}::text in (select jsonb_array_elements_text($${parameter}::text::jsonb))`

/** What the first finds; where a value is none of a column's type, what the second does. */
async function orByText<T>(exact: Promise<T[]>, byText: () => Promise<T[]>): Promise<T[]> {
  try {
    return await exact
  } catch (error) {
    if (!isDataFault(error)) throw error
    return byText()
  }
}

/** Sessions, most recent first; `where` has the wanted values by the name of the filter. */
export async function listSessions(
  sql: Db,
  info: TrackInfo,
  where: Record<string, string[]>,
  limit: number,
): Promise<Cells[]> {
  const { sessions: s, filters = {} } = info
  const asked = Object.entries(where)
  const args = asked.map(([, values]) => JSON.stringify(values))
  // an index in descending order has nulls first: where there are none, both orders are the same
  const active = await columnFacts(sql, s.table, s.active)
  const nulls = active?.notNull ? '' : 'nulls last'
  const shown = Object.entries(filters).map(([name, f]) => `, s.${q(f.column)}::text as ${q(name)}`)
  const { columns, from } = joins(info)
  const list = (conditions: string[]): Promise<Cells[]> =>
    sql.unsafe<Cells[]>(
      `select s.${q(s.id)}::text as session${s.title ? `, s.${q(s.title)} as title` : ''}${shown.join('')}${columns},
         to_char(s.${q(s.active)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as active, ${countOf(info)} as messages
       from ${s.table} s${from}
       where ${conditions.join(' and ') || 'true'}
       order by s.${q(s.active)} desc ${nulls}, s.${q(s.id)}
       limit ${limit}`,
      args,
    )
  const exact: string[] = []
  for (const [i, [name]] of asked.entries())
    exact.push(await isOneOf(sql, s.table, filters[name]!.column, i + 1))
  return orByText(list(exact), () =>
    list(asked.map(([name], i) => isOneOfTexts(filters[name]!.column, i + 1))),
  )
}

/** One session with all its columns, what it is joined with nested; null when there is none. */
export async function readSession(sql: Db, info: TrackInfo, id: string): Promise<Cells | null> {
  const { sessions: s } = info
  const nested = (s.with ?? [])
    .map((w, i) => ` || jsonb_build_object(${literal(w.as)}, to_jsonb(w${i}))`)
    .join('')
  const [row] = await orByText(
    sql.unsafe<{ session: Cells }[]>(
      `select (to_jsonb(s)${s.history ? ` - ${literal(s.history)}` : ''}${nested}) as session
       from ${s.table} s${joins(info).from}
       where ${await isOneOf(sql, s.table, s.id, 1)}`,
      [JSON.stringify([id])],
    ),
    async () => [],
  )
  return row?.session ?? null
}

/** The role of a message; of several columns, the first that its table has and that says something. */
const roleOf = (role: string | string[], reads: TrackInfo['reads']): string =>
  typeof role === 'string'
    ? `${readAs(reads?.role, `m.${q(role)}`)}::text`
    : `coalesce(${role.map(c => `to_jsonb(m) ->> ${literal(c)}`).join(', ')})`

/** The messages of one session in order; the newest `limit` of them, or all. */
export async function readMessages(
  sql: Db,
  info: TrackInfo,
  id: string,
  limit: number | null,
): Promise<{ at: string | null; role: string | null; content: string | null }[]> {
  const { sessions: s, messages: m } = info
  const most = limit === null ? '' : `limit ${limit}`
  const isIt = await isOneOf(sql, s.table, s.id, 1)
  const wanted = [JSON.stringify([id])]
  if (s.history)
    return sql.unsafe(
      `select x.at, x.role, x.content from (
         select e.n, e.value ->> 'timestamp' as at, e.value ->> 'role' as role, coalesce(e.value ->> 'content', e.value::text) as content
         from ${s.table} s cross join lateral jsonb_array_elements(s.${q(s.history)}) with ordinality as e (value, n)
         where ${isIt}
         order by e.n desc ${most}
       ) x order by x.n`,
      wanted,
    )
  if (!m) return []
  const created = messageValue(info, 'created', 'm')
  return sql.unsafe(
    `select x.at, x.role, x.content from (
       select ${created} as created, m.ctid as place, to_char(${created} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
         ${roleOf(m.role, info.reads)} as role, ${messageValue(info, 'content', 'm')}::text as content
       from ${m.table} m join ${s.table} s on m.${q(m.session)} = s.${q(m.to ?? s.id)}
       where ${isIt}
       order by ${created} desc nulls last, m.ctid desc ${most}
     ) x order by x.created, x.place`,
    wanted,
  )
}

/** Messages from which on they are not counted but estimated: counting reads an index from end to end. */
const mostCounted = 1_000_000

/** How many messages there are as the server believes where they are too many to count, else null. */
export async function estimatedMessages(sql: Db, info: TrackInfo): Promise<number | null> {
  if (!info.messages || info.sessions.history) return null
  const rows = (await plannedCost(sql, `select from ${info.messages.table}`)).rows
  return rows > mostCounted ? rows : null
}

/** Counts of sessions and messages, and of the last day. With `about` messages the table is not read for it. */
export async function countAll(sql: Db, info: TrackInfo, about: number | null): Promise<Cells> {
  const { sessions: s, messages: m } = info
  const messages = s.history
    ? `(select coalesce(sum(jsonb_array_length(s.${q(s.history)})), 0)::int from ${s.table} s)`
    : m
      ? about === null
        ? `(select count(*)::int from ${m.table})`
        : `${about}::float8`
      : 'null::int'
  // a message makes its session as new as it is, and is found by the index on both
  const bySession =
    about === null || !m
      ? ''
      : `and m.${q(m.session)} in (select s.${q(m.to ?? s.id)} from ${s.table} s where s.${q(s.active)} > now() - interval '24 hours')`
  const lately =
    m && !s.history
      ? `(select count(*)::int from ${m.table} m where ${messageValue(info, 'created', 'm')} > now() - interval '24 hours' ${bySession})`
      : 'null::int'
  const [row] = await sql.unsafe<Cells[]>(
    `select (select count(*)::int from ${s.table}) as sessions, ${messages} as "messages${about === null ? '' : ', about'}",
       (select count(*)::int from ${s.table} s where s.${q(s.active)} > now() - interval '24 hours') as "sessions active in the last 24 h",
       ${lately} as "messages of the last 24 h"`,
  )
  return row!
}

/** Bytes of the tables and their indexes. */
export async function sizesOf(sql: Db, tables: string[]): Promise<Cells[]> {
  return sql<Cells[]>`
    select t as "table", pg_table_size(to_regclass(t))::float8 as bytes, pg_indexes_size(to_regclass(t))::float8 as "index bytes"
    from unnest(${tables}::text[]) as t
    where to_regclass(t) is not null`
}

/**
 * The sessions with most messages. Of `about` messages in all those that the server's statistics name, with
 * the numbers that follow from them.
 */
export async function largestSessions(
  sql: Db,
  info: TrackInfo,
  limit: number,
  about: number | null,
): Promise<Cells[]> {
  const { sessions: s, messages: m } = info
  const named = `s.${q(s.id)}::text as session${s.title ? `, s.${q(s.title)} as title` : ''}`
  if (about === null || !m)
    return sql.unsafe<Cells[]>(
      `select ${named}, ${countOf(info)} as messages
       from ${s.table} s order by messages desc nulls last limit ${limit}`,
    )
  const common = await sql<{ value: string; share: number }[]>`
    select v.value, v.share::float8 as share
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_stats p on p.schemaname = n.nspname and p.tablename = c.relname and p.attname = ${m.session}
    cross join unnest(p.most_common_vals::text::text[], p.most_common_freqs) with ordinality as v (value, share, place)
    where c.oid = to_regclass(${m.table})
    order by v.place limit ${limit}`
  const it = await isOneOf(sql, s.table, m.to ?? s.id, 1)
  return sql.unsafe<Cells[]>(
    `select ${named}, round((x.share * ${about})::numeric)::float8 as "messages, about"
     from ${s.table} s join jsonb_to_recordset($2::text::jsonb) as x (value text, share float8) on x.value = s.${q(m.to ?? s.id)}::text
     where ${it}
     order by x.share desc limit ${limit}`,
    [JSON.stringify(common.map(c => c.value)), JSON.stringify(common)],
  )
}

/** Values of a column that is a foreign key by itself to which no row of the other table belongs. */
export async function unknownParents(
  sql: Db,
  table: string,
  column: string,
  values: string[],
): Promise<{ value: string; table: string; column: string }[]> {
  const [key] = await sql<{ table: string; column: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as table, p.attname::text as column
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and k.conkey = array[a.attnum]
    join pg_catalog.pg_attribute p on p.attrelid = k.confrelid and k.confkey = array[p.attnum]
    join pg_catalog.pg_class c on c.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where k.contype = 'f' and k.conrelid = to_regclass(${table}) and a.attname = ${column}
      -- who can't see every row can't say that one is not there
      and pg_catalog.has_table_privilege(c.oid, 'SELECT') and not pg_catalog.row_security_active(c.oid)
    limit 1`
  if (!key) return []
  const rows = await sql.unsafe<{ value: string }[]>(
    `select v as value from jsonb_array_elements_text($1::text::jsonb) v
     where not exists (select from ${key.table} p where p.${q(key.column)}::text = v)`,
    [JSON.stringify(values)],
  )
  return rows.map(r => ({ ...r, ...key }))
}
