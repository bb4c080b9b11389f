import { type Db, ident, literal } from '../database/types.js'
import { quotedPart, tableText } from '../model/table_name.js'
import { stubOfPolicy } from '../plan/access_changes.sql.js'

/** A table whose policies are tried on a twin. */
export interface Subject {
  /** As SQL, with its schema. */
  table: string
  schema: string
  name: string
  owner: string
  /** Rows as the planner believes; 0 where nobody has counted. */
  rows: number
  /** Its partitions. */
  parts: string[]
  /** Whether a change of its rows fires a trigger, which may change other rows. */
  fires: boolean
  rowSecurity: boolean
  forced: boolean
  columns: string[]
  /** Columns whose type has no equality. */
  unequal: string[]
  policies: {
    name: string
    permissive: boolean
    /** Whether it is asked when rows are read. */
    reads: boolean
    command: string
    roles: string[]
    using: string | null
  }[]
  /** Who may read: the whole table, or a column of it. `public` is everybody. */
  grants: { role: string; column: string | null }[]
  /** Whether the owner has every right because nobody has granted or revoked any. */
  usual: boolean
}

/** Tables as far as a twin needs them; those that are not there, and views, are left out. */
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

/** Columns of a twin that its original has not: the number of a row of it, and how many rows it is. */
const ownColumns = { id: 'rethread_row', rows: 'rethread_rows', leaves: 'rethread_leaves' }

/** Makes a schema for twins that everybody may look into. */
export async function openSchema(sql: Db, schema: string): Promise<void> {
  await sql.unsafe(`create schema ${ident(schema)}; grant usage on schema ${ident(schema)} to public`)
}

/** Makes an empty twin: the columns, owner, rights to read and row security of the original. */
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
  // what default privileges have given to the twin, its original may not have
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

/** Gives a twin a policy of its original; `using` is its expression with the names of the twins. */
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
 * What those policies of a table are about that are asked when rows are read: columns, or the whole row. With
 * `others` also what policies of other tables ask of this one.
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

/** How a twin gets its rows. */
export interface Filling {
  table: string
  twin: string
  columns: string[]
  /** Rows that are alike in these columns are one row of the twin. */
  grouped: boolean
  /** Rows that a later step takes out: by which, and its predicate with the alias that it is written for. */
  leaves: { migration: string; alias: string; predicate: string }[]
}

/** Reads the original once; how many rows there are. */
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

/** Takes out of a twin what a step takes out of its original. */
export async function leaveTwin(sql: Db, twin: string, migration: string): Promise<void> {
  await sql.unsafe(`delete from ${twin} where ${literal(migration)} = any (${ownColumns.leaves})`)
}

/** Somebody whose sight is asked for: a role, and the claims that make it a person. */
export interface Seer {
  role: string
  claims: Record<string, unknown>
}

/** What somebody sees of a table. */
export interface SeenRows {
  /** SQLSTATE where the table may not be read, or a policy fails. */
  fault: string | null
  rows: number
  /** Equal for the same rows. */
  hash: string
  /** Which rows, with how many each is: `1:20 7:3`; null where there are too many to say. */
  ids: string | null
}

/** Most rows of a twin that are kept by name of what one person sees. */
const mostSeenIds = 5000

/** What is asked of a twin. */
export const twinQuery = (twin: string): string =>
  `select coalesce(sum(${ownColumns.rows}), 0) as rows, coalesce(sum(pg_catalog.hashint8(${ownColumns.id})), 0) as hash,
     case when count(*) <= ${mostSeenIds} then coalesce(string_agg(${ownColumns.id} || ':' || ${ownColumns.rows}, ' '), '') end as ids from ${twin}`

/** What is asked of a table itself, whose rows a key tells apart; without one, how many rows. */
export const tableQuery = (table: string, key: string | null): string =>
  key === null
    ? `select count(*) as rows, count(*) as hash, null::jsonb as ids from ${table}`
    : `select count(*) as rows, coalesce(sum(pg_catalog.hashtextextended(${key}, 0)::pg_catalog.numeric), 0) as hash,
         case when count(*) <= ${mostSeenIds} then coalesce(string_agg(pg_catalog.hashtextextended(${key}, 0) || ':1', ' '), '') end as ids from ${table}`

/**
 * What each of them sees by a query, in one message; who may not read gets a fault. `twin` and `schema` are
 * asked for the rights: a right to read any column is enough.
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

/** Becomes each of them in turn; what fails is theirs alone. */
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

/** Lets everybody read what a twin has beside its original's columns. */
export async function openTwin(sql: Db, twin: string): Promise<void> {
  await sql.unsafe(`grant select (${ownColumns.id}, ${ownColumns.rows}) on ${twin} to public`)
}

/** Runs a text with the schemas that unqualified names are looked for in. */
export async function runIn(sql: Db, path: string, text: string): Promise<void> {
  await sql`select set_config('search_path', ${path}, true)`
  await sql.unsafe(text)
}

/** The schemas that unqualified names are looked for in now. */
export async function searchPath(sql: Db): Promise<string> {
  const [row] = await sql<{ path: string }[]>`select current_setting('search_path') as path`
  return row!.path
}

/** The schemas of the server alone: what is printed of an expression then has every name in full. */
export async function closePath(sql: Db): Promise<void> {
  await sql`select set_config('search_path', '', true), set_config('check_function_bodies', 'off', true)`
}
