import { describe, expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { type Database, database, inTurn, newest, picture, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said } from '../support/in_process.js'

/**
 * Triggers on a table in use are tried before their step commits, and whatever fails later, the application
 * goes on writing and one command takes everything away.
 */

const application = `
  create table public.notes (id uuid primary key default gen_random_uuid(), owner text not null, number int unique, body text, at timestamptz default now());
  create table public.sent (n bigserial primary key, what text);
  create function public.call_out() returns trigger language plpgsql as $$ begin insert into public.sent (what) values (tg_op); return null; end $$;
  create trigger call_out after insert or update or delete on public.notes for each row execute function public.call_out();
  insert into public.notes (owner, number, body) select 'o' || n % 3, n, 'b' || n from generate_series(1, 10) n;
  truncate public.sent;
  create function public.broken() returns text language plpgsql as $$ begin raise insufficient_privilege; end $$`

/** A track whose second step puts a trigger on notes, and whose third is a backfill. */
const trackOf = (body: string, event: string, fill = `'done'`) =>
  folder({
    'migrations/own/001_table.sql': `--! requires: table public.notes
create table public.books (id text primary key, copies int not null);
alter table public.notes add column book text;`,
    'migrations/own/002_trigger.sql': `create function public.fill_book() returns trigger language plpgsql set search_path = '' as $$ begin ${body} return new; end $$;
create trigger fill_book ${event} on public.notes for each row execute function public.fill_book();`,
    'migrations/own/003_fill.sql': `--! phase: backfill
--! undone-by: 001_table
--! table: public.notes
--! pending: n.book is null
update public.notes n set book = ${fill} where n.book is null;`,
    'rollbacks/own/001_table.sql': 'alter table public.notes drop column book;\ndrop table public.books;',
    'rollbacks/own/002_trigger.sql':
      'drop trigger fill_book on public.notes;\ndrop function public.fill_book();',
    'verify/own/rows.sql':
      "--! after: 003_fill\nselect id::text as object, 'x' as detail from public.notes where false order by 1",
  })

const write = (db: Database) =>
  db.sql.unsafe(`insert into public.notes (owner, body) values ('app', 'after'); update public.notes set owner = 'app2' where body = 'after';
    delete from public.notes where body = 'after'`)

const allow = ['--allow', 'FIRES_TRIGGERS']

describe.each(servers())('new triggers on PostgreSQL $major', server => {
  const test = inTurn(server)

  test.each([
    ['INSERT', 'new.book := new.missing;', 'before insert', '42703'],
    ['INSERT', 'insert into public.books values (new.owner, null);', 'after insert', '23502'],
    [
      'UPDATE',
      "if new.owner is distinct from old.owner then raise exception 'no %', new.owner; end if;",
      'after update of owner',
      'P0001',
    ],
    ['DELETE', "raise exception 'nothing goes';", 'before delete', 'P0001'],
  ])('that make the application’s %s fail never reach it: %s', async (statement, body, event, sqlstate) => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(application)
    const dir = trackOf(body, event)
    const ran = await rethread(db.url, ['migrate', '--dir', dir, ...allow])
    const raised = ran.report.findings.find(f => f.code === 'TRIGGERS_RAISE')!
    expect([ran.code, raised?.facts]).toMatchObject([3, { statement, sqlstate, triggers: ['fill_book'] }])
    expect(ran.report.steps.map(s => s.outcome)).toEqual(['done', 'failed', 'not-run'])
    // the trial has called nobody and left no row, and the application writes
    expect((await db.sql`select count(*)::int as n from public.sent`)[0]!.n).toBe(0)
    expect((await db.sql`select count(*)::int as n from public.notes`)[0]!.n).toBe(10)
    await write(db)
  })

  test('that do not fail are not held up by unique columns, and a failing backfill says what takes them away', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(application)
    const before = await picture(db.sql)
    const dir = trackOf("new.book := 'b' || new.owner;", 'before insert', 'public.broken()')
    const ran = await rethread(db.url, ['migrate', '--dir', dir, ...allow])
    const left = ran.report.findings.find(f => f.code === 'LEFT_IN_PLACE')
    expect([ran.code, left?.facts]).toMatchObject([
      2,
      {
        failed: '003_fill',
        migrations: ['001_table', '002_trigger'],
        triggers: ['fill_book on public.notes'],
      },
    ])
    await write(db)
    const { command } = left!.facts as { command: string }
    const back = await rethread(db.url, [...command.split(' ').slice(1), '--dir', dir])
    expect([
      back.code,
      back.report.findings.filter(f => f.level === 'error' || f.level === 'refused'),
    ]).toEqual([0, []])
    const after = await picture(db.sql)
    expect(after.schema).toEqual(before.schema)
    expect(after.content.notes).toEqual(before.content.notes)
  })
})

