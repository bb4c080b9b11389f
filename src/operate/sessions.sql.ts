import { type Db, literal, ident as q } from '../database/types.js'
import { messageValue, readAs } from '../model/message_value.js'
import type { TrackInfo } from '../model/project.js'
import type { Cells } from '../model/report.js'

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

/** Sessions, most recent first; `where` has the wanted values by the name of the filter. */
export async function listSessions(
  sql: Db,
  info: TrackInfo,
  where: Record<string, string[]>,
  limit: number,
): Promise<Cells[]> {
  const { sessions: s, filters = {} } = info
  const args: string[] = []
  const conditions = Object.entries(where).map(([name, values]) => {
    args.push(JSON.stringify(values))
    return `s.${q(filters[name]!.column)}::text in (select jsonb_array_elements_text($${args.length}::text::jsonb))`
  })
  const shown = Object.entries(filters).map(([name, f]) => `, s.${q(f.column)}::text as ${q(name)}`)
  const { columns, from } = joins(info)
  return sql.unsafe<Cells[]>(
    `select s.${q(s.id)}::text as session${s.title ? `, s.${q(s.title)} as title` : ''}${shown.join('')}${columns},
       to_char(s.${q(s.active)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as active, ${countOf(info)} as messages
     from ${s.table} s${from}
     where ${conditions.join(' and ') || 'true'}
     order by s.${q(s.active)} desc nulls last, s.${q(s.id)}
     limit ${limit}`,
    args,
  )
}

/** One session with all its columns, what it is joined with nested; null when there is none. */
export async function readSession(sql: Db, info: TrackInfo, id: string): Promise<Cells | null> {
  const { sessions: s } = info
  const nested = (s.with ?? [])
    .map((w, i) => ` || jsonb_build_object(${literal(w.as)}, to_jsonb(w${i}))`)
    .join('')
  const [row] = await sql.unsafe<{ session: Cells }[]>(
    `select (to_jsonb(s)${s.history ? ` - ${literal(s.history)}` : ''}${nested}) as session
     from ${s.table} s${joins(info).from}
     where s.${q(s.id)}::text = $1`,
    [id],
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
  if (s.history)
    return sql.unsafe(
      `select x.at, x.role, x.content from (
         select e.n, e.value ->> 'timestamp' as at, e.value ->> 'role' as role, coalesce(e.value ->> 'content', e.value::text) as content
         from ${s.table} s cross join lateral jsonb_array_elements(s.${q(s.history)}) with ordinality as e (value, n)
         where s.${q(s.id)}::text = $1
         order by e.n desc ${most}
       ) x order by x.n`,
      [id],
    )
  if (!m) return []
  const created = messageValue(info, 'created', 'm')
  return sql.unsafe(
    `select x.at, x.role, x.content from (
       select ${created} as created, m.ctid as place, to_char(${created} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
         ${roleOf(m.role, info.reads)} as role, ${messageValue(info, 'content', 'm')}::text as content
       from ${m.table} m join ${s.table} s on m.${q(m.session)} = s.${q(m.to ?? s.id)}
       where s.${q(s.id)}::text = $1
       order by ${created} desc nulls last, m.ctid desc ${most}
     ) x order by x.created, x.place`,
    [id],
  )
}

/** Counts of sessions and messages, and of the last day. */
export async function countAll(sql: Db, info: TrackInfo): Promise<Cells> {
  const { sessions: s, messages: m } = info
  const messages = s.history
    ? `(select coalesce(sum(jsonb_array_length(s.${q(s.history)})), 0)::int from ${s.table} s)`
    : m
      ? `(select count(*)::int from ${m.table})`
      : 'null::int'
  const lately =
    m && !s.history
      ? `(select count(*)::int from ${m.table} m where ${messageValue(info, 'created', 'm')} > now() - interval '24 hours')`
      : 'null::int'
  const [row] = await sql.unsafe<Cells[]>(
    `select (select count(*)::int from ${s.table}) as sessions, ${messages} as messages,
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

/** The sessions with most messages. */
export async function largestSessions(sql: Db, info: TrackInfo, limit: number): Promise<Cells[]> {
  const { sessions: s } = info
  return sql.unsafe<Cells[]>(
    `select s.${q(s.id)}::text as session${s.title ? `, s.${q(s.title)} as title` : ''}, ${countOf(info)} as messages
     from ${s.table} s order by messages desc nulls last limit ${limit}`,
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
