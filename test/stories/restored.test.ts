import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import { type Ran, rethread, undoAll } from '../support/cli.js'
import { copyOf, type Database, database, inTurn, servers, some } from '../support/database.js'
import { inProcess, said as saidOf } from '../support/in_process.js'
import { proxy } from '../support/proxy.js'

/** What restore brings back, what it leaves to the migration, and what people deleted meanwhile. */

const faults = (ran: Ran) => ran.report.findings.filter(f => f.level === 'error' || f.level === 'refused')
const conflicts = (ran: Ran) =>
  ran.report.findings.flatMap(f =>
    f.code === 'RESTORE_CONFLICT' ? [[f.subject, f.facts.rows, f.facts.first]] : [],
  )
const up = async (db: Database, ...flags: string[]) => {
  const ran = await rethread(db.url, ['migrate', ...flags])
  expect([ran.code, faults(ran)]).toEqual([0, []])
}
const down = async (db: Database, ...flags: string[]) => {
  const ran = await rethread(db.url, ['rollback', ...undoAll(db.name), ...flags])
  expect([ran.code, faults(ran)]).toEqual([0, []])
}

const arrays = `
  create table public.tenants (id uuid primary key default gen_random_uuid(), name text);
  create table public.tenant_users (id uuid primary key default gen_random_uuid(), tenant_id uuid not null references public.tenants (id) on delete cascade, user_id uuid not null references auth.users (id) on delete cascade, role text not null default 'user', unique (tenant_id, user_id));
  create table public.chat_sessions (id uuid primary key default gen_random_uuid(), tenant_id uuid, user_id uuid, title varchar(255), messages jsonb default '[]', metadata jsonb default '{}', created_at timestamptz default now(), updated_at timestamptz default now());
  insert into auth.users (id, email) select md5('u' || n)::uuid, 'p' || n || '@example.com' from generate_series(1, 6) n;
  insert into public.tenants (id, name) select md5('t1')::uuid, 'T1';
  insert into public.tenant_users (tenant_id, user_id) select md5('t1')::uuid, md5('u' || n)::uuid from generate_series(1, 3) n;
  insert into public.chat_sessions (id, tenant_id, user_id, title, messages)
  select md5('s' || n)::uuid, md5('t1')::uuid, md5('u' || (n % 3 + 1))::uuid, 's' || n, (
    select jsonb_agg(jsonb_build_object('role', case k % 2 when 1 then 'user' else 'assistant' end, 'content', 'said ' || k)) from generate_series(1, 4) k)
  from generate_series(1, 6) n;`

/** What each session says, in both tables: they must agree. */
const said = async (db: Database) => {
  const rows = await db.sql<{ title: string; said: string | null; kept: string | null }[]>`
    select coalesce(s.title, c.title) as title,
      (select string_agg(m.content, '|' order by m.created_at, m.id) from public.messages m where m.conversation_id = c.id) as said,
      (select string_agg(e ->> 'content', '|' order by n) from jsonb_array_elements(s.messages) with ordinality x (e, n)) as kept
    from public.chat_sessions s full join public.conversations c on c.id = s.id order by 1`
  for (const r of rows) expect([r.title, r.kept]).toEqual([r.title, r.said])
  return Object.fromEntries(rows.map(r => [r.title, r.said]))
}