test('a trigger of the application that needs a search_path is named beforehand, with the statement that sets it', async () => {
  await using db = await database(newest(), 'workspace-sessions', 40)
  const trigger = (name: string, body: string, end = '') => `
    create function public.${name}() returns trigger language plpgsql ${end} as $$ ${body} $$;
    create trigger ${name} after update on public.chats referencing new table as new_rows for each statement execute function public.${name}();`
  await db.sql.unsafe(`
    create table public.seen (id uuid);
    create function public.word(id uuid) returns text language sql as $$ select id::text $$;
    ${trigger('a_table', 'declare n int; begin n := (select count(*) from seen); return null; end')}
    ${trigger('a_function', 'begin if exists (select from new_rows where word(id) is null) then raise notice $n$none$n$; end if; return null; end')}
    ${trigger('a_write', "begin insert into seen select id from new_rows where pg_catalog.length('a') = length('a'); return null; end")}
    ${trigger('pinned', 'begin insert into seen select id from new_rows; return null; end', 'set search_path = public')}
    ${trigger('qualified', 'declare seen int := 1; begin with seen as (select id from new_rows) insert into public.seen select id from seen; return null; end')}
    create function public.elsewhere() returns trigger language plpgsql as $$ begin insert into seen values (new.id); return new; end $$;
    create trigger elsewhere after insert on auth.users for each row execute function public.elsewhere()`)
  // where only owners may create, functions of the track search what everybody's session searches
  const closed = await inProcess(db.url, { track: 'workspace-sessions' })
  expect((await said(closed.doctor())).codes).not.toContain('TRIGGER_NEEDS_PATH')
  await db.sql`grant create on schema public to anon`
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  const report = await said(project.doctor())
  const named = report.findings.filter(f => f.code === 'TRIGGER_NEEDS_PATH')
  expect([report.verdict, named.map(f => [f.subject, f.facts, f.fix])]).toEqual([
    // they fire for the rows of a backfill, which is a decision of its own
    'attention',
    [
      ['a_function', ['word']],
      ['a_table', ['seen']],
      ['a_write', ['seen']],
    ].map(([name, names]) => [
      'public.chats',
      { trigger: name, function: `public.${name}()`, names, path: ['public'] },
      `alter function public.${name}() set search_path = public, pg_temp;`,
    ]),
  ])
  for (const f of named) await db.sql.unsafe(f.fix!)
  expect((await said(project.doctor())).codes).not.toContain('TRIGGER_NEEDS_PATH')
})

