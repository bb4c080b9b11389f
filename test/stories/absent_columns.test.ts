import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FindingOf } from '../../src/model/report.js'
import { contractWith, quiet, rethread, undoAll } from '../support/cli.js'
import { type Database, database, newest, picture, some } from '../support/database.js'
import { folder } from '../support/folder.js'

/** Tables that lack columns of which a track does without: no statement adds them. */

const turns = `[{"role":"user","content":"a question"},{"role":"assistant","content":"an answer"}]`

const firms = `
  create table public.tenants (id uuid primary key, name text);
  create table public.tenant_users (tenant_id uuid not null references public.tenants, user_id uuid not null references auth.users, role text not null default 'user', primary key (tenant_id, user_id));
  create table public.chat_sessions (id uuid primary key default gen_random_uuid(), tenant_id uuid not null references public.tenants, user_id uuid not null references auth.users,
    messages jsonb not null default '[]', created_at timestamptz not null default now());
  alter table public.tenants enable row level security;
  alter table public.tenant_users enable row level security;
  alter table public.chat_sessions enable row level security;
  create policy own on public.chat_sessions to authenticated using (user_id = auth.uid());
  create policy own on public.tenant_users for select to authenticated using (user_id = auth.uid());
  insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
  insert into public.tenants values (md5('t')::uuid, 't');
  insert into public.tenant_users select md5('t')::uuid, md5('u' || i)::uuid from generate_series(1, 3) i;
  insert into public.chat_sessions (id, tenant_id, user_id, messages, created_at)
  select md5('s' || i)::uuid, md5('t')::uuid, md5('u' || (1 + i % 3))::uuid, '${turns}', '2026-01-01'::timestamptz + i * interval '1 day' from generate_series(1, 9) i`

const rooms = `
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  create table public.workspaces (id uuid primary key, owner_id uuid not null references auth.users);
  create table public.chats (id uuid primary key default gen_random_uuid(), workspace_id uuid references public.workspaces on delete cascade, user_id uuid references auth.users,
    message text not null, created_at timestamptz not null default now());
  insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
  insert into public.workspaces select md5('w' || i)::uuid, md5('u' || i)::uuid from generate_series(1, 3) i;
  insert into public.chats (workspace_id, user_id, message, created_at)
  select md5('w' || (1 + i % 3))::uuid, md5('u' || (1 + i % 3))::uuid, 'said ' || i, '2026-01-01'::timestamptz + i * interval '1 hour' from generate_series(1, 30) i`

/** A database whose copy is written by the command that `doctor` names, and what is done with it. */
async function stranger(db: Database, tables: string) {
  const cwd = folder({})
  await db.sql.unsafe(tables)
  const doctor = await rethread(db.url, ['doctor'], { cwd })
  const near = doctor.report.findings.find(f => f.code === 'NEAREST_TRACK') as FindingOf<'NEAREST_TRACK'>
  const ran = (...args: string[]) => quiet(db.url, args, { cwd })
  const written = await ran(...near.facts.command.replaceAll("'", '').split(' ').slice(1))
  const files = written.report.tables
    .find(t => t.title === 'Written')!
    .rows.map(([file]) => String(file))
    .filter(file => file.endsWith('.sql'))
  return { cwd, near, ran, read: (file: string) => readFileSync(join(cwd, file), 'utf8'), files }
}

