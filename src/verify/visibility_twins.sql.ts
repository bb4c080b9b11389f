import { type Db, ident, literal } from '../database/types.js'
import { quotedPart, tableText } from '../model/table_name.js'
import { stubOfPolicy } from '../plan/access_changes.sql.js'

/** A table whose policies are tried on a twin. */
export interface Subject {
  /** Its name with its schema, as SQL. */
  table: string
  schema: string
  name: string
  owner: string
  /** Estimated rows; 0 if it was never analyzed. */
  rows: number
  /** Its partitions. */
  parts: string[]
  /** Whether changes of its rows fire a trigger, which may change other rows. */
  fires: boolean
  rowSecurity: boolean
  forced: boolean
  columns: string[]
  /** Columns whose type has no equality operator. */
  unequal: string[]
  policies: {
    name: string
    permissive: boolean
    /** Whether it applies to reads. */
    reads: boolean
    command: string
    roles: string[]
    using: string | null
  }[]
  /** Roles that may read the whole table, or a column of it. `public` is everybody. */
  grants: { role: string; column: string | null }[]
  /** True if nothing was granted or revoked, so the owner has all rights. */
  usual: boolean
}

/** The facts about tables that a twin needs. Views and names that do not exist are left out. */
export async function subjectsOf(sql: Db, tables: string[]): Promise<Subject[]> {
  const rows = await sql<{ subject: string }[]>`
    select jsonb_build_object(
      'table', t.name, 'schema', n.nspname, 'name', c.relname, 'owner', o.rolname,
      'rows', greatest(c.reltuples::float8, 0), 'rowSecurity', c.relrowsecurity, 'forced', c.relforcerowsecurity,
      'parts', (select coalesce(jsonb_agg(i.inhrelid::regclass::text), '[]') from pg_catalog.pg_inherits i where i.inhparent = c.oid),
      'fires', exists (select from pg_catalog.pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled <> 'D'),
      'columns', (select coalesce(jsonb_agg(a.attname order by a.attnum), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
      'unequal', (select coalesce(jsonb_agg(a.attname), '[]') from pg_catalog.pg_attribute a
        join pg_catalog.pg_type y on y.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and coalesce(nullif(y.typbasetype, 0), y.oid)::regtype::text in ('json', 'xml', 'point', 'polygon', 'path', 'box', 'circle', 'lseg', 'line')),
      'policies', (select coalesce(jsonb_agg(jsonb_build_object('name', p.polname, 'permissive', p.polpermissive,
          'reads', p.polcmd in ('*', 'r'), 'command', case p.polcmd when 'r' then 'select' else 'all' end,
          'roles', (select jsonb_agg(coalesce(r.rolname, 'public')) from unnest(p.polroles) m(oid)
            left join pg_catalog.pg_roles r on r.oid = m.oid),
          'using', pg_get_expr(p.polqual, p.polrelid)) order by p.polname), '[]')
        from pg_catalog.pg_policy p where p.polrelid = c.oid),
      'usual', c.relacl is null,
      'grants', (select coalesce(jsonb_agg(jsonb_build_object('role', coalesce(r.rolname, 'public'), 'column', g.col)), '[]')
        from (
          select a.grantee, null::name as col from aclexplode(c.relacl) a where a.privilege_type = 'SELECT'
          union all
          select a.grantee, k.attname from pg_catalog.pg_attribute k, aclexplode(k.attacl) a
          where k.attrelid = c.oid and k.attnum > 0 and not k.attisdropped and a.privilege_type = 'SELECT'
        ) g left join pg_catalog.pg_roles r on r.oid = g.grantee)
    )::text as subject
    from unnest(${tables}::text[]) t(name)
    join pg_catalog.pg_class c on c.oid = to_regclass(t.name) and c.relkind in ('r', 'p')
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_roles o on o.oid = c.relowner
    order by t.name`
  return rows.map(r => JSON.parse(r.subject) as Subject)
}

const granteeText = (role: string): string => (role === 'public' ? 'public' : quotedPart(role))

/** Additional columns of a twin: the number of its row, and how many original rows it represents. */
const ownColumns = { id: 'rethread_row', rows: 'rethread_rows', leaves: 'rethread_leaves' }

/** Creates a schema for twins. PUBLIC gets USAGE. */
export async function openSchema(sql: Db, schema: string): Promise<void> {
  await sql.unsafe(`create schema ${ident(schema)}; grant usage on schema ${ident(schema)} to public`)
}

