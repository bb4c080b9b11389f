import { type PlanNode, queryPlan } from '../database/query_plan.sql.js'
import { savepoint, takenBack } from '../database/scopes.js'
import { type Db, ident, literal } from '../database/types.js'
import { codeOf, isLostCode } from '../model/failure.js'
import type { AccessTable, Persona } from '../model/project.js'
import { become, becoming, becomingUs } from './probes.sql.js'

/** A predicate for the owner's row of an access table. */
const rowIs = (t: AccessTable): string =>
  Object.entries(t.row)
    .map(([column, value]) => `${ident(column)} = ${literal(value)}`)
    .join(' and ')

/** The result of a statement under row level security. */
export interface TryResult {
  /** Rows that it saw or changed; 0 if the server refused it. */
  rows: number
  /** The server's error, else null. */
  fault: { code: string; message: string; constraint: boolean } | null
  /** Whether the query afterwards, without row security, found a row. False if there was no such query. */
  seen: boolean
}

/** The owner's row as JSON, for an INSERT. If its id is a uuid, it gets a new one. */
export async function rowToInsert(sql: Db, t: AccessTable): Promise<{ row: string; columns: string[] }> {
  const [found] = await sql.unsafe<{ row: string; columns: string[] }[]>(
    `select (to_jsonb(t.*) || coalesce((
         select jsonb_object_agg(a.attname, gen_random_uuid())
         from pg_catalog.pg_index i join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])
         where i.indrelid = ${literal(t.table)}::regclass and i.indisprimary and a.atttypid = 'uuid'::regtype and i.indnkeyatts = 1
       ), '{}'))::text as row,
       array(select a.attname::text from pg_catalog.pg_attribute a
         where a.attrelid = ${literal(t.table)}::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attidentity <> 'a') as columns
     from ${t.table} t where ${rowIs(t)}`,
  )
  return found ?? { row: '{}', columns: [] }
}

/** Another way to read a table's rows. */
interface SideDoor {
  name: string
  kind: 'view' | 'partition'
  /** The name with its schema, as in `catalogOf`. */
  path: string
}

/**
 * Views of a table and leaf partitions that this role may read directly. Both bypass the table's policies.
 * A materialized view never has the rows that were just made; `views_follow_policies` finds those that are
 * open.
 */
export async function sideDoors(sql: Db, table: string): Promise<SideDoor[]> {
  return sql<SideDoor[]>`
    select s.oid::regclass::text as name, s.kind,
      format('%I.%I', n.nspname, c.relname) as path
    from (
      select v.oid, 'view' as kind
      from pg_catalog.pg_depend d
      join pg_catalog.pg_rewrite w on w.oid = d.objid and d.classid = 'pg_rewrite'::regclass
      join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind = 'v'
      where d.refclassid = 'pg_class'::regclass and d.refobjid = ${table}::regclass
      union
      select p.relid, 'partition'
      from pg_catalog.pg_partition_tree(${table}::regclass) p
      where p.isleaf and p.level > 0
    ) s
    join pg_catalog.pg_class c on c.oid = s.oid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    order by 1`
}

/** The name, in a report, of reading a table through a view or a partition. */
export const doorName = (kind: 'view' | 'partition', name: string): string => `select from ${kind} ${name}`

/**
 * Rows that an update without a WHERE may change in one try. Seeds have fewer rows, so sound policies stay
 * below.
 */
export const wideUpdateLimit = 20

/**
 * Pages of a large table from which rows are sampled. At least `sampledLimit` of the rows must change to
 * count.
 */
const sampledPages = 20

const sampledLimit = 3

/**
 * Samples rows of a large table. An update is tried on each of them and on the owner's row with WHERE CURRENT
 * OF. Like an update without a WHERE it reads no column, so only policies for UPDATE apply, but it does not
 * read millions of rows. Null if the table itself has no rows, because its partitions or children have them.
 */
