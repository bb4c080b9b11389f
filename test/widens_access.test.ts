import type postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { knownOf } from '../src/database/known.js'
import type { Types } from '../src/database/types.js'
import { parseStatements } from '../src/files/statements.js'
import { judgeStatements } from '../src/plan/hazards.js'
import { type Database, database, servers } from './support/database.js'
import { Rollback } from './support/locks.js'

/**
 * `keeper` and `stranger` stand for roles of the test's own; the API's roles come with the stand-in for
 * Supabase.
 */
const scene = `
  create schema hidden;
  -- as on Supabase, whatever is made in public is born open
  alter default privileges in schema public grant all on tables to anon, authenticated;
  alter default privileges in schema public grant execute on functions to anon, authenticated;
  create table secret (id int, owner text);
  insert into secret select g, case g % 2 when 1 then 'x' else 'y' end from generate_series(1, 6) g;
  alter table secret enable row level security;
  revoke all on secret from anon, authenticated;
  create policy own on secret for select to authenticated using (owner = 'x');
  create policy few on secret as restrictive for select using (id < 3);
  grant select, insert on secret to anon, authenticated;
  create table closed (id int);
  revoke all on closed from anon, authenticated;
  insert into closed values (1);
  alter table closed enable row level security;
  create policy all_of_it on closed for select to anon, authenticated using (true);
  create table kept (id int);
  revoke all on kept from anon, authenticated;
  insert into kept values (1);
  alter table kept enable row level security;
  alter table kept force row level security;
  alter table kept owner to keeper;
  create table open_table (id int, other int);
  revoke all on open_table from anon, authenticated;
  insert into open_table values (1, 1);
  create policy idle on open_table for select using (false);
  create view seen with (security_invoker = true) as select * from secret;
  revoke all on seen from anon, authenticated;
  grant select on seen to authenticated;
  create function plain_one() returns int language sql as 'select 1';
  create function hidden_one() returns int language sql security definer as 'select 1';
  revoke all on function hidden_one() from public, anon, authenticated;
  create procedure hidden_work() language sql security definer as 'select 1';
  revoke all on procedure hidden_work() from public, anon, authenticated;
`

/** What a role sees, writes and may run; whatever is tried is undone at once. */
const probe = `
  create schema probing;
  create function probing.rights(who text) returns jsonb language plpgsql as $$
  declare
    found jsonb := '{}';
    t text;
    n int;
  begin
    foreach t in array array['secret', 'closed', 'kept', 'open_table', 'seen', 'secret_copy', 'fresh'] loop
      begin
        execute format('set local role %I', who);
        execute format('select count(*) from public.%I', t) into n;
        raise sqlstate 'UNDO1';
      exception when sqlstate 'UNDO1' then null; when others then n := 0;
      end;
      found := found || jsonb_build_object('sees ' || t, n);
      begin
        execute format('set local role %I', who);
        execute format('insert into public.%I (id) values (9)', t);
        n := 1;
        raise sqlstate 'UNDO1';
      exception when sqlstate 'UNDO1' then null; when others then n := 0;
      end;
      found := found || jsonb_build_object('writes ' || t, n);
    end loop;
    begin
      create table hidden.later (id int);
      n := has_table_privilege(who, 'hidden.later', 'select')::int;
      raise sqlstate 'UNDO1';
    exception when sqlstate 'UNDO1' then null;
    end;
    return found || jsonb_build_object(
      'later', n,
      'definers', (select count(*) from pg_proc where prosecdef and prorettype <> 'trigger'::regtype
        and pronamespace in ('public'::regnamespace, 'hidden'::regnamespace) and has_function_privilege(who, oid, 'execute')),
      'schemas', has_schema_privilege(who, 'hidden', 'usage')::int,
      'roles', (select count(*) from pg_roles where pg_has_role(who, oid, 'member')),
      'strong', (select rolbypassrls::int + rolsuper::int from pg_roles where rolname = who),
      'columns', has_any_column_privilege(who, 'public.open_table', 'select')::int);
  end $$`

const widening = [
  'alter table secret disable row level security',
  'alter table kept no force row level security',
  'alter table secret owner to stranger',
  'grant select on closed to anon',
  'grant select on closed to public',
  'grant select on open_table to public',
  'grant select on open_table to anon, service_role',
  'grant select on open_table to authenticated',
  'grant select (id) on open_table to anon',
  'grant all on all tables in schema public to anon',
  'grant usage on schema hidden to anon',
  'grant execute on function hidden_one() to public',
  'grant execute on procedure hidden_work() to anon',
  'grant keeper to authenticated',
  'create policy more on secret using (true)',
  'create policy more on secret for select to authenticated using (true)',
  "create policy more on secret for select using (owner = 'y')",
  "create policy more on secret for select to anon using (owner = 'y')",
  'create policy more on secret for insert to authenticated with check (true)',
  'alter policy own on secret using (true)',
  'alter policy own on secret to public',
  'drop policy few on secret',
  "create function fresh() returns int language sql security definer as 'select 1'",
  "create procedure fresh() language sql security definer as 'select 1'",
  "create function hidden.fresh() returns int language sql security definer as 'select 1'",
  'alter function plain_one() security definer',
  'alter default privileges grant select on tables to anon',
  'alter default privileges grant select on tables to authenticated',
  'alter default privileges grant select on tables to public',
  'alter role stranger bypassrls',
  'alter role stranger superuser',
  'alter view seen set (security_invoker = false)',
  'alter view seen reset (security_invoker)',
  "create function fresh() returns int language sql security definer as 'select 1'; revoke all on function fresh() from public",
  'create table secret_copy as select * from secret',
  'select * into secret_copy from secret',
  'create materialized view secret_copy as select * from secret',
  'create view secret_copy as select * from secret',
  'create view secret_copy with (security_invoker = false) as select * from secret',
  'create table hidden.fresh as select * from secret; grant usage on schema hidden to anon',
  'create table fresh (id int, owner text); insert into fresh select * from secret; grant select on fresh to authenticated',
]