/** Of a schema that only its owner fills, and where anybody else may. */
test.each([
  { where: 'public', opened: '' },
  { where: 'app', opened: '' },
  { where: 'public', opened: 'grant create on schema public to anon' },
])(
  'a trigger whose function names tables of $where without a schema works for a message that moves, or what it stops is noted ($opened)',
  async ({ where, opened }) => {
    await using db = await database(newest(), 'workspace-sessions', 40)
    await db.sql.unsafe(`
    create schema if not exists app;
    create table ${where}.seen (id uuid);
    create function ${where}.see() returns trigger language plpgsql as $$ begin insert into seen values (new.id); return new; end $$;
    create trigger see after update on public.chats for each row execute function ${where}.see();
    ${opened}`)
    const project = await inProcess(db.url, { track: 'workspace-sessions', config: { triggers: 'hold' } })
    const isFound = where === 'public' && !opened
    const named = (await said(project.doctor())).findings.filter(f => f.code === 'TRIGGER_NEEDS_PATH')
    const fix = `alter function ${where}.see() set search_path = ${where}, pg_temp;`
    expect(named.map(f => f.fix)).toEqual(isFound ? [] : [fix])
    expect((await said(project.migrate())).verdict).toBe('clean')
    const [moved] = await db.sql<{ id: string }[]>`
    select c.id from public.chats c join public.chat_sessions s on s.id = c.session_id order by c.id limit 1`
    const move = (path: string) =>
      db.sql.begin(async tx => {
        await tx.unsafe(`set local search_path = ${path}`)
        await tx`
        update public.chats set workspace_id = (
          select w.id from public.workspaces w where w.id <> chats.workspace_id and w.owner_id is not null order by w.id limit 1)
        where id = ${moved!.id}`
      })
    await move(where)
    const found = async () => {
      const { checks } = await project.verify()
      const wrong = checks.filter(c => c.outcome === 'found' && /^(behind|same_workspace)$/.test(c.check))
      return wrong.flatMap(c => c.found.map(f => [c.check, f.object, f.detail]))
    }
    const [stays] = await db.sql`select session_id::text as session from public.chats where id = ${moved!.id}`
    const settle = `select chat_private.settle_session('${stays!.session}')`
    expect(await found()).toEqual(
      isFound
        ? []
        : [
            [
              'behind',
              moved!.id,
              expect.stringContaining(
                `SQLSTATE 42P01: fix the trigger of the application that raises, then ${settle}`,
              ),
            ],
            ['same_workspace', moved!.id, expect.stringContaining('in a session of workspace')],
          ],
    )
    if (isFound) return
    await db.sql.unsafe(fix)
    await db.sql.unsafe(settle)
    expect(await found()).toEqual([])
  },
)

test('sessions of an application whose trigger names tables without a schema follow at once, or in the next run', async () => {
  await using db = await database(newest(), 'conversation-history', 20)
  await db.sql.unsafe(`
    create table public.seen (id uuid);
    create function public.see() returns trigger language plpgsql as $$ begin insert into seen values (new.id); return new; end $$;
    create trigger see before insert or update on public.chat_sessions for each row execute function public.see()`)
  const project = await inProcess(db.url, { track: 'conversation-history', config: { triggers: 'hold' } })
  expect((await said(project.migrate())).verdict).toBe('clean')
  const write = (content: string) => db.sql`
    insert into public.messages (conversation_id, role, content)
    select id, 'user', ${content} from public.conversations order by id limit 1`
  const behind = async () =>
    (await db.sql`select distinct sqlstate from chat_private.behind`).map(r => r.sqlstate)
  const shown = async (content: string) =>
    (await db.sql`select from public.chat_sessions where messages::text like ${`%${content}%`}`).length
  await write('at once')
  expect([await behind(), await shown('at once')]).toEqual([[], 1])
  // as soon as others may create there, nothing of ours looks there any more
  await db.sql`grant create on schema public to anon`
  await write('later')
  expect([await behind(), await shown('later')]).toEqual([['42P01'], 0])
  const failed = await said(project.migrate())
  expect([failed.verdict, failed.findings.find(f => f.code === 'SQL_ERROR')!.fix]).toEqual([
    'failed',
    expect.stringContaining('alter function public.see() set search_path = ..., pg_temp'),
  ])
  await db.sql`revoke create on schema public from anon`
  expect((await said(project.migrate())).verdict).toBe('clean')
  expect(await shown('later')).toBe(1)
})

test('a rule that the server refuses beside a deletion of the way back is refused before the way there', async () => {
  await using db = await database(newest(), 'conversation-history', 20)
  await db.sql.unsafe(`
    create table public.gone (n int);
    create rule also_gone as on delete to public.chat_sessions do also insert into public.gone values (1)`)
  const project = await inProcess(db.url, { track: 'conversation-history' })
  const refused = await said(project.migrate())
  expect([refused.verdict, refused.findings.filter(f => f.code === 'REWRITTEN_BY_RULE')]).toMatchObject([
    'refused',
    [
      {
        subject: 'public.chat_sessions',
        facts: {
          rule: 'also_gone',
          event: 'DELETE',
          instead: false,
          migration: 'rollbacks/conversation-history/007_set_sessions_aside.sql',
        },
      },
    ],
  ])
  await db.sql.unsafe('drop rule also_gone on public.chat_sessions')
  const up = await said(project.migrate())
  expect(up.verdict).toBe('clean')
  // of a table of the track's own, nothing to do says nothing of the installation
  expect(up.findings.filter(f => f.code === 'NO_ROWS').map(f => f.subject)).toEqual([])
})