test.each(some('newest').map(server => [server.major, server] as const))(
  'sessions without a title, metadata and a time of their last change, on PostgreSQL %i: from doctor to restore',
  async (_, server) => {
    await using db = await database(server, 'empty')
    const { near, ran, read, files } = await stranger(db, firms)
    expect(near.facts.command).toBe(
      "rethread init --track conversation-history --map 'chat_sessions.title=none,chat_sessions.metadata=none,chat_sessions.updated_at=none'",
    )
    expect(files.filter(file => read(file).includes('rethread_no_'))).toEqual([])
    const old = () =>
      db.sql.begin(async sql => {
        await sql.unsafe(
          `insert into public.chat_sessions (id, tenant_id, user_id, messages) values (md5('old')::uuid, md5('t')::uuid, md5('u1')::uuid, '${turns}')`,
        )
        await sql.unsafe(
          `update public.chat_sessions set messages = messages || '[{"role":"user","content":"more"}]' where id in (md5('s2')::uuid, md5('old')::uuid)`,
        )
        await sql.unsafe(`delete from public.chat_sessions where id = md5('old')::uuid`)
      })
    await old()
    const before = await picture(db.sql)
    await ran('init', '--check')
    await ran('plan')
    await ran('migrate')
    const heads = () => db.sql`
      select title, metadata, updated_at = created_at as untouched, count(*)::int as n from public.conversations group by 1, 2, 3 order by 4`
    expect(await heads()).toEqual([{ title: 'New Conversation', metadata: {}, untouched: true, n: 9 }])
    // the new application gives what the old one has no column for, and the old one takes nothing of it away
    await db.sql`update public.conversations set title = 'named', metadata = '{"k": 1}' where id = md5('s2')::uuid`
    await db.sql`insert into public.conversations (id, tenant_id, user_id, title) values (md5('new')::uuid, md5('t')::uuid, md5('u1')::uuid, 'new')`
    await db.sql`insert into public.messages (conversation_id, role, content) values (md5('new')::uuid, 'user', 'hello')`
    await old()
    const both = await db.sql`
      select c.title, c.metadata, c.updated_at > c.created_at as touched, (select count(*)::int from public.messages m where m.conversation_id = c.id) as messages,
        json_array_length(s.messages::json) as elements
      from public.conversations c join public.chat_sessions s using (id) where c.title <> 'New Conversation' order by c.title`
    expect(both).toEqual([
      { title: 'named', metadata: { k: 1 }, touched: false, messages: 4, elements: 4 },
      { title: 'new', metadata: {}, touched: true, messages: 1, elements: 1 },
    ])
    await ran('verify', '--sample', '2')
    await ran('migrate', ...contractWith())
    await db.sql`update public.conversations set title = 'later' where id = md5('s3')::uuid`
    await ran('prove')
    await ran('verify', '--deep')
    await ran('rollback', ...undoAll(db.name))
    expect((await picture(db.sql)).schema).toEqual(before.schema)
    await old()
    await ran('restore', 'latest')
    await ran('verify')
    // what only the new tables held comes back from the archive, also where the old application has gone on
    const titles = await db.sql`
      select title, metadata from public.conversations where title <> 'New Conversation' order by 1`
    expect(titles).toEqual([
      { title: 'later', metadata: {} },
      { title: 'named', metadata: { k: 1 } },
      { title: 'new', metadata: {} },
    ])
  },
  60_000,
)

test.each(some('oldest').map(server => [server.major, server] as const))(
  'chats without a role, on PostgreSQL %i: every message is a person’s',
  async (_, server) => {
    await using db = await database(server, 'empty')
    const { near, ran, cwd } = await stranger(db, rooms)
    expect(near.facts.command).toBe("rethread init --track workspace-sessions --map 'chats.role=none'")
    const old = () =>
      db.sql`insert into public.chats (workspace_id, user_id, message) values (md5('w1')::uuid, md5('u1')::uuid, 'old')`
    const before = await picture(db.sql)
    const path = join(cwd, 'rethread.config.json')
    const config = JSON.parse(readFileSync(path, 'utf8'))
    expect(config.mapping).toEqual({ 'chats.role': null })
    writeFileSync(path, JSON.stringify({ ...config, settings: { legacy_grouping: 'idle:2d' } }))
    await ran('plan')
    await ran('migrate')
    await old()
    await ran('verify')
    // a title is what was said first, whoever said it
    const [first] = await db.sql`select title from public.chat_sessions order by created_at limit 1`
    expect(first).toEqual({ title: 'said 1' })
    const listed = await rethread(db.url, ['sessions', 'list'], { cwd })
    const id = String(listed.report.tables[0]!.rows[0]![0])
    const shown = await rethread(db.url, ['sessions', 'show', id], { cwd })
    expect(shown.code).toBe(0)
    await ran('migrate', ...contractWith())
    await ran('prove')
    await ran('rollback', ...undoAll(db.name))
    expect((await picture(db.sql)).schema).toEqual(before.schema)
    await old()
    await ran('restore', 'latest')
    await ran('verify')
  },
  60_000,
)