describe.each(servers())('restore on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a session that a backfill made stays beside another one of its conversation that people began', async () => {
    await using db = await database(server, 'trip-sessions')
    await up(db)
    await db.sql`
      insert into public.chat_sessions (id, conversation_id, iso_agent_id, request_id)
      select md5('second ' || s.id)::uuid, s.conversation_id, s.iso_agent_id, s.request_id
      from (select * from public.chat_sessions order by id limit 5) s`
    const ids = () =>
      db.sql`select id::text, conversation_id::text as of from public.chat_sessions order by id`.then(r => [
        ...r,
      ])
    const before = await ids()
    await down(db)
    const back = await rethread(db.url, ['restore', 'latest'])
    expect([back.code, faults(back), conflicts(back)]).toEqual([0, [], []])
    expect(await ids()).toEqual(before)
  })

  test('messages and sessions that people deleted after the rollback stay deleted; nothing is doubled by its place', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(arrays)
    await up(db)
    await db.sql`insert into public.messages (conversation_id, role, content) values (md5('s2')::uuid, 'user', 'from the new one')`
    await db.sql`update public.messages set content = 'said 2, edited' where conversation_id = md5('s6')::uuid and content = 'said 2'`
    await db.sql`insert into public.conversations (id, tenant_id, user_id, title) values (md5('s7')::uuid, md5('t1')::uuid, md5('u1')::uuid, 's7')`
    await db.sql`insert into public.messages (conversation_id, role, content) values (md5('s7')::uuid, 'user', 'a new session')`
    await down(db)
    await db.sql.unsafe(`
      update public.chat_sessions set messages = messages - 1 where title = 's1';
      update public.chat_sessions set messages = messages - 3 where title = 's3';
      delete from public.chat_sessions where title = 's4';
      update public.chat_sessions set messages = '[]' where title = 's5';
      update public.chat_sessions set messages = messages - 0 where title = 's6';`)
    const back = await rethread(db.url, ['restore', 'latest'])
    expect([back.code, faults(back), conflicts(back)]).toEqual([0, [], []])
    const expected = {
      s1: 'said 1|said 3|said 4',
      s2: 'said 1|said 2|said 3|said 4|from the new one',
      s3: 'said 1|said 2|said 3',
      s5: null,
      s6: 'said 2, edited|said 3|said 4',
      s7: 'a new session',
    }
    expect(await said(db)).toEqual(expected)
    const twice = await rethread(db.url, ['restore', 'latest'])
    expect([twice.code, await said(db)]).toEqual([0, expected])
  })

  test('an account and a workspace that were deleted meanwhile block nothing: the rest comes back, they are named', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await up(db)
    await db.sql.unsafe(
      `
      create table public.mine as
      with room as (select id, owner_id, row_number() over (order by id) as n from workspaces where owner_id is not null order by id limit 3),
      made as (
        insert into chat_sessions (workspace_id, user_id, title)
        select r.id, case n when 2 then u.id else owner_id end, 'Mine ' || n from room r,
          (insert_user.id) u returning *
      ) select * from made`.replace(
        '(insert_user.id) u',
        `(select id from auth.users where id not in (select owner_id from workspaces where owner_id is not null) order by id limit 1) u`,
      ),
    )
    const made = await db.sql`select id, workspace_id, user_id, title from public.mine order by title`
    expect(made).toHaveLength(3)
    await db.sql.unsafe(`
      insert into chats (workspace_id, user_id, role, message, session_id)
      select workspace_id, user_id, 'user', 'in ' || title, id from public.mine, generate_series(1, 4);
      update chat_sessions set title = 'Renamed', user_id = (select user_id from public.mine where title = 'Mine 2')
      where title = 'Legacy Chat' and workspace_id = (select workspace_id from public.mine where title = 'Mine 1');`)
    await down(db)
    await db.sql`delete from auth.users where id = ${made[1]!.user_id}`
    await db.sql`delete from workspaces where id = ${made[2]!.workspace_id}`
    const back = await rethread(db.url, ['restore', 'latest'])
    expect([back.code, back.report.verdict, faults(back)]).toEqual([1, 'attention', []])
    expect(
      (await db.sql`select title from chat_sessions where title like 'Mine%'`).map(r => r.title),
    ).toEqual(['Mine 1'])
    expect(
      (
        await db.sql`select count(*)::int as n from chats c join chat_sessions s on s.id = c.session_id where c.message = 'in Mine 1' and s.title = 'Mine 1'`
      )[0]!.n,
    ).toBe(4)
    // messages of the account that is gone keep their place, in a session that is there
    const [state] = await db.sql`
      select (select count(*)::int from chats where message = 'in Mine 2') as messages,
        (select count(*)::int from chats c where c.session_id is not null and not exists (select from chat_sessions s where s.id = c.session_id)) as dangling`
    expect(state).toEqual({ messages: 4, dangling: 0 })
    expect(conflicts(back).map(c => c[0])).toEqual(['public.chat_sessions', 'public.chats'])
    expect(JSON.stringify(conflicts(back)[0])).toMatch(/auth\.users is gone/)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })
})

/** A track of one's own in a folder; rollbacks by the name of their migration. */
function folder(files: Record<string, [string, string | null]>): string {
  const at = mkdtempSync('/tmp/rethread-restored-')
  for (const kind of ['migrations', 'rollbacks', 'verify'])
    mkdirSync(join(at, kind, 'mine'), { recursive: true })
  for (const [name, [forth, back]] of Object.entries(files)) {
    writeFileSync(join(at, 'migrations/mine', `${name}.sql`), forth)
    if (back !== null) writeFileSync(join(at, 'rollbacks/mine', `${name}.sql`), back)
  }
  writeFileSync(
    join(at, 'verify/mine/always.sql'),
    `--! title: Nothing is wrong\nselect '' as object, '' as detail where false;`,
  )
  return at
}