export async function sampledRows(
  sql: Db,
  t: AccessTable,
): Promise<{ rows: number; declare: string; moved(column: string): string } | null> {
  const [row] = await sql.unsafe<{ at: string; rows: number }[]>(
    `select coalesce(array_agg(x.at), '{}')::text as at, count(*)::int as rows
     from (
       select ctid as at from only ${t.table} tablesample system (
         least(100, 100 * ${sampledPages} / greatest(1, pg_relation_size(${literal(t.table)}) / 8192.0)))
       where (ctid::text::point)[1]::int % 8 = 1
       limit ${5 * sampledPages}
     ) x`,
  )
  const { at, rows } = row!
  if (rows === 0) return null
  const there = `ctid = any (${literal(at)}::tid[])`
  return {
    rows,
    declare: `declare rethread_own no scroll cursor for select from ${t.table} where ${rowIs(t)};
      declare rethread_some no scroll cursor for select from only ${t.table} where ${there};`,
    // an updated row has another ctid
    moved: column => `select where exists (${moved(t, column)})
      or (select count(*) from only ${t.table} where ${there}) <= ${rows - sampledLimit}`,
  }
}

/** The statements that try one operation on the owner's row. */
export const attempts = {
  select: (t: AccessTable): string => `select from ${t.table} where ${rowIs(t)}`,
  update: (t: AccessTable): string =>
    `update ${t.table} set ${ident(t.touch)} = ${ident(t.touch)} where ${rowIs(t)}`,
  delete: (t: AccessTable): string => `delete from ${t.table} where ${rowIs(t)}`,
  insert: (t: AccessTable, copy: { row: string; columns: string[] }): string => {
    const columns = copy.columns.map(ident).join(', ')
    return `insert into ${t.table} (${columns}) select ${columns} from jsonb_populate_record(null::${t.table}, ${literal(copy.row)}::jsonb)`
  },
  move: (t: AccessTable, column: string): string =>
    `update ${t.table} set ${ident(column)} = ${literal(t.move[column]!)} where ${rowIs(t)}`,
  /**
   * An update without a WHERE needs no right to read, so only policies for UPDATE apply. The condition reads
   * no column. It stops the update after some rows, in case the policies let everything through.
   */
  sweep: (t: AccessTable, column: string): string =>
    `update ${t.table} set ${ident(column)} = ${literal(t.move[column]!)}
     where set_config('rethread.swept', (coalesce(nullif(current_setting('rethread.swept', true), ''), '0')::int + 1)::text, true)::int <= ${wideUpdateLimit}`,
  sampled: (t: AccessTable, column: string, rows: number): string => {
    const update = (cursor: string) =>
      `update ${t.table} set ${ident(column)} = ${literal(t.move[column]!)} where current of ${cursor};`
    return `move next in rethread_own; ${update('rethread_own')}
      prepare ${preparedMove} as ${update('rethread_some')}
      ${`move next in rethread_some; execute ${preparedMove};`.repeat(rows)}`
  },
  view: (t: AccessTable, view: string): string =>
    `select from ${view} v where v::text like ${literal(`%${Object.values(t.row)[0]!}%`)}`,
  partition: (t: AccessTable, partition: string): string => `select from ${partition} where ${rowIs(t)}`,
}

/** Finds a row, without row security, if the owner's row has the outsider's value. */
export const moved = (t: AccessTable, column: string): string =>
  `select from ${t.table} where ${rowIs(t)} and ${ident(column)}::text = ${literal(t.move[column]!)}`

/** Finds a row, without row security, if the owner's row has been deleted. */
export const gone = (t: AccessTable): string =>
  `select where not exists (select from ${t.table} where ${rowIs(t)})`

/** Statements to run as a persona, and statements to run before and after without row security. */
export interface Try {
  persona: Persona
  statement: string
  /** Runs before, for example to open a cursor. */
  before?: string
  /** Runs after. The result is whether it finds a row. */
  lookAfter?: string
}

