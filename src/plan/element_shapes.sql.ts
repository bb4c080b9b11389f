import { seesAllRows } from '../database/catalog.sql.js'
import { setLocal } from '../database/connection.sql.js'
import { type Db, literal } from '../database/types.js'

/** The body of an SQL function and the names of its parameters. */
export interface FunctionBody {
  body: string
  parameters: string[]
}

/** The track's functions that read elements, by purpose. */
export type ReaderBodies = Record<'unreadable' | 'place' | 'nested' | 'list' | 'read', FunctionBody>

/** Limits of the sample: rows and bytes. */
const mostRows = 1000
const mostBytes = 4_000_000
/** Time limit of the query, in milliseconds. */
const lookMs = 10_000

/** The result for an element: a message with text, a message without text, or quarantined. */
export type Outcome = 'text' | 'no text' | 'set aside'

/** The number of elements with the same shape and outcome, and one example. */
interface ShapeCount {
  shape: string
  outcome: Outcome
  elements: number
  example: unknown
  /** Some roles of these elements that are not known, in lower case, if they look like words of a format. */
  unknown: string[] | null
}

/** How many rows were read, and whether these are all. */
export interface SeenElements {
  rows: number
  all: boolean
  counts: ShapeCount[]
}

/**
 * The column with the elements and how to read it. `textsHaveRoles`: a setting gives the role for texts
 * without one.
 */
export interface ElementSource {
  table: string
  column: string
  bodies: ReaderBodies
  /** Roles of a message that are known, in lower case. Null if all are. */
  roles: string[] | null
  textsHaveRoles: boolean
}

/**
 * A function call written as a subquery. Its arguments become columns with the parameter names that its
 * body uses.
 */
const asQuery = ({ body, parameters }: FunctionBody, given: string[], columns: string): string =>
  `cross join lateral (
    select r.* from (select ${given.map((value, i) => `${value} as "${parameters[i]}"`).join(', ')} offset 0) given
    cross join lateral (${body.replace(/[\s;]+$/, '')}\n) r) ${columns}`

/**
 * Reads elements as the migration would. The bodies of its functions are parts of one query, so they need
 * not exist and nothing is written. Null if this role does not see all rows. Texts of users are only
 * returned in `example`, and only if `withExamples`.
 */
export async function seeElements(
  sql: Db,
  { table, column, bodies, roles, textsHaveRoles }: ElementSource,
  withExamples: boolean,
): Promise<SeenElements | null> {
  if (!(await seesAllRows(sql, table))) return null
  await setLocal(sql, 1000, lookMs, { jit: 'off' })
  const known = roles === null ? null : `array[${roles.map(literal).join(', ')}]::text[]`
  const name = `"${column.replaceAll('"', '""')}"`
  const rows = await sql.unsafe<(ShapeCount & { rows: number; all: boolean })[]>(`
    with seen as materialized (
      select s.document, s.bytes
      from (
        select t.${name}::json as document, sum(pg_column_size(t.${name})) over (rows unbounded preceding) as bytes
        from (select * from ${table} limit ${mostRows + 1}) t
      ) s
      limit ${mostRows}
    ),
    looked as materialized (select s.document from seen s where coalesce(s.bytes, 0) <= ${mostBytes}),
    readable as materialized (
      -- of a list, each element is read by itself
      select case when f.unreadable is null or json_typeof(s.document) <> 'object' then s.document end as document, f.unreadable
      from looked s ${asQuery(bodies.unreadable, ['s.document::text'], 'f (unreadable)')}
    ),
    element as materialized (
      select case when u.unreadable is null then e.value::jsonb end as element, u.unreadable, e.is_current
      from readable s
      ${asQuery(bodies.place, ['s.document'], 'p (place)')}
      ${asQuery(bodies.nested, ['s.document'], 'n (nested)')}
      ${asQuery(bodies.list, ['s.document', 'p.place', 'n.nested and s.unreadable is null'], 'e (n, key, value, is_current)')}
      ${asQuery(bodies.unreadable, ['e.value::text'], 'u (unreadable)')}
      where s.document is not null
    ),
    read as (
      select r.shape, e.element, case
          when not e.is_current or r.hides is not null then 'set aside'
          when r.shape = 'text' then ${textsHaveRoles ? `case when r.content ~ '\\S' then 'text' else 'set aside' end` : `'set aside'`}
          when r.role is null ${known === null ? '' : `or lower(r.role) <> all (${known})`} then 'set aside'
          when r.content ~ '\\S' then 'text'
          else 'no text' end as outcome,
        case when e.is_current and r.hides is null and r.shape <> 'text' and ${known === null ? 'false' : `lower(r.role) <> all (${known})`} then lower(r.role) end as unknown
      from element e
      ${asQuery(bodies.read, ['e.element'], 'r (shape, body, role_path, role, place, content, hides)')}
      where e.unreadable is null
      union all
      select 'unreadable', null, 'set aside', null from element e where e.unreadable is not null
      union all
      select 'unreadable', null, 'set aside', null from readable s where s.document is null and s.unreadable is not null
      union all
      -- for example a list stored as a JSON string: it holds no message
      select 'no list of messages', case when s.unreadable is null then s.document::jsonb end, 'set aside', null
      from readable s
      ${asQuery(bodies.place, ['s.document'], 'p (place)')}
      where s.document is not null and p.place is null and json_typeof(s.document) <> 'null'
    )
    select r.shape, r.outcome, count(*)::int as elements,
      ${withExamples ? "(array_agg(r.element) filter (where r.element <> 'null' and length(r.element::text) < 100000))[1]" : 'null'} as example,
      (array_agg(distinct r.unknown) filter (where r.unknown ~ '^[a-z][a-z0-9_-]{0,30}$'))[1:5] as unknown,
      (select count(*)::int from looked) as rows,
      (select count(*) from looked) = (select count(*) from (select from ${table} limit ${mostRows + 1}) t) as "all"
    from read r
    group by 1, 2
    order by 3 desc, 1, 2`)
  return {
    rows: rows[0]?.rows ?? 0,
    all: rows[0]?.all ?? true,
    counts: rows.map(r => ({
      shape: r.shape,
      outcome: r.outcome,
      elements: r.elements,
      example: r.example,
      unknown: r.unknown,
    })),
  }
}