const isLong = process.env.RETHREAD_SOAK !== undefined

test.runIf(isLong)(
  'without these columns all checks are woken by a mutant, and all mutants by a check',
  async () => {
    await using db = await database(newest(), 'empty')
    const { ran, cwd } = await stranger(db, firms)
    await ran('migrate')
    const { report } = await rethread(db.url, ['verify', '--mutants', '--confirm', db.name], { cwd })
    const rows = (title: string) => report.tables.find(t => t.title === title)!.rows
    expect(rows('Mutants').length).toBeGreaterThan(30)
    expect(rows('Mutants').filter(([, by]) => by === 'nobody')).toEqual([])
    expect(rows('Checks').filter(([, , trusted]) => trusted === false)).toEqual([])
  },
)

/** What `init` says of a table of sessions, without having written anything. */
async function proposed(columns: string, ...args: string[]) {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    `create table public.chats (id uuid primary key, user_id uuid not null references auth.users (id), messages jsonb not null, ${columns})`,
  )
  const { report, code } = await rethread(
    db.url,
    [
      'init',
      '--track',
      'conversation-history',
      '--map',
      ['tenants=none,chat_sessions=chats', ...args].join(','),
    ],
    { cwd: folder({}) },
  )
  const rows = report.tables.find(t => t.title === 'Mapping')?.rows ?? []
  return {
    code,
    said: rows.map(([role, to, how, why]) => `${role} is ${to} (${how}: ${why})`),
    message: report.findings[0]?.message,
  }
}

test('a column that could be it by its type only is asked about, and can be said', async () => {
  const columns = 'created_at timestamptz, updated_at timestamptz, metadata jsonb, model text'
  const { code, said } = await proposed(columns)
  expect(code).toBe(3)
  expect(said).toContain(
    'chat_sessions.title is none (likely: conversations begin as New Conversation; `model` could be it by its type only)',
  )
  expect((await proposed(columns, 'chat_sessions.title=none')).code).toBe(0)
  const named = await proposed(columns, 'chat_sessions.title=model')
  expect([named.code, named.said.filter(s => s.includes('.title is '))]).toEqual([
    0,
    ['chat_sessions.title is model (certain: as you said)'],
  ])
})

test('a column that is there can be left alone, and one that is called none is written in quotes', async () => {
  const columns = '"none" text, created_at timestamptz, updated_at timestamptz, metadata jsonb'
  const left = await proposed(columns, 'chat_sessions.title=none,chat_sessions.metadata=none')
  expect([left.code, left.said.filter(s => / is none /.test(s))]).toEqual([
    0,
    [
      'tenants is none (certain: as you said)',
      'tenant_users is none (certain: it goes along with tenants)',
      'chat_sessions.title is none (certain: as you said)',
      'chat_sessions.metadata is none (certain: as you said)',
    ],
  ])
  const { code, said } = await proposed(columns, 'chat_sessions.title="none"')
  expect([code, said.filter(s => s.includes('.title is '))]).toEqual([
    0,
    ['chat_sessions.title is "none" (certain: as you said)'],
  ])
})

test('a column that the track cannot do without is refused, with the reason and what to do', async () => {
  const { code, said } = await proposed('title text, metadata jsonb, updated_at timestamptz')
  expect(code).toBe(3)
  expect(said.join('\n')).toContain(
    'chat_sessions.created_at is ? (open: no column is like it, and messages without a time of their own take it: where there is none, alter table public.chats add column created_at timestamptz)',
  )
  const refused = await proposed('title text', 'chat_sessions.created_at=none')
  expect([refused.code, refused.message]).toEqual([
    2,
    expect.stringMatching(/track conversation-history cannot do without it/),
  ])
})