/** SQLSTATE that a try raises to roll itself back. */
const backCode = 'RTHRD'

/** Name of a prepared statement of a sampled update. The server plans it once, not for every row. */
const preparedMove = 'rethread_move'

/**
 * Runs tries one after the other inside the server, each in a subtransaction that is rolled back. There are
 * hundreds; a round trip for each would take longer than the rest of a verification. A setting passes the
 * statements in, and another passes the results out.
 */
const tryAll = `
  do $rethread$
  declare
    t jsonb;
    said jsonb := '[]';
    changed bigint;
    looked bigint;
    state text;
    reason text;
    by_constraint text;
    by_column text;
  begin
    for t in select * from pg_catalog.jsonb_array_elements(pg_catalog.current_setting('rethread.tries')::jsonb) loop
      changed := 0;
      looked := 0;
      state := null;
      reason := null;
      by_constraint := '';
      by_column := '';
      -- a prepared statement is not removed by the rollback of a subtransaction
      if exists (select from pg_catalog.pg_prepared_statements where name = '${preparedMove}') then
        deallocate ${preparedMove};
      end if;
      begin
        if t ? 'before' then
          execute t ->> 'before';
        end if;
        execute t ->> 'become';
        execute t ->> 'statement';
        get diagnostics changed = row_count;
        if t ? 'lookAfter' then
          execute t ->> 'back';
          execute t ->> 'lookAfter';
          get diagnostics looked = row_count;
        end if;
        raise exception using errcode = '${backCode}';
      exception
        when sqlstate '${backCode}' then null;
        when others then
          get stacked diagnostics state = returned_sqlstate, reason = message_text,
            by_constraint = constraint_name, by_column = column_name;
      end;
      said := said || pg_catalog.jsonb_build_object('rows', changed, 'seen', looked > 0, 'fault',
        case when state is not null then pg_catalog.jsonb_build_object(
          'code', state, 'message', reason, 'constraint', by_constraint <> '' or by_column <> '') end);
    end loop;
    perform pg_catalog.set_config('rethread.tried', said::text, true);
  end
  $rethread$`

/**
 * Runs tries in order and rolls all of them back. If the whole takes too long, each is run alone. One that
 * takes too long alone has that as its fault.
 */
export async function attemptAll(sql: Db, tries: Try[]): Promise<TryResult[]> {
  if (tries.length === 0) return []
  const texts = tries.map(({ persona, ...t }) => ({ ...t, become: becoming(persona), back: becomingUs }))
  try {
    const results = (await sql.unsafe(
      `savepoint rethread_try; select set_config('rethread.tries', ${literal(JSON.stringify(texts))}, true); ${tryAll};
       select current_setting('rethread.tried') as tried; release savepoint rethread_try`,
    )) as unknown as { tried?: string }[][]
    return JSON.parse(results.flat().find(row => row.tried !== undefined)!.tried!) as TryResult[]
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    // no exception handler in the server catches a timeout or a failed assertion
    if (code !== '57014' && code !== 'P0004') throw error
    await sql.unsafe('rollback to savepoint rethread_try; release savepoint rethread_try')
    if (tries.length === 1) return [{ rows: 0, fault: { code, message, constraint: false }, seen: false }]
    const alone: TryResult[] = []
    for (const one of tries) alone.push(...(await attemptAll(sql, [one])))
    return alone
  }
}

/** The plan of a query as a persona; null if the server refuses to plan it. */
export async function explainAs(sql: Db, persona: Persona, query: string): Promise<PlanNode | null> {
  try {
    return await takenBack(savepoint(sql), async tx => {
      await become(tx, persona)
      return queryPlan(tx, query, { verbose: true })
    })
  } catch (error) {
    const code = codeOf(error)
    if (!/^[0-9A-Z]{5}$/.test(code) || isLostCode(code)) throw error
    return null
  }
}
