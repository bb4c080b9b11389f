import { columnFacts, relationExists } from '../database/catalog.sql.js'
import { type Db, ident } from '../database/types.js'
import type { TrackInfo, TrackObjects } from '../model/project.js'

/** A change that makes the database wrong. */
export interface Mutant {
  name: string
  sql: string
}

/** Makes the change. */
export async function mutateBy(sql: Db, text: string): Promise<void> {
  await sql.unsafe(text)
}

/**
 * All mutants for the existing objects: objects that the files name, parts of the tables that the track
 * created, and functions that it expects.
 */
export async function mutantsOf(
  sql: Db,
  objects: TrackObjects,
  functions: string[],
  info: TrackInfo | null,
): Promise<Mutant[]> {
  const made = objects.tables
  const named = (list: { table: string; name: string }[]) => JSON.stringify(list)
  const structural = await sql.unsafe<Mutant[]>(
    `with made as (select to_regclass(name) as oid from unnest(array(select jsonb_array_elements_text($1::text::jsonb))) as n (name)),
     named as (select to_regclass(x ->> 'table') as oid, x ->> 'name' as name, x ->> 'kind' as kind from jsonb_array_elements($2::text::jsonb) x),
     -- one table with policies is enough to try ways around them
     secured as (select c.oid from pg_catalog.pg_class c where c.oid in (select oid from made) and c.relrowsecurity and c.relkind = 'r' order by 1 limit 1)
     select 'without policy ' || p.polname || ' on ' || p.polrelid::regclass as name,
       format('drop policy %I on %s', p.polname, p.polrelid::regclass) as sql
     from pg_catalog.pg_policy p
     where p.polrelid in (select oid from made) or (p.polrelid, p.polname::text) in (select oid, name from named where kind = 'policy')
     union all
     select 'an open policy on ' || c.oid::regclass, format('create policy mutant on %s using (true) with check (true)', c.oid::regclass)
     from pg_catalog.pg_class c
     where c.relrowsecurity and (c.oid in (select oid from made) or c.oid in (select oid from named where kind = 'policy'))
     union all
     select 'a view of ' || c.oid::regclass || ' that shows the API everything',
       format('create view public.mutant as select * from %s; grant select on public.mutant to authenticated', c.oid::regclass)
     from pg_catalog.pg_class c
     where c.relrowsecurity and (c.oid in (select oid from made) or c.oid in (select oid from named where kind = 'policy'))
     union all
     select 'a view through a view of ' || l.oid::regclass,
       format('create view public.mutant_below as select * from %s; revoke all on public.mutant_below from anon, authenticated;
         create view public.mutant as select * from public.mutant_below; grant select on public.mutant to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'a function that reads ' || l.oid::regclass || ' for everybody',
       format('create function public.mutant() returns bigint language sql security definer set search_path = pg_catalog, pg_temp as ''select count(*) from %s'';
         grant execute on function public.mutant() to anon', (select format('%I.%I', n.nspname, c.relname)
           from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = l.oid))
     from secured l
     union all
     select 'a child of ' || l.oid::regclass || ' that is open',
       format('create table public.mutant () inherits (%s); grant select on public.mutant to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'a materialized view of ' || l.oid::regclass || ' that the API may read',
       format('create materialized view public.mutant as select * from %s; grant select on public.mutant to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'authenticated may empty ' || l.oid::regclass, format('grant truncate on %s to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'authenticated may point foreign keys at ' || l.oid::regclass, format('grant references on %s to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'authenticated may put triggers on ' || l.oid::regclass, format('grant trigger on %s to authenticated', l.oid::regclass)
     from secured l
     union all
     select 'anon may read a column of ' || l.oid::regclass, format('grant select (%I) on %s to anon', (
       select a.attname from pg_catalog.pg_attribute a where a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped order by a.attnum limit 1), l.oid::regclass)
     from secured l
     union all
     select 'a foreign child of ' || l.oid::regclass || ' that is open',
       format('create foreign data wrapper mutant; create server mutant foreign data wrapper mutant;
         create foreign table public.mutant () inherits (%s) server mutant; grant select on public.mutant to authenticated', l.oid::regclass)
     from secured l
     where (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
     union all
     select 'a publication of everything', 'create publication mutant for all tables'
     where (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
     union all
     select 'a publication of one internal table',
       format('create publication mutant for table %s', i.oid::regclass)
     from (select min(c.oid) as oid from pg_catalog.pg_class c
       where c.relkind = 'r' and c.relnamespace in (to_regnamespace('chat_private'), to_regnamespace('rethread_archive'))) i
     where i.oid is not null
     union all
     -- functions that policies call, replaced by ones that always allow
     select distinct 'function ' || f.oid::regprocedure || ' that says yes to everybody',
       format('create or replace function %s(%s) returns %s language sql stable security definer set search_path = pg_catalog, pg_temp as %L',
         f.oid::regproc, pg_get_function_arguments(f.oid), format_type(f.prorettype, null),
         case f.prorettype when 'boolean'::regtype then 'select true' else 'select ''admin''' end)
     from pg_catalog.pg_proc f
     join pg_catalog.pg_depend d on d.refclassid = 'pg_proc'::regclass and d.refobjid = f.oid and d.classid = 'pg_policy'::regclass
     where f.pronamespace = to_regnamespace('chat_private') and f.prosecdef and f.prorettype in ('boolean'::regtype, 'text'::regtype)
     union all
     -- trigger functions with their owner's rights, with an empty body
     select 'function ' || f.oid::regprocedure || ' without its body',
       format('create or replace function %s() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as ''begin return coalesce(new, old); end''',
         f.oid::regproc)
     from pg_catalog.pg_proc f
     where f.pronamespace = to_regnamespace('chat_private') and f.prosecdef and f.prorettype = 'trigger'::regtype
     union all
     select 'row security off on ' || c.oid::regclass, format('alter table %s disable row level security', c.oid::regclass)
     from pg_catalog.pg_class c
     where c.relrowsecurity and (c.oid in (select oid from made) or c.oid in (select oid from named where kind = 'policy'))
     union all
     select 'without index ' || i.indexrelid::regclass, format('drop index %s', i.indexrelid::regclass)
     from pg_catalog.pg_index i
     where not exists (select from pg_catalog.pg_constraint c where c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x'))
       and (i.indrelid in (select oid from made)
         or i.indexrelid in (select to_regclass(x) from jsonb_array_elements_text($3::text::jsonb) x where x !~ '^chat_private\\.'))
     union all
     select 'an invalid index ' || i.indexrelid::regclass,
       format('update pg_catalog.pg_index set indisvalid = false where indexrelid = %s', i.indexrelid::oid)
     from pg_catalog.pg_index i
     where (select rolsuper from pg_catalog.pg_roles where rolname = current_user)
       and i.indexrelid in (select to_regclass(x) from jsonb_array_elements_text($3::text::jsonb) x where x !~ '^chat_private\\.')
     union all
     select 'without constraint ' || c.conname || ' on ' || c.conrelid::regclass,
       format('alter table %s drop constraint %I cascade', c.conrelid::regclass, c.conname)
     from pg_catalog.pg_constraint c
     where c.contype in ('p', 'u', 'f', 'c', 'x')
       and (c.conrelid in (select oid from made) or (c.conrelid, c.conname::text) in (select oid, name from named where kind = 'constraint'))
     union all
     select 'without trigger ' || t.tgname || ' on ' || t.tgrelid::regclass, format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
     from pg_catalog.pg_trigger t
     where not t.tgisinternal
       and (t.tgrelid in (select oid from made) or (t.tgrelid, t.tgname::text) in (select oid, name from named where kind = 'trigger'))
     union all
     select 'trigger ' || t.tgname || ' on ' || t.tgrelid::regclass || ' off', format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname)
     from pg_catalog.pg_trigger t
     where not t.tgisinternal
       and (t.tgrelid in (select oid from made) or (t.tgrelid, t.tgname::text) in (select oid, name from named where kind = 'trigger'))
     union all
     select a.grantee::regrole || ' without ' || a.privilege_type || ' on ' || c.oid::regclass,
       format('revoke %s on %s from %s', a.privilege_type, c.oid::regclass, a.grantee::regrole)
     from pg_catalog.pg_class c cross join lateral aclexplode(c.relacl) a
     where c.oid in (select oid from made) and a.grantee <> c.relowner and a.grantee <> 0
       and a.grantee::regrole::text in ('authenticated', 'service_role') and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
     union all
     select 'anon with ' || p.privilege || ' on ' || c.oid::regclass, format('grant %s on %s to anon', p.privilege, c.oid::regclass)
     from pg_catalog.pg_class c cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) p (privilege)
     where c.oid in (select oid from made) and exists (select from pg_catalog.pg_roles where rolname = 'anon')
     union all
     select a.attrelid::regclass || '.' || a.attname || ' may be null', format('alter table %s alter column %I drop not null', a.attrelid::regclass, a.attname)
     from pg_catalog.pg_attribute a
     where a.attrelid in (select oid from made) and a.attnum > 0 and not a.attisdropped and a.attnotnull
       and not exists (select from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisprimary and a.attnum = any (i.indkey::int2[]))
     union all
     select 'function ' || f.oid::regprocedure || ' without its search_path', format('alter function %s reset search_path', f.oid::regprocedure)
     from pg_catalog.pg_proc f
     where f.pronamespace = to_regnamespace('chat_private') and f.prosecdef
       or f.pronamespace::regnamespace || '.' || quote_ident(f.proname) in (select jsonb_array_elements_text($4::text::jsonb))
     union all
     select 'function ' || f.oid::regprocedure || ' open to everybody', format('grant execute on function %s to public; grant usage on schema chat_private to public', f.oid::regprocedure)
     from pg_catalog.pg_proc f
     where f.pronamespace = to_regnamespace('chat_private') and f.prosecdef and f.prorettype <> 'trigger'::regtype
     order by 1`,
    [
      JSON.stringify(made),
      named([
        ...objects.policies.map(o => ({ ...o, kind: 'policy' })),
        ...objects.triggers.map(o => ({ ...o, kind: 'trigger' })),
        ...objects.constraints.map(o => ({ ...o, kind: 'constraint' })),
      ]),
      JSON.stringify(objects.indexes),
      JSON.stringify(functions),
    ],
  )
  const ours = new Set([...objects.tables, ...objects.touched])
  return [
    ...structural,
    ...(info?.messages && ours.has(info.messages.table) ? await rowMutants(sql, info) : []),
  ]
}