/** What a role plants that may create in the schemas of the path for a moment: it would be called instead. */
const planted = {
  function: `
    create function public.lower(w varchar) returns text language plpgsql as $$ begin insert into stolen.calls values (current_user); return w; end $$`,
  operator: `
    create or replace function stolen.differ(a varchar, b varchar) returns bool language plpgsql as $$ begin insert into stolen.calls values (current_user); return true; end $$;
    create operator public.<> (function = stolen.differ, leftarg = varchar, rightarg = varchar)`,
  table: `
    create table app.seen (word text);
    grant all on app.seen to public;
    create or replace function stolen.kept() returns trigger language plpgsql as $$ begin insert into stolen.calls values (current_user); return new; end $$;
    create trigger kept before insert on app.seen for each row execute function stolen.kept()`,
  domain: `
    create or replace function stolen.good(w text) returns bool language plpgsql as $$ begin insert into stolen.calls values (current_user); return true; end $$;
    create domain app.word as text check (stolen.good(value))`,
}

describe.each(servers())('a role that could create for a moment, on PostgreSQL $major', server => {
  test('what it has planted runs in no trigger that a function of a track fires', async () => {
    await using db = await database(server, 'workspace-sessions', 40)
    const thief = `thief_${db.name}`
    await db.sql.unsafe(`
      create role ${thief};
      create schema app;
      grant usage on schema app, public to public;
      create table public.seen (word text);
      create domain public.word as text;
      create schema stolen authorization ${thief};
      grant usage on schema stolen to public;
      create table stolen.calls (by text);
      grant insert on stolen.calls to public;
      create function public.see() returns trigger language plpgsql as $$ begin
        if pg_trigger_depth() > 1 and lower(new.role::varchar) <> 'nobody'::varchar then insert into seen values ('a'::word); end if;
        return new; end $$;
      create trigger see after update on public.chats for each row execute function public.see();
      alter database ${db.name} set search_path = app, public`)
    const project = await inProcess(db.url, { track: 'workspace-sessions', config: { triggers: 'hold' } })
    const plant = (made: string) =>
      db.sql.unsafe(`
        grant create on schema app, public to ${thief};
        set role ${thief};
        ${made};
        reset role;
        revoke create on schema app, public from ${thief}`)
    const cleared = `
      drop function if exists public.lower(varchar);
      drop operator if exists public.<> (varchar, varchar);
      drop table if exists app.seen;
      drop domain if exists app.word`
    const isNamed = async () => (await said(project.doctor())).codes.includes('TRIGGER_NEEDS_PATH')
    const noted = async () => {
      await db.sql`
        update public.chats set workspace_id = (
          select w.id from public.workspaces w where w.id <> chats.workspace_id and w.owner_id is not null order by w.id limit 1)
        where id = (
          select c.id from public.chats c join public.chat_sessions s on s.id = c.session_id and s.workspace_id = c.workspace_id
          order by c.id limit 1)`
      const behind = await db.sql`delete from chat_private.behind returning sqlstate`
      const calls = await db.sql`select by from stolen.calls`
      return [behind.map(r => r.sqlstate), calls.map(r => r.by)]
    }
    try {
      await plant(planted.table)
      expect(await isNamed()).toBe(true)
      await db.sql.unsafe(cleared)
      expect(await isNamed()).toBe(false)
      expect((await said(project.migrate())).verdict).toBe('clean')
      expect(await noted()).toEqual([[], []])
      for (const [kind, made] of Object.entries(planted)) {
        await plant(made)
        expect([kind, await noted()]).toEqual([kind, [['42P01'], []]])
        await db.sql.unsafe(cleared)
      }
      expect(await noted()).toEqual([[], []])
    } finally {
      await db.sql.unsafe(`drop owned by ${thief} cascade; drop role ${thief}`)
    }
  })
})
