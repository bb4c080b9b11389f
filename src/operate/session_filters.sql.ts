import { columnFacts } from '../database/catalog.sql.js'
import { isDataFault } from '../database/faults.js'
import { type PlanNode, planNodes, queryPlan } from '../database/query_plan.sql.js'
import { scopeOf, takenBack } from '../database/scopes.js'
import { type Db, ident as q } from '../database/types.js'
import { messageValue } from '../model/message_value.js'
import type { TrackInfo } from '../model/project.js'

/** Which sessions to show. */
export interface SessionFilters {
  /** The wanted values, by name of the track's filter. */
  where: Record<string, string[]>
  /** Only sessions active since then; null for all. */
  since: Since | null
  /** Only sessions with this text in their title or a message; null for all. */
  search: string | null
  /** Whether sessions that are marked as deleted are included. */
  withDeleted: boolean
}

/** A moment: a time in PostgreSQL's format, or an interval before now. */
export interface Since {
  text: string
  ago: boolean
}

/** A predicate over sessions `s`, with its parameters. */
export interface Condition {
  text: string
  args: string[]
}

/** The predicate for filters. */
export async function conditionOf(sql: Db, info: TrackInfo, f: SessionFilters): Promise<Condition> {
  const { sessions: s, filters = {} } = info
  const args: string[] = []
  const parameter = (value: string): string => `$${args.push(value)}`
  const parts: string[] = []
  for (const [name, values] of Object.entries(f.where)) {
    const { column } = filters[name]!
    parts.push(await isOneOf(sql, { table: s.table, column }, values, parameter(JSON.stringify(values))))
  }
  if (s.deleted && !f.withDeleted) parts.push(`s.${q(s.deleted)} is null`)
  if (f.since)
    parts.push(
      f.since.ago
        ? `s.${q(s.active)} >= now() - ${parameter(f.since.text)}::text::interval`
        : `s.${q(s.active)} >= ${parameter(f.since.text)}::text::timestamptz`,
    )
  if (f.search !== null) parts.push(holdsText(info, parameter(likePattern(f.search))))
  return { text: parts.join(' and ') || 'true', args }
}

/**
 * A predicate that a column of sessions `s` has one of some values. The parameter is a JSON array of texts.
 * Values are compared as the column's type, which can use an index, if all of them are valid for it.
 */
export async function isOneOf(
  sql: Db,
  { table, column }: { table: string; column: string },
  values: string[],
  parameter: string,
): Promise<string> {
  const list = `jsonb_array_elements_text(${parameter}::text::jsonb) v`
  // without its length, because a longer value would be cut
  const type = (await columnFacts(sql, table, column))?.bareType
  return type !== undefined && (await canBe(sql, type, values))
    ? `s.${q(column)} = any (array(select v::${type} from ${list}))`
    : `s.${q(column)}::text in (select v from ${list})`
}

/** Whether all values are valid for a type. */
async function canBe(sql: Db, type: string, values: string[]): Promise<boolean> {
  try {
    await takenBack(scopeOf(sql), tx =>
      tx.unsafe(`select v::${type} from jsonb_array_elements_text($1::text::jsonb) v`, [
        JSON.stringify(values),
      ]),
    )
    return true
  } catch (error) {
    if (!isDataFault(error)) throw error
    return false
  }
}

/** A LIKE pattern for a text; its special characters are escaped. */
const likePattern = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`

/** Whether the title or a message of a session matches a pattern. */
function holdsText(info: TrackInfo, pattern: string): string {
  const { sessions: s, messages: m } = info
  const places = s.title ? [`s.${q(s.title)}::text ilike ${pattern}::text`] : []
  if (s.history)
    places.push(
      `exists (select from jsonb_array_elements(case when jsonb_typeof(s.${q(s.history)}) = 'array' then s.${q(s.history)} end) e
         where coalesce(e ->> 'content', e::text) ilike ${pattern}::text)`,
    )
  else if (m)
    places.push(
      `exists (select from ${m.table} m where m.${q(m.session)} = s.${q(m.to ?? s.id)} and ${messageValue(info, 'content', 'm')}::text ilike ${pattern}::text)`,
    )
  return `(${places.join(' or ')})`
}

/**
 * The table that a search would read completely, with its estimated rows; null if an index is used. Titles
 * are few and do not count.
 */
export async function scannedBy(
  sql: Db,
  info: TrackInfo,
  { text, args }: Condition,
): Promise<{ table: string; rows: number | null } | null> {
  const { sessions: s, messages: m } = info
  const plan = await queryPlan(sql, `select from ${s.table} s where ${text}`, { args })
  const isSearch = ({ Alias = '', Filter = '' }: PlanNode): boolean =>
    Filter.includes('~~*') && /^[me](_\d+)?$/.test(Alias)
  const table = s.history ? s.table : m?.table
  const reads = planNodes(plan).filter(n => isSearch(n) && /^(Seq|Function) Scan$/.test(n['Node Type']))
  if (table === undefined || reads.length === 0) return null
  const [row] = await sql<{ rows: number | null }[]>`
    select case when bool_or(r.reltuples < 0) then null else sum(r.reltuples)::float8 end as rows
    from (
      select to_regclass(${table})::oid as relid
      union
      select t.relid from pg_catalog.pg_partition_tree(to_regclass(${table})) t where t.isleaf) f
    join pg_catalog.pg_class r on r.oid = f.relid and r.relkind <> 'p'`
  return { table, rows: row?.rows ?? null }
}

/** Of these values of a filter: those that no session has. */
export async function unusedValues(
  sql: Db,
  table: string,
  column: string,
  values: string[],
): Promise<string[]> {
  const unused: string[] = []
  for (const value of values) {
    const isIt = await isOneOf(sql, { table, column }, [value], '$1')
    const [row] = await sql.unsafe<{ there: boolean }[]>(
      `select exists (select from ${table} s where ${isIt}) as there`,
      [JSON.stringify([value])],
    )
    if (!row!.there) unused.push(value)
  }
  return unused
}