/** Creates an empty twin with the original's columns, owner, SELECT rights and row security. */
export async function makePolicyTwin(
  sql: Db,
  subject: Subject,
  twin: { schema: string; name: string },
): Promise<void> {
  const { owner, grants, rowSecurity, forced, usual, columns } = subject
  const name = tableText(twin)
  const on = (statement: string): Promise<unknown> => sql.unsafe(statement)
  await on(`create unlogged table ${name} (like ${subject.table})`)
  const nullable = columns.map(c => `alter column ${ident(c)} drop not null`)
  await on(
    `alter table ${name} ${[...nullable, `add ${ownColumns.id} bigint`, `add ${ownColumns.rows} bigint`, `add ${ownColumns.leaves} text[]`].join(', ')}`,
  )
  // default privileges may have granted rights on the twin that the original lacks
  const [born] = await sql<{ roles: string[] }[]>`
    select coalesce(array_agg(distinct case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end), '{}')::text[] as roles
    from pg_catalog.pg_class c, aclexplode(c.relacl) a where c.oid = to_regclass(${name}) and a.grantee <> c.relowner`
  for (const role of born!.roles) await on(`revoke all on ${name} from ${granteeText(role)}`)
  await on(
    `grant create on schema ${ident(twin.schema)} to ${ident(owner)}; alter table ${name} owner to ${ident(owner)}`,
  )
  if (!usual) await on(`revoke select on ${name} from ${ident(owner)}`)
  for (const { role, column } of grants)
    await on(`grant select ${column === null ? '' : `(${ident(column)})`} on ${name} to ${granteeText(role)}`)
  if (rowSecurity) await on(`alter table ${name} enable row level security`)
  if (forced) await on(`alter table ${name} force row level security`)
}

/** Creates one of the original's policies on its twin. `using` is its expression with the names of twins. */
export async function addPolicy(
  sql: Db,
  twin: string,
  policy: Subject['policies'][number],
  using: string | null,
): Promise<void> {
  const { name, permissive, reads, command, roles } = policy
  await sql.unsafe(
    reads
      ? `create policy ${ident(name)} on ${twin} as ${permissive ? 'permissive' : 'restrictive'} for ${command}
         to ${roles.map(granteeText).join(', ')} ${using === null ? '' : `using (${using})`}`
      : stubOfPolicy(name, twin),
  )
}

/**
 * What the SELECT policies of a table read of it: columns, or the whole row. With `others`, also what
 * policies of other tables read of it.
 */
export async function columnsAsked(
  sql: Db,
  table: string,
  others: boolean,
): Promise<{ columns: string[]; whole: boolean; system: boolean }> {
  const [row] = await sql<{ columns: string[]; whole: boolean; system: boolean }[]>`
    select
      coalesce(array_agg(distinct a.attname::text) filter (where a.attnum > 0), '{}')::text[] as columns,
      coalesce(bool_or(a.attnum < 0), false) as system,
      coalesce((select bool_or(p.polqual::text ~ ':varattno 0 ') from pg_catalog.pg_policy p where p.polrelid = to_regclass(${table})), false) as whole
    from pg_catalog.pg_policy p
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
      and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = to_regclass(${table}) and d.refobjsubid <> 0
    join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where case when p.polrelid = to_regclass(${table}) then p.polcmd in ('*', 'r') else ${others} end`
  return row!
}

/** How to fill a twin. */
export interface Filling {
  table: string
  twin: string
  columns: string[]
  /** True if rows that are equal in these columns become one row of the twin. */
  grouped: boolean
  /** Rows that later steps remove: the step, and its predicate with its alias. */
  leaves: { migration: string; alias: string; predicate: string }[]
}

/** Reads the original once into the twin. Returns the number of its rows. */
export async function fillTwin(sql: Db, { table, twin, columns, grouped, leaves }: Filling): Promise<number> {
  const list = columns.map(ident)
  const alias = leaves[0]?.alias ?? 'rethread_o'
  const flags = leaves
    .filter(l => l.alias === alias)
    .map(l => `case when (${l.predicate}) then ${literal(l.migration)} end`)
  const read = [
    ...list.map(c => `${alias}.${c}`),
    `array_remove(array[${flags.join(', ')}]::text[], null) as ${ownColumns.leaves}`,
  ]
  const target = [...list, ownColumns.leaves]
  const rows = grouped
    ? `select ${target.join(', ')}, row_number() over (), n from (
         select ${read.join(', ')}, count(*) as n from ${table} ${alias} group by ${target.map((_, i) => i + 1).join(', ')}) x`
    : `select ${read.join(', ')}, row_number() over (), 1 from ${table} ${alias}`
  await sql.unsafe(`insert into ${twin} (${[...target, ownColumns.id, ownColumns.rows].join(', ')}) ${rows}`)
  await sql.unsafe(`analyze ${twin}`)
  const [row] = await sql.unsafe<{ rows: number }[]>(
    `select coalesce(sum(${ownColumns.rows}), 0)::float8 as rows from ${twin}`,
  )
  return row!.rows
}

/** Deletes from a twin the rows that a step removes from the original. */
export async function leaveTwin(sql: Db, twin: string, migration: string): Promise<void> {
  await sql.unsafe(`delete from ${twin} where ${literal(migration)} = any (${ownColumns.leaves})`)
}

/** A role and the claims of a user, whose visibility is examined. */
export interface Seer {
  role: string
  claims: Record<string, unknown>
}

/** What a seer sees of a table. */
export interface SeenRows {
  /** SQLSTATE if the table may not be read, or a policy raises an error. */
  fault: string | null
  rows: number
  /** Equal for equal sets of rows. */
  hash: string
  /** Numbers of the twin's rows, each with its count: `1:20 7:3`. Null if there are too many. */
  ids: string | null
}