/** Changes of rows: a message moved to another session, a message deleted, two messages swapped. */
async function rowMutants(sql: Db, info: TrackInfo): Promise<Mutant[]> {
  const { sessions: s, messages: m } = info
  if (!m) return []
  if (!(await relationExists(sql, m.table))) return []
  const [some] = await sql.unsafe<{ n: number }[]>(
    `select count(*)::int as n from (select from ${m.table} limit 3) x`,
  )
  if (some!.n < 3) return []
  const isRequired = (await columnFacts(sql, m.table, m.session))?.notNull
  const linked = `${ident(m.session)} is not null`
  const key = ident(m.session)
  const created = ident(m.created)
  const sessionKey = ident(m.to ?? s.id)
  const off = `alter table ${m.table} disable trigger user; `
  // choose by age, because space is reused: the first row may be newer than the backfill, and its session
  // unknown
  const oldest = `${linked} order by ${created}, ctid limit 1`
  return [
    {
      name: `one message of ${m.table} in another session`,
      sql: `${off}update ${m.table} set ${key} = (select s.${sessionKey} from ${s.table} s where s.${sessionKey} <> x.${key}${
        s.workspace
          ? ` and s.${ident(s.workspace)} is distinct from (select o.${ident(s.workspace)} from ${s.table} o where o.${sessionKey} = x.${key})`
          : ''
      } order by 1 limit 1)
        from (select ctid as place, ${key} from ${m.table} where ${oldest}) x where ${m.table}.ctid = x.place`,
    },
    {
      name: `one message of ${m.table} without a session`,
      sql: `${off}alter table ${m.table} alter column ${key} drop not null;
        update ${m.table} set ${key} = null where ctid = (select ctid from ${m.table} where ${oldest})`,
    },
    // while both applications run it may be null
    ...(isRequired
      ? [
          {
            name: `${m.table}.${m.session} may be null`,
            sql: `alter table ${m.table} alter column ${key} drop not null`,
          },
        ]
      : []),
    {
      name: `one session of ${s.table} lost, its messages left`,
      sql: `set local session_replication_role = replica;
        delete from ${s.table} where ${sessionKey} = (select ${key} from ${m.table} where ${linked} order by ${created} desc, ctid limit 1);
        set local session_replication_role = origin`,
    },
    {
      name: `one message of ${m.table} lost`,
      sql: `${off}delete from ${m.table} where ctid = (select ctid from ${m.table} where ${oldest})`,
    },
    {
      name: `two messages of ${m.table} that change places`,
      sql: `${off}with pair as (
          select a.ctid as one, b.ctid as two, a.${created} as one_at, b.${created} as two_at
          from ${m.table} a join ${m.table} b on b.${key} = a.${key} and b.${created} > a.${created} order by a.${created}, a.ctid limit 1
        )
        update ${m.table} t set ${created} = case when t.ctid = pair.one then pair.two_at else pair.one_at end
        from pair where t.ctid in (pair.one, pair.two)`,
    },
  ]
}
