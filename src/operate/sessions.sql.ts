import { columnFacts } from '../database/catalog.sql.js'
import { queryPlan } from '../database/query_plan.sql.js'
import { primaryKey } from '../database/row_key.sql.js'
import { type Db, literal, ident as q } from '../database/types.js'
import { messageValue, readAs } from '../model/message_value.js'
import type { TrackInfo } from '../model/project.js'
import type { Cells } from '../model/report.js'
import { type MergedColumn, mergedColumns } from '../rollback/merged_table.sql.js'
import { type Condition, isOneOf } from './session_filters.sql.js'

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

/** Types whose values a report shows unchanged. Other values are shown as text. */
const plain = ['smallint', 'integer', 'boolean']

/** Sessions, most recent first. `all` adds all of their columns, by their own names. */
export async function listSessions(
  sql: Db,
  info: TrackInfo,
  condition: Condition,
  { limit, all }: { limit: number; all: boolean },
): Promise<Cells[]> {
  const { sessions: s, filters = {} } = info
  const shown = Object.entries(filters).map(([name, f]) => `, s.${q(f.column)}::text as ${q(name)}`)
  const { columns, from } = joins(info)
  const more = all ? await everyColumn(sql, info) : ''
  // a descending index has nulls first; without nulls both orders are equal
  const active = await columnFacts(sql, s.table, s.active)
  const nulls = active?.notNull ? '' : 'nulls last'
  return sql.unsafe<Cells[]>(
    `select s.${q(s.id)}::text as session${s.title ? `, s.${q(s.title)} as title` : ''}${shown.join('')}${columns},
       to_char(s.${q(s.active)} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as active, ${countOf(info)} as messages${more}
     from ${s.table} s${from}
     where ${condition.text}
     order by s.${q(s.active)} desc ${nulls}, s.${q(s.id)}
     limit ${limit}`,
    condition.args,
  )
}

/** The columns of the sessions under their own names, and joined rows as JSON. */
async function everyColumn(sql: Db, { sessions: s, filters = {} }: TrackInfo): Promise<string> {
  const named = ['session', 'title', 'active', 'messages', ...Object.keys(filters)]
  const columns = (await mergedColumns(sql, s.table)).filter(
    c => c.name !== s.history && !named.includes(c.name),
  )
  const joined = (s.with ?? []).map((w, i) => `, to_jsonb(w${i})::text as ${q(w.as)}`)
  const values = columns.map(c => `, s.${q(c.name)}${plain.includes(c.type) ? '' : '::text'} as ${q(c.name)}`)
  return [...values, ...joined].join('')
}