/** Most rows of a twin that are listed for one seer. */
const mostSeenIds = 5000

/** The query on a twin. */
export const twinQuery = (twin: string): string =>
  `select coalesce(sum(${ownColumns.rows}), 0) as rows, coalesce(sum(pg_catalog.hashint8(${ownColumns.id})), 0) as hash,
     case when count(*) <= ${mostSeenIds} then coalesce(string_agg(${ownColumns.id} || ':' || ${ownColumns.rows}, ' '), '') end as ids from ${twin}`

/** The query on an original table, with a key that identifies rows. Without a key, it only counts. */
export const tableQuery = (table: string, key: string | null): string =>
  key === null
    ? `select count(*) as rows, count(*) as hash, null::jsonb as ids from ${table}`
    : `select count(*) as rows, coalesce(sum(pg_catalog.hashtextextended(${key}, 0)::pg_catalog.numeric), 0) as hash,
         case when count(*) <= ${mostSeenIds} then coalesce(string_agg(pg_catalog.hashtextextended(${key}, 0) || ':1', ' '), '') end as ids from ${table}`

/**
 * What each seer sees by a query, in one message to the server. A seer that may not read gets a fault. Rights
 * are checked on `twin` and `schema`; a right to read any column is sufficient.
 */
export async function seenBy(
  sql: Db,
  seers: Seer[],
  asked: { query: string; table: string; schema: string },
): Promise<SeenRows[]> {
  const list = seers.map(s => ({
    role: s.role,
    claims: JSON.stringify(s.claims),
    sub: typeof s.claims.sub === 'string' ? s.claims.sub : '',
  }))
  await sql`select set_config('rethread.seers', ${JSON.stringify(list)}, true),
    set_config('rethread.query', ${asked.query}, true), set_config('rethread.seen', '', true)`
  await sql`select set_config('rethread.readers', coalesce(jsonb_agg(r.role), '[]')::text, true)
    from (select distinct unnest(${seers.map(s => s.role)}::text[]) as role) r
    where has_schema_privilege(r.role, ${asked.schema}, 'USAGE') and exists (
      select from pg_catalog.pg_attribute a where a.attrelid = ${asked.table}::regclass and a.attnum > 0 and not a.attisdropped
        and a.attname <> all (${Object.values(ownColumns)}::text[]) and has_column_privilege(r.role, a.attrelid, a.attnum, 'SELECT'))`
  await sql.unsafe(asking)
  const [row] = await sql<{ seen: string }[]>`select current_setting('rethread.seen') as seen`
  return JSON.parse(row!.seen) as SeenRows[]
}

/** Runs the query as each seer in turn. An error only affects that seer. */
const asking = `do $rethread$
declare
  seer pg_catalog.jsonb;
  seen pg_catalog.jsonb := '[]';
  one pg_catalog.jsonb;
  readers pg_catalog.jsonb := current_setting('rethread.readers')::pg_catalog.jsonb;
  query pg_catalog.text := current_setting('rethread.query');
begin
  for seer in select value from jsonb_array_elements(current_setting('rethread.seers')::pg_catalog.jsonb) loop
    begin
      if not readers ? (seer ->> 'role') then
        raise insufficient_privilege;
      end if;
      perform set_config('request.jwt.claims', seer ->> 'claims', true), set_config('request.jwt.claim.sub', seer ->> 'sub', true),
        set_config('app.user_id', seer ->> 'sub', true), set_config('row_security', 'on', true);
      execute format('set local role %I', seer ->> 'role');
      execute 'select to_jsonb(x) from (' || query || ') x' into one;
      execute 'reset role';
      one := jsonb_build_object('fault', null, 'rows', one -> 'rows', 'hash', one ->> 'hash', 'ids', one ->> 'ids');
    exception when others then
      one := jsonb_build_object('fault', sqlstate, 'rows', 0, 'hash', '', 'ids', '');
    end;
    seen := seen || one;
  end loop;
  perform set_config('row_security', 'off', true), set_config('rethread.seen', seen::pg_catalog.text, true);
end
$rethread$`

/** Lets everybody read the additional columns of a twin. */
export async function openTwin(sql: Db, twin: string): Promise<void> {
  await sql.unsafe(`grant select (${ownColumns.id}, ${ownColumns.rows}) on ${twin} to public`)
}

/** Runs a text with a given search_path. */
export async function runIn(sql: Db, path: string, text: string): Promise<void> {
  await sql`select set_config('search_path', ${path}, true)`
  await sql.unsafe(text)
}

/** The current search_path. */
export async function searchPath(sql: Db): Promise<string> {
  const [row] = await sql<{ path: string }[]>`select current_setting('search_path') as path`
  return row!.path
}

/** Empties search_path, so that expressions are printed with schema-qualified names. */
export async function closePath(sql: Db): Promise<void> {
  await sql`select set_config('search_path', '', true), set_config('check_function_bodies', 'off', true)`
}