/** Said, although nobody gains anything here: only the expressions and the state of things decide. */
const perhaps = [
  'grant insert on closed to anon',
  'alter policy own on secret using (false)',
  'alter table secret no force row level security',
  "create policy more on secret for select using (owner = 'z')",
]

const harmless = [
  'alter table open_table disable row level security',
  'alter table open_table enable row level security',
  'alter table secret force row level security',
  'create policy more on secret for select to authenticated',
  'create policy more on secret for select to authenticated using (false)',
  'create policy more on secret as restrictive for select using (true)',
  'create policy more on secret to service_role using (true)',
  'create policy more on open_table for select using (true)',
  'alter policy idle on open_table using (true)',
  'alter policy own on secret rename to others',
  'drop policy own on secret',
  'drop policy if exists nowhere on secret',
  'drop policy idle on open_table',
  'revoke all on secret from anon',
  'grant select on closed to service_role',
  'grant select on secret to authenticated',
  "create function fresh() returns int language sql as 'select 1'",
  "create function fresh() returns int language sql security definer as 'select 1'; revoke all on function fresh() from public, anon, authenticated",
  "create function fresh() returns int language sql security definer as 'select 1'; revoke execute on all functions in schema public from public, anon, authenticated",
  "create function hidden.fresh() returns int language sql security definer as 'select 1'; revoke all on function hidden.fresh() from public",
  'create view secret_copy with (security_invoker = true) as select * from secret; revoke all on secret_copy from authenticated',
  'create view secret_copy as select * from secret; revoke all on secret_copy from anon, authenticated',
  'create table secret_copy as select * from secret; revoke all on secret_copy from anon, authenticated',
  'create table hidden.fresh as select * from secret',
  'create temporary table secret_copy as select * from secret',
  "alter default privileges revoke execute on functions from public; create function hidden.fresh() returns int language sql security definer as 'select 1'",
  "create function fresh() returns trigger language plpgsql security definer as 'begin return new; end'",
  'alter function plain_one() security invoker',
  'alter default privileges revoke execute on functions from public',
  'revoke keeper from authenticated',
  'alter role stranger nobypassrls',
  'alter view seen set (security_invoker = true)',
  'create table hidden.fresh (id int); alter table hidden.fresh enable row level security; grant select on hidden.fresh to authenticated',
  'create table hidden.fresh (id int); grant select on hidden.fresh to authenticated; alter table hidden.fresh enable row level security',
  'create table hidden.fresh (id int); alter table hidden.fresh owner to keeper',
]

describe.each(servers())('access on PostgreSQL $major', server => {
  let db: Database
  const roles = () => ({ keeper: `keeper_${db.name}`, stranger: `stranger_${db.name}` })
  const named = (sql: string) =>
    sql.replace(/\b(keeper|stranger)\b/g, r => roles()[r as 'keeper' | 'stranger'])

  beforeAll(async () => {
    db = await database(server, 'empty')
    await db.sql.unsafe(`create role ${roles().keeper}; create role ${roles().stranger}`)
    await db.sql.unsafe(named(scene))
    await db.sql.unsafe(probe)
  })
  afterAll(async () => {
    await db.sql.unsafe(`drop owned by ${roles().keeper}; drop role ${roles().keeper}, ${roles().stranger}`)
    await db[Symbol.asyncDispose]()
  })

  /** What each role can do, as numbers that grow with its rights. */
  async function rights(tx: postgres.TransactionSql<Types>): Promise<Record<string, number>> {
    const [row] = await tx<{ all: Record<string, number> }[]>`
      select jsonb_object_agg(r || ' ' || key, value) as all
      from unnest(array['anon', 'authenticated', ${roles().keeper}::text, ${roles().stranger}::text]) r, jsonb_each(probing.rights(r))`
    return row!.all
  }

  const judged = async (tx: postgres.TransactionSql<Types>, sql: string) => {
    const statements = await parseStatements(sql)
    return judgeStatements(statements, null, await knownOf(tx, statements)).hazards.filter(
      h => h.code === 'WIDENS_ACCESS',
    )
  }

  /** Which rights grow, and what is said beforehand. */
  async function tried(text: string): Promise<{ gained: string[]; said: number }> {
    const sql = named(text)
    let result = { gained: [] as string[], said: 0 }
    await db.sql
      .begin(async tx => {
        const said = (await judged(tx, sql)).length
        const before = await rights(tx)
        await tx.unsafe(sql)
        const after = await rights(tx)
        result = { gained: Object.keys(after).filter(k => after[k]! > before[k]!), said }
        throw new Rollback()
      })
      .catch(error => {
        if (!(error instanceof Rollback)) throw error
      })
    return result
  }

  test.each(widening)('%s', async sql => {
    const { gained, said } = await tried(sql)
    expect(gained).not.toEqual([])
    expect(said).toBeGreaterThan(0)
  })
  test.each(harmless)('nobody gains by: %s', async sql => {
    expect(await tried(sql)).toEqual({ gained: [], said: 0 })
  })
  test.each(perhaps)('perhaps: %s', async sql => {
    const { gained, said } = await tried(sql)
    expect([gained, said]).toEqual([[], 1])
  })
})