/** How many sessions there are. */
export async function countSessions(sql: Db, info: TrackInfo, { text, args }: Condition): Promise<number> {
  const [row] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::float8 as n from ${info.sessions.table} s where ${text}`,
    args,
  )
  return row!.n
}

/**
 * SQL of a row as one JSON object. A `json` column becomes a text, because it may contain an escaped NUL,
 * which `jsonb` refuses.
 */
const objectOf = (alias: string, columns: MergedColumn[]): string =>
  columns
    .map(({ name, type }) => {
      const value = `${alias}.${q(name)}${type === 'json' ? '::text' : ''}`
      return `jsonb_build_object(${literal(name)}, ${value})`
    })
    .join(' || ') || "'{}'::jsonb"

/** One session with all columns and joined rows; null if there is none. */
export async function readSession(sql: Db, info: TrackInfo, id: string): Promise<Cells | null> {
  const { sessions: s } = info
  const own = (await mergedColumns(sql, s.table)).filter(c => c.name !== s.history)
  const parts = [objectOf('s', own)]
  for (const [i, w] of (s.with ?? []).entries())
    parts.push(
      `jsonb_build_object(${literal(w.as)}, case when w${i}.id is not null then ${objectOf(`w${i}`, await mergedColumns(sql, w.table))} end)`,
    )
  const isIt = await isOneOf(sql, { table: s.table, column: s.id }, [id], '$1')
  const [row] = await sql.unsafe<{ session: Cells }[]>(
    `select ${parts.join(' || ')} as session from ${s.table} s${joins(info).from} where ${isIt}`,
    [JSON.stringify([id])],
  )
  return row?.session ?? null
}

/**
 * SQL of the role of a message, null where no column says it. If the track names several columns, the first
 * that exists and has a value.
 */
const roleOf = (
  role: string | string[] | undefined,
  reads: TrackInfo['reads'],
  columns: MergedColumn[],
): string => {
  if (role === undefined) return 'null'
  if (typeof role === 'string') return `${readAs(reads?.role, `m.${q(role)}`)}::text`
  const there = role.filter(r => columns.some(c => c.name === r)).map(r => `m.${q(r)}::text`)
  return there.length === 0 ? 'null' : `coalesce(${there.join(', ')})`
}

/** A message to show. */
interface Message {
  at: string | null
  role: string | null
  content: string | null
  /** Its other columns as JSON, such as tool calls and metadata; null if there are none. */
  more: string | null
}

/** SQL of the members of an object that are not empty, as text; null if there are none. */
const notEmpty = (object: string): string =>
  `(select jsonb_object_agg(k.key, k.value)::text from jsonb_each(${object}) k where k.value not in ('null', '{}', '[]'))`

/** The messages of one session in order: the newest `limit`, or all. */
export async function readMessages(
  sql: Db,
  info: TrackInfo,
  id: string,
  limit: number | null,
): Promise<Message[]> {
  const { sessions: s, messages: m } = info
  const most = limit === null ? '' : `limit ${limit}`
  const isIt = await isOneOf(sql, { table: s.table, column: s.id }, [id], '$1')
  const wanted = [JSON.stringify([id])]
  if (s.history)
    return sql.unsafe(
      `select x.at, x.role, x.content, x.more from (
         select e.n, e.value ->> 'timestamp' as at, e.value ->> 'role' as role, coalesce(e.value ->> 'content', e.value::text) as content,
           case when jsonb_typeof(e.value) = 'object' and e.value ? 'content' then ${notEmpty("e.value - array['timestamp', 'role', 'content']")} end as more
         from ${s.table} s cross join lateral jsonb_array_elements(s.${q(s.history)}) with ordinality as e (value, n)
         where ${isIt}
         order by e.n desc ${most}
       ) x order by x.n`,
      wanted,
    )
  if (!m) return []
  const created = messageValue(info, 'created', 'm')
  const columns = await mergedColumns(sql, m.table)
  const shown = [
    ...[m.session, m.content, m.created, m.role ?? [], s.workspace ?? []].flat(),
    ...(await primaryKey(sql, m.table)),
  ]
  const others = columns.filter(c => !shown.includes(c.name))
  return sql.unsafe(
    `select x.at, x.role, x.content, x.more from (
       select ${created} as created, m.ctid as place, to_char(${created} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') as at,
         ${roleOf(m.role, info.reads, columns)} as role, ${messageValue(info, 'content', 'm')}::text as content,
         ${notEmpty(objectOf('m', others))} as more
       from ${m.table} m join ${s.table} s on m.${q(m.session)} = s.${q(m.to ?? s.id)}
       where ${isIt}
       order by ${created} desc nulls last, m.ctid desc ${most}
     ) x order by x.created, x.place`,
    wanted,
  )
}

/** From this number on, messages are estimated and not counted, because counting reads a whole index. */
const mostCounted = 1_000_000

/** The estimated number of messages if there are too many to count, else null. */
export async function estimatedMessages(sql: Db, info: TrackInfo): Promise<number | null> {
  if (!info.messages || info.sessions.history) return null
  const rows = (await queryPlan(sql, `select from ${info.messages.table}`))['Plan Rows']
  return rows > mostCounted ? rows : null
}

/**
 * Counts of sessions and messages, in total and of the last day. With an estimate in `about`, messages are
 * not counted.
 */
export async function countAll(sql: Db, info: TrackInfo, about: number | null): Promise<Cells> {
  const { sessions: s, messages: m } = info
  const messages = s.history
    ? `(select coalesce(sum(jsonb_array_length(s.${q(s.history)})), 0)::int from ${s.table} s)`
    : m
      ? about === null
        ? `(select count(*)::int from ${m.table})`
        : `${about}::float8`
      : 'null::int'
  // a message updates the time of its session, so it is found by the indexes of both
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
 * The sessions with the most messages. With an estimate in `about`, those in the server's statistics, with
 * numbers derived from them.
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
  const values = common.map(c => c.value)
  const isIt = await isOneOf(sql, { table: s.table, column: m.to ?? s.id }, values, '$1')
  return sql.unsafe<Cells[]>(
    `select ${named}, round((x.share * ${about})::numeric)::float8 as "messages, about"
     from ${s.table} s join jsonb_to_recordset($2::text::jsonb) as x (value text, share float8) on x.value = s.${q(m.to ?? s.id)}::text
     where ${isIt}
     order by x.share desc limit ${limit}`,
    [JSON.stringify(values), JSON.stringify(common)],
  )
}

/** Values of a column with a foreign key for which the other table has no row. */
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
      -- a role that does not see all rows cannot find out that one is missing
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