describe.each(some('newest'))('restore of any table on PostgreSQL $major', server => {
  test('a table that no migration makes is moved back with all that was attached to it', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table public.parents (id int primary key); insert into public.parents select generate_series(1, 3);
      create table public."Old ""one" (
        id bigint generated always as identity primary key, parent int references public.parents (id) on delete cascade, "Said, so" text unique, twice int generated always as (parent * 2) stored
      );
      create index said on public."Old ""one" ("Said, so") where parent > 1;
      create function public.touch() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger touch before update on public."Old ""one" for each row execute function public.touch();
      alter table public."Old ""one" enable row level security;
      create policy mine on public."Old ""one" as restrictive for select to authenticated using (parent = 1);
      grant select on public."Old ""one" to authenticated; grant insert on public."Old ""one" to public;
      insert into public."Old ""one" (parent, "Said, so") select n % 3 + 1, 'said ' || n from generate_series(1, 50) n`)
    const cwd = folder({
      '001_note': [
        '--! title: Note\n--! phase: expand\ncreate table public.made (id int primary key);',
        'drop table public.made;\ndrop table public."Old ""one";',
      ],
    })
    const run = async (...args: string[]) => {
      const ran = await rethread(db.url, args, { cwd })
      expect([args[0], ran.code, faults(ran)]).toEqual([args[0], 0, []])
      return ran
    }
    const look = async () => ({
      rows: await db.sql`select * from public."Old ""one" order by id`,
      attached: await db.sql`
        select conname::text as name, pg_get_constraintdef(oid) as def from pg_constraint where 'public."Old ""one"'::regclass in (conrelid, confrelid)
        union all select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index where indrelid = 'public."Old ""one"'::regclass
        union all select tgname, pg_get_triggerdef(oid) from pg_trigger where tgrelid = 'public."Old ""one"'::regclass and not tgisinternal
        union all select polname, concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid)) from pg_policy where polrelid = 'public."Old ""one"'::regclass
        union all select relname, concat_ws(' ', relrowsecurity, (select string_agg(x::text, ',' order by x::text) from unnest(relacl) x)) from pg_class where oid = 'public."Old ""one"'::regclass
        union all select pg_get_serial_sequence('public."Old ""one"', 'id'), '' order by 1, 2`,
    })
    await run('migrate')
    const before = await look()
    await run('rollback', ...undoAll(db.name))
    expect((await db.sql`select to_regclass('public."Old ""one"') as t`)[0]!.t).toBeNull()
    await run('restore', 'latest')
    expect(await look()).toEqual(before)
    await db.sql`insert into public."Old ""one" (parent) values (1)`
    await run('restore', 'latest')
    expect((await look()).rows).toHaveLength(51)
  })

  test('columns that are gone, new or NOT NULL are named; identity, generated columns and sequences go on', async () => {
    await using db = await database(server, 'empty')
    const table = (columns: string) =>
      `--! title: Make t\n--! phase: expand\ncreate table public."T, t" (id bigint generated always as identity primary key, "a ""b" text, doubled text generated always as ("a ""b" || '!') stored, ${columns});`
    const back = 'drop table public."T, t";'
    const run = async (cwd: string, ...args: string[]) => rethread(db.url, args, { cwd })
    const first = folder({ '001_make': [table('gone int, mood point, raw json'), back] })
    expect((await run(first, 'migrate')).code).toBe(0)
    await db.sql`insert into public."T, t" ("a ""b", gone, mood, raw) select 'x' || n, n, point(n, n), '{"a":  1}' from generate_series(1, 30) n`
    const undone = await run(first, 'rollback', ...undoAll(db.name))
    expect([undone.code, faults(undone)]).toEqual([0, []])
    const second = folder({ '001_make': [table('wanted int not null, mood point, raw json'), back] })
    const refused = await run(second, 'restore', 'latest')
    expect([refused.code, faults(refused)]).toEqual([1, []])
    expect(conflicts(refused)[0]!.slice(0, 2)).toEqual(['public."T, t"', 31])
    expect(JSON.stringify(conflicts(refused))).toMatch(/wanted must not be null/)
    await db.sql`alter table public."T, t" alter column wanted set default 7`
    const restored = await run(second, 'restore', 'latest')
    expect([restored.code, faults(restored), conflicts(restored)]).toEqual([
      1,
      [],
      [
        [
          'public."T, t"',
          1,
          [expect.stringMatching(/^column gone: it is gone: 30 values are still in rethread_archive/)],
        ],
      ],
    ])
    expect(
      await db.sql`select count(*)::int as n, min(wanted) as wanted, max(doubled) as doubled, max(raw::text) as raw from public."T, t"`,
    ).toEqual([{ n: 30, wanted: 7, doubled: 'x9!', raw: '{"a":  1}' }])
    await db.sql`insert into public."T, t" ("a ""b") values ('next')`
    expect((await db.sql`select max(id)::int as id from public."T, t"`)[0]!.id).toBe(31)
    // a row that people deleted after it had come back stays deleted, whatever is still to be settled
    await db.sql`delete from public."T, t" where id = 3`
    expect((await run(second, 'restore', 'latest')).code).toBe(1)
    expect((await db.sql`select count(*)::int as n from public."T, t" where id = 3`)[0]!.n).toBe(0)
  })

  test('a column of another kind or type, and null where none may be: restored or named, and nothing ends in the middle', async () => {
    await using db = await database(server, 'empty')
    const track = (columns: string, more: string) =>
      folder({
        '001_make': [
          `--! title: Make t\n--! phase: expand\ncreate table public."T, t" (${columns});`,
          'drop table public."T, t";',
        ],
        '002_add': [
          `--! title: Add to old\n--! phase: expand\n${more}`,
          'alter table public.old drop column said, drop column n, drop column twice, drop column size;',
        ],
      })
    const verb = (dir: string) => inProcess(db.url, { dir, track: 'mine' })
    await db.sql`create table public.old (id int primary key)`
    await db.sql`insert into public.old select generate_series(1, 6)`
    const first = await verb(
      track(
        'id int primary key, kept text, loose text, filled text, number text, price numeric(8, 3), length int, serial int',
        'alter table public.old add column said text, add column n text, add column twice int, add column size numeric(8, 3);',
      ),
    )
    expect((await first.migrate()).findings.filter(f => f.level === 'error')).toEqual([])
    await db.sql.unsafe(`
      insert into public."T, t" select n, 'kept ' || n, case when n % 2 = 0 then 'loose' end, nullif(n, 3)::text, n::text, n + 0.125, n * 7, 100 + n from generate_series(1, 6) n;
      update public."T, t" set number = 'many' where id = 6;
      update public.old set said = case when id > 2 then 'said ' || id end, n = case id when 5 then 'five' else id::text end, twice = id, size = id + 0.125;`)
    const consent = {
      allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES', 'REWRITES_TABLE'] as HazardCode[],
      confirm: db.name,
    }
    const undone = await first.rollback({ all: true, consent })
    expect(undone.findings.filter(f => f.level === 'error' || f.level === 'refused')).toEqual([])
    const second = await verb(
      track(
        `id int primary key, kept text not null, loose text not null, filled text not null default 'nothing', number int, price numeric(8, 1),
         length int generated always as (pg_catalog.length(kept)) stored, serial int generated always as identity`,
        `alter table public.old add column said text not null default '', add column n int, add column twice int generated always as (id * 2) stored, add column size numeric(8, 1);`,
      ),
    )
    const back = await saidOf(second.restore({ archive: 'latest', consent }))
    expect([back.verdict, back.findings.filter(f => f.level === 'error')]).toEqual(['attention', []])
    const named = back.findings.flatMap(f =>
      f.code === 'RESTORE_CONFLICT' ? [[f.subject, f.facts.first.map(r => r.replaceAll(/r\d+_/g, ''))]] : [],
    )
    const noLoose = 'loose must not be null, and has no value here: give it a default, then restore again'
    const left = (n: number, of: string) =>
      `other values than before (${n}); those from before are still in rethread_archive.${of}`
    expect(named).toEqual([
      [
        'public."T, t"',
        [
          `1: ${noLoose}`,
          `3: ${noLoose}`,
          `5: ${noLoose}`,
          '6: 22P02: invalid input syntax for type integer: "many"',
          `column price: it is numeric(8,1) now, and was numeric(8,3): ${left(2, 't__t')}`,
          `column length: it is generated now: ${left(2, 't__t')}`,
        ],
      ],
      ['public.old', [1, 2, 3, 4, 5, 6].map(n => `${n}: it is numeric(8,1) now, and was numeric(8,3)`)],
      ['public.old', [`column twice: it is generated now: ${left(6, 'old_twice')}`]],
      ['public.old', ['5: 22P02: invalid input syntax for type integer: "five"']],
    ])
    const rows = () => db.sql`select id, loose, filled, number, serial from public."T, t" order by id`
    expect(await rows()).toEqual([
      { id: 2, loose: 'loose', filled: '2', number: 2, serial: 102 },
      { id: 4, loose: 'loose', filled: '4', number: 4, serial: 104 },
    ])
    expect(await db.sql`select said, n from public.old order by id`).toEqual(
      [1, 2, 3, 4, 5, 6].map(n => ({ said: n > 2 ? `said ${n}` : '', n: n === 5 ? null : n })),
    )
    // what was in the way is out of it
    await db.sql.unsafe(
      `alter table public."T, t" alter column loose set default 'none', alter column number type text`,
    )
    await second.restore({ archive: 'latest', consent })
    expect((await rows()).map(r => [r.id, r.loose, r.filled, r.number])).toEqual([
      [1, 'none', '1', '1'],
      [2, 'loose', '2', '2'],
      [3, 'none', 'nothing', '3'],
      [4, 'loose', '4', '4'],
      [5, 'none', '5', '5'],
      [6, 'loose', '6', 'many'],
    ])
  })

  test('a table whose key is gone, that checks its keys late, or that has rules', async () => {
    await using db = await database(server, 'empty')
    const track = (key: string) =>
      folder({
        '001_make': [
          `--! title: Make t\n--! phase: expand\ncreate table public.parents (id int primary key);
           create table public.t (${key}, parent int references public.parents (id) deferrable initially deferred, said text unique deferrable initially deferred);
           create table public.ruled (id int primary key, said text); create rule twice as on update to public.ruled do also select 1;`,
          'drop table public.ruled; drop table public.t; drop table public.parents;',
        ],
      })
    const verb = (dir: string) => inProcess(db.url, { dir, track: 'mine' })
    const first = await verb(track('id int primary key'))
    await first.migrate()
    await db.sql.unsafe(`insert into public.parents values (1), (2); insert into public.ruled select n, 'said ' || n from generate_series(1, 3) n;
      insert into public.t select n, n % 2 + 1, 'said ' || n from generate_series(1, 40) n`)
    const consent = { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[], confirm: db.name }
    const undone = await first.rollback({ all: true, consent })
    expect(undone.findings.filter(f => f.level === 'error' || f.level === 'refused')).toEqual([])
    const other = await verb(track('name text primary key'))
    const named = await saidOf(other.restore({ archive: 'latest' }))
    expect(JSON.stringify(named.findings.filter(f => f.subject === 'public.t'))).toMatch(
      /column id of its key is gone: 40 rows are still in rethread_archive/,
    )
    await db.sql`drop table public.t`
    await db.sql.unsafe(
      `create table public.t (id int primary key, parent int references public.parents (id) deferrable initially deferred, said text unique deferrable initially deferred)`,
    )
    await db.sql`insert into public.t values (100, 1, 'said 7'), (8, 1, 'mine')`
    const back = await saidOf(other.restore({ archive: 'latest' }))
    const conflicts = back.findings.flatMap(f => (f.code === 'RESTORE_CONFLICT' ? f.facts.first : []))
    expect([back.verdict, conflicts]).toEqual([
      'attention',
      ['8: it was changed after the rollback', expect.stringMatching(/^7: 23505: duplicate key value/)],
    ])
    const counts = async () =>
      (
        await db.sql`select (select count(*)::int from public.t) as t, (select count(*)::int from public.ruled) as ruled, (select count(*)::int from public.parents) as parents`
      )[0]
    expect(await counts()).toEqual({ t: 40, ruled: 3, parents: 2 })
    await other.restore({ archive: 'latest' })
    expect(await counts()).toEqual({ t: 40, ruled: 3, parents: 2 })
  })

  test('rows without a key come back once, wherever the restore is cut off; what is refused is named, and tried again', async () => {
    await using origin = await database(server, 'empty')
    // pages for two transactions, a row that points at one which comes after it, and rows that are equal
    const dir = folder({
      '001_make': [
        `--! title: Make t\n--! phase: expand\ncreate table public.parents (id int primary key);
         create table public.t (n int unique, parent int references public.parents (id), before int references public.t (n), said text);
         alter table public.t alter column said set storage plain;`,
        'drop table public.t; drop table public.parents;',
      ],
    })
    const role = `restores_${origin.name}`
    const as = (db: Database) => Object.assign(new URL(db.url), { username: role }).href
    await origin.sql.unsafe(
      `create role ${role} login; grant create on database ${origin.name} to ${role}; grant create on schema public to ${role}`,
    )
    const first = await inProcess(as(origin), { dir, track: 'mine' })
    await first.migrate()
    await origin.sql.unsafe(`insert into public.parents values (1), (2);
      insert into public.t select case when n % 2 = 0 then n end, n % 2 + 1, case when n = 1 then 64 end, repeat('x', 5000) || n % 3 from generate_series(1, 70) n`)
    const consent = { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[], confirm: origin.name }
    expect((await first.rollback({ all: true, consent })).verdict).toBe('clean')
    await first.migrate()
    // of another owner: its triggers can't be held off
    await origin.sql.unsafe(`insert into public.parents values (1), (2); insert into public.t (n, said) values (66, 'mine');
      create function public.refuses() returns trigger language plpgsql as $$ begin
        if new.n = 68 then raise exception 'not this'; end if; return case when new.n is distinct from 70 then new end; end $$;
      create trigger refuses before insert on public.t for each row execute function public.refuses();
      alter table public.t owner to postgres; grant all on public.t to ${role}`)
    await first.close()
    await origin.sql.end()
    const counted = async (db: Database) =>
      (
        await db.sql`select count(*)::int as n, count(n)::int as numbered, count(distinct n)::int as distinct, count(before)::int as early from public.t`
      )[0]
    const all = { n: 68, numbered: 33, distinct: 33, early: 1 }
    const restored = async (db: Database, nth: number) => {
      await using between = await proxy(as(db))
      between.cutAt(nth)
      const stop = new AbortController()
      const project = await inProcess(between.url, {
        dir,
        track: 'mine',
        signal: stop.signal,
        onEvent: e => {
          if (e.type === 'reconnect') stop.abort()
        },
      })
      const report = await saidOf(project.restore({ archive: 'latest' }))
      await project.close()
      return { report, cut: between.cut, sent: between.sent.map(s => s.text) }
    }
    const left = (report: { findings: { message: string }[] }) =>
      report.findings.filter(f => /not this/.test(f.message)).map(f => f.message)
    await using whole = await copyOf(server, origin.name)
    const { report, sent } = await restored(whole, Number.POSITIVE_INFINITY)
    expect([report.verdict, await counted(whole)]).toEqual(['attention', all])
    expect(left(report)).toEqual([
      expect.stringMatching(
        /23505: duplicate key value.*P0001: not this.*09000: a trigger or a rule of the table leaves it out/s,
      ),
    ])
    await whole.sql`drop trigger refuses on public.t`
    await whole.sql`delete from public.t where n in (66, 2)`
    const { report: tried } = await restored(whole, Number.POSITIVE_INFINITY)
    expect([tried.verdict, await counted(whole)]).toEqual([
      'clean',
      { n: 69, numbered: 34, distinct: 34, early: 1 },
    ])
    const inserts = sent.flatMap((text, n) => (text.startsWith('insert into public.t ') ? [n] : []))
    for (const nth of [inserts[1]! + 1, inserts[4]! + 2]) {
      await using db = await copyOf(server, origin.name)
      expect((await restored(db, nth)).cut).toBe(true)
      const again = await restored(db, Number.POSITIVE_INFINITY)
      expect([nth, again.report.verdict, left(again.report), await counted(db)]).toEqual([
        nth,
        'attention',
        left(report),
        all,
      ])
    }
  })

  test('what people delete or change while a restore is broken off stays so, and is no conflict', async () => {
    await using db = await database(server, 'empty')
    // pages for two transactions
    const dir = folder({
      '001_make': [
        `--! title: Make t\n--! phase: expand\ncreate table public.t (n int primary key, said text, size int);
         alter table public.t alter column said set storage plain;`,
        'drop table public.t;',
      ],
    })
    const consent = { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[], confirm: db.name }
    const project = await inProcess(db.url, { dir, track: 'mine' })
    await project.migrate()
    await db.sql`insert into public.t select n, repeat('x', 5000), n from generate_series(1, 70) n`
    expect((await project.rollback({ all: true, consent })).verdict).toBe('clean')
    await project.migrate()
    await db.sql`insert into public.t values (2, 'mine', 0)`
    const broken = async (nth: number) => {
      await using between = await proxy(db.url)
      between.cutAt(nth, () => void between[Symbol.asyncDispose]())
      const stop = new AbortController()
      const onEvent = (e: { type: string }) => {
        if (e.type === 'reconnect') stop.abort()
      }
      const other = await inProcess(between.url, { dir, track: 'mine', signal: stop.signal, onEvent })
      await saidOf(other.restore({ archive: 'latest' }))
      await other.close()
    }
    const rows = async () => (await db.sql<{ n: number }[]>`select n from public.t`).length
    for (let nth = 20; (await rows()) === 1; nth += 5) await broken(nth)
    expect(await rows()).toBeGreaterThan(60)
    expect(await rows()).toBeLessThan(70)
    await db.sql`delete from public.t where n = 5`
    await db.sql`update public.t set size = 0 where n = 6`
    const again = await saidOf(project.restore({ archive: 'latest' }))
    const named = again.findings.flatMap(f => (f.code === 'RESTORE_CONFLICT' ? f.facts.first : []))
    // what was there before the restore is a conflict as ever
    expect([again.verdict, named]).toEqual(['attention', ['2: it was changed after the rollback']])
    expect(await rows()).toBe(69)
    expect(await db.sql`select n from public.t where size = 0 or n = 5 order by n`).toEqual([
      { n: 2 },
      { n: 6 },
    ])
    const once = await saidOf(project.restore({ archive: 'latest' }))
    expect([once.verdict, await rows()]).toEqual(['attention', 69])
  })

  test('what people wrote into a session stays; the times that follow from its messages are true', async () => {
    await using db = await database(server, 'helper-chats', 100)
    const helper = await inProcess(db.url, { track: 'helper-chats' })
    const all = { all: true, consent: { allow: ['DELETES_DATA'] as HazardCode[], confirm: db.name } }
    expect((await saidOf(helper.migrate())).verdict).toBe('clean')
    const chat = async (name: string) => {
      await db.sql`
        insert into public.chat_sessions (id, user_id, helper) values (md5(${name})::uuid, (select id from auth.users order by id limit 1), 'planner')`
      await db.sql`
        insert into public.chat_messages (session_id, role, content, created_at)
        select md5(${name})::uuid, 'user', 'message ' || n, '2026-01-01'::timestamptz + n * interval '1 hour' from generate_series(1, 2) n`
    }
    const words = (name: string) => db.sql`
      update public.chat_sessions set last_message_preview = 'in my words', updated_at = '2026-01-01 03:00+00' where id = md5(${name})::uuid`
    const sessions = async () =>
      (
        await db.sql<{ line: string }[]>`
          select concat_ws(' ', last_message_preview, to_char(last_message_at at time zone 'utc', 'HH24'), to_char(updated_at at time zone 'utc', 'HH24')) as line
          from public.chat_sessions order by (id = md5('before')::uuid) desc`
      ).map(r => r.line)
    await chat('before')
    await words('before')
    expect((await saidOf(helper.rollback(all))).verdict).toBe('clean')
    expect((await saidOf(helper.migrate())).verdict).toBe('clean')
    await chat('since')
    await words('since')
    await saidOf(helper.restore({ archive: 'latest', consent: all.consent }))
    expect(await sessions()).toEqual(['in my words 02 03', 'in my words 02 03'])
    await helper.close()
  })

  test('a legacy session that was made again has the time of the newest message that is still in it', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await up(db)
    await db.sql`
      with room as (select s.id as legacy, s.workspace_id, s.user_id from chat_sessions s order by s.id limit 1),
      made as (insert into chat_sessions (workspace_id, user_id, title) select workspace_id, user_id, 'Mine' from room returning *)
      insert into chats (workspace_id, user_id, role, message, session_id, created_at)
      select workspace_id, user_id, 'user', 'of mine', id, '2031-01-01' from made`
    const times = () =>
      db.sql`
        select s.id::text, s.title, s.updated_at::text as at from public.chat_sessions s
        where exists (select from public.chats c where c.session_id = s.id and c.created_at is not null) order by 1`.then(
        r => [...r],
      )
    const before = await times()
    await down(db)
    await up(db)
    const back = await rethread(db.url, ['restore', 'latest'])
    expect([back.code, faults(back), conflicts(back)]).toEqual([0, [], []])
    expect(await times()).toEqual(before)
  })

  test('what the track counts by itself is no conflict, when people went on writing after the rollback', async () => {
    await using db = await database(server, 'trip-sessions', 40)
    await up(db)
    const [session] =
      await db.sql`select id, conversation_id as talk from public.chat_sessions order by id limit 1`
    const write = () =>
      db.sql`insert into public.messages (conversation_id, content) values (${session!.talk}, 'one more')`
    const counted = async () =>
      (
        await db.sql`select s.message_count = (select count(*) from public.messages m where m.conversation_id = s.conversation_id) as right
          from public.chat_sessions s where s.id = ${session!.id}`
      )[0]!.right
    await write()
    await down(db)
    await write()
    const back = await rethread(db.url, ['restore', 'latest'])
    expect([back.code, conflicts(back), await counted()]).toEqual([0, [], true])
  })

  test('rows that only a WITH of a backfill makes are the backfill’s too, whatever its batch updates', async () => {
    await using db = await database(server, 'empty')
    // the first page has nothing to do, and the statement writes its other table all the same
    await db.sql.unsafe(`create table public.notes (id int primary key, kept text, done boolean);
      insert into public.notes select n, repeat('x', 500), n < 200 from generate_series(1, 201) n`)
    const cwd = folder({
      '001_topics': [
        '--! title: Make topics\n--! phase: expand\ncreate table public.topics (id uuid primary key, updated_at timestamptz not null default now());',
        "--! ours: public.topics: id = md5('topic')::uuid\ndrop table public.topics;",
      ],
      '002_topics': [
        `--! title: Fill topics
--! phase: backfill
--! table: public.notes
--! pending: t.done is not true
--! undone-by: 001_topics
with made as (insert into public.topics (id) values (md5('topic')::uuid) on conflict do nothing)
update public.notes t set done = true where t.done is not true;`,
        null,
      ],
    })
    const run = (...args: string[]) => rethread(db.url, args, { cwd })
    expect((await run('migrate')).code).toBe(0)
    const { report } = await run('rollback', ...undoAll(db.name))
    expect(report.findings.map(f => f.code)).not.toContain('LOSS')
  })

  test('in a database that came from a dump, no row counts as made by us because of its transaction id', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await up(db)
    // all sessions that the backfill made; a person has given them names, in one transaction
    await db.sql`update public.chat_sessions set title = 'named ' || id`
    // as a dump writes it, and as it happens: the numbers of one server mean other things on the next
    await db.sql`update rethread.batches set xid = (select s.xmin::text::xid8 from public.chat_sessions s limit 1)`
    const named = await db.sql`select id, title from public.chat_sessions order by id`
    const gone = await rethread(db.url, ['rollback', ...undoAll(db.name)])
    const lost = gone.report.findings.find(f => f.code === 'LOSS' && f.subject === 'public.chat_sessions')
    expect(lost?.facts).toMatchObject({ rows: named.length, atRisk: named.length })
    expect((await rethread(db.url, ['restore', 'latest'])).code).toBe(0)
    expect(await db.sql`select id, title from public.chat_sessions order by id`).toEqual(named)
  })

  test('a restore whose end the checks of the track do not accept is not called restored; run again, it ends', async () => {
    await using db = await database(server, 'empty')
    await db.sql`create table public.trouble (what text)`
    const cwd = folder({
      '001_make': [
        '--! title: Make t\n--! phase: expand\ncreate table public.t (id int primary key);',
        'drop table public.t;',
      ],
    })
    writeFileSync(
      join(cwd, 'verify/mine/always.sql'),
      `--! title: No trouble\nselect what as object, 'it is there' as detail from public.trouble;`,
    )
    const run = (...args: string[]) => rethread(db.url, args, { cwd })
    expect((await run('migrate')).code).toBe(0)
    await db.sql`insert into public.t select generate_series(1, 3)`
    expect((await run('rollback', ...undoAll(db.name))).code).toBe(0)
    await db.sql`insert into public.trouble values ('one')`
    const unproven = await run('restore', 'latest')
    expect([
      unproven.code,
      unproven.report.findings.map(f => f.code).filter(c => /^RESTORE/.test(c)),
    ]).toEqual([2, ['RESTORE_UNPROVEN']])
    await db.sql`delete from public.trouble`
    const again = await run('restore', 'latest')
    expect([again.code, again.report.findings.map(f => f.code).filter(c => /^RESTORE/.test(c))]).toEqual([
      0,
      ['RESTORED'],
    ])
    expect(await db.sql`select state, count(*)::int as n from rethread.restores group by 1`).toEqual([
      { state: 'done', n: 1 },
    ])
    expect((await db.sql`select count(*)::int as n from public.t`)[0]!.n).toBe(3)
  })
})
