import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FindingOf } from '../../src/model/report.js'
import { contract, quiet, rethread, undoAll } from '../support/cli.js'
import { type Database, database, newest, picture, servers } from '../support/database.js'
import { folder } from '../support/folder.js'

/** Databases whose sessions keep their messages in a row of one user, and that know no tenants. */

type Nearest = FindingOf<'NEAREST_TRACK'>['facts']

const turns = `[{"id":"a","role":"user","content":"a question"},{"id":"b","role":"assistant","content":"an answer"}]`

interface Single {
  name: string
  tables: string
  /** Statements of the old application, which leave nothing behind that is not theirs. */
  old: string[]
  left: string
  fresh: string
  /** Flags of `verify`: where there is an API, as whom it acts too. */
  verify: string[]
}

const singles: Single[] = [
  {
    name: 'quoted names, json, times without a zone, no API',
    tables: `
      drop schema auth cascade;
      alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
      create table "User" (id uuid primary key default gen_random_uuid(), email varchar(64) not null);
      create table "Chat" (id uuid primary key default gen_random_uuid(), "createdAt" timestamp not null, messages json not null, "userId" uuid not null references "User"(id));
      insert into "User" (email) select 'u' || i || '@example.org' from generate_series(1, 3) i;
      insert into "Chat" ("createdAt", messages, "userId") select timestamp '2026-01-01' + i * interval '1 hour', '${turns}', id from "User", generate_series(1, 10) i`,
    old: [
      `insert into "Chat" (id, "createdAt", messages, "userId") select md5('old')::uuid, now(), '${turns}', id from "User" order by email limit 1`,
      `update "Chat" set messages = (messages::jsonb || '[{"id":"c","role":"user","content":"more"}]')::json where id = (select id from "Chat" where id <> md5('old')::uuid order by id limit 1)`,
      `insert into "Chat" (id, "createdAt", messages, "userId") select md5('gone')::uuid, now(), '${turns}', id from "User" order by email limit 1`,
      `delete from "Chat" where id in (md5('old')::uuid, md5('gone')::uuid)`,
      `insert into "Chat" ("createdAt", messages, "userId") select now(), '${turns}', id from "User" order by email desc limit 1`,
    ],
    left: 'public."Chat"',
    verify: [],
    fresh: `with opened as (insert into public.conversations (user_id) select id from "User" order by email limit 1 returning id)
      insert into public.messages (conversation_id, role, content) select id, 'user', 'hello' from opened`,
  },
  {
    name: 'jsonb and policies that compare auth.uid()',
    tables: `
      create table public.chats (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users (id) on delete cascade,
        title text, messages jsonb not null default '[]', created_at timestamptz not null default now());
      alter table public.chats enable row level security;
      create policy "Users see their chats" on public.chats for select using (auth.uid() = user_id);
      create policy "Users write their chats" on public.chats for insert with check (auth.uid() = user_id);
      create policy "Users change their chats" on public.chats for update using (auth.uid() = user_id);
      create policy "Users delete their chats" on public.chats for delete using (auth.uid() = user_id);
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into public.chats (user_id, title, messages) select md5('u' || (1 + i % 3))::uuid, 't' || i, '${turns}' from generate_series(1, 20) i`,
    old: [
      `set local role authenticated`,
      `select set_config('request.jwt.claims', format('{"sub": "%s", "role": "authenticated"}', md5('u1')::uuid), true), set_config('request.jwt.claim.sub', md5('u1')::uuid::text, true)`,
      `insert into public.chats (id, user_id, messages) values (md5('old')::uuid, md5('u1')::uuid, '${turns}')`,
      `update public.chats set messages = messages || '[{"role":"user","content":"more"}]', title = 'renamed' where id in (select id from public.chats order by id limit 2)`,
      `delete from public.chats where id = md5('old')::uuid`,
      `insert into public.chats (user_id, messages) values (md5('u1')::uuid, '${turns}')`,
    ],
    left: 'public.chats',
    verify: ['--sample', '2'],
    fresh: `with opened as (insert into public.conversations (user_id) values (md5('u1')::uuid) returning id)
      insert into public.messages (conversation_id, role, content) select id, 'user', 'hello' from opened`,
  },
]

const nearestOf = (ran: Awaited<ReturnType<typeof rethread>>): Nearest =>
  ran.report.findings.find(f => f.code === 'NEAREST_TRACK')!.facts as Nearest

/** The words of a command line that is shown to a person. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)]
    .slice(1)
    .map(m => m[1]?.replaceAll(`'\\''`, "'") ?? m[2]!)

test.each(singles.flatMap(s => servers().map(server => [s.name, server.major, server, s] as const)))(
  '%s on PostgreSQL %i: what doctor says leads from init to restore, and nothing speaks of tenants',
  async (_, __, server, { tables, old, left, fresh, verify }) => {
    const cwd = folder({})
    await using db = await database(server, 'empty')
    await db.sql.unsafe(tables)
    const ran = (...args: string[]) => quiet(db.url, args, { cwd })
    /** As the application: its role lasts for the transaction. */
    const sends = async () => {
      await db.sql.begin(async tx => {
        for (const statement of old) await tx.unsafe(statement)
      })
    }
    const lacking = nearestOf(await rethread(db.url, ['doctor'], { cwd }))
    expect(lacking.command).toMatch(/^rethread init --track conversation-history /)
    expect(lacking.differs).toContain(
      'tenants is none (certain: no table is like it: every session belongs to its user)',
    )
    // what their sessions lack is left out as well
    expect(
      lacking.differs.filter(d => / is none \(certain: no column is like it/.test(d)).length,
    ).toBeGreaterThan(1)
    expect(lacking.differs.filter(d => /alter table/.test(d))).toEqual([])
    await sends()
    const before = await picture(db.sql)
    const { command } = nearestOf(await rethread(db.url, ['doctor'], { cwd }))
    expect(command).not.toContain('<yours>')
    const written = (await ran(...wordsOf(command))).report.tables.find(t => t.title === 'Written')!
    const files = written.rows.map(([file]) => String(file)).filter(file => file !== 'rethread.config.json')
    for (const file of files)
      expect([file, readFileSync(join(cwd, file), 'utf8').match(/.*tenant.*/gi)]).toEqual([file, null])
    expect(JSON.parse(readFileSync(join(cwd, 'rethread.config.json'), 'utf8')).mapping).toMatchObject({
      tenants: null,
      tenant_users: null,
    })
    await ran('lint')
    await ran('init', '--check')
    await ran('plan')
    await ran('migrate')
    await sends()
    const [behind] = await db.sql.unsafe(`
      select (select count(*)::int from ${left} s where not exists (select from public.conversations c where c.id = s.id))
        + (select count(*)::int from public.conversations c where not exists (select from ${left} s where s.id = c.id))
        + (select count(*)::int from chat_private.behind) as n`)
    expect(behind!.n).toBe(0)
    await ran('verify', ...verify)
    await ran('migrate', ...contract)
    await db.sql.unsafe(fresh)
    await ran('prove')
    await ran('verify', '--deep', ...verify)
    await ran('rollback', ...undoAll(db.name))
    expect((await picture(db.sql)).schema).toEqual(before.schema)
    await sends()
    await ran('restore', 'latest')
    await ran('verify', ...verify)
  },
  120_000,
)

test('the unit of backfills is the user: one of them goes first', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    `${singles[1]!.tables}; alter table public.chats add column metadata jsonb, add column updated_at timestamptz`,
  )
  await rethread(db.url, ['init', '--map', 'tenants=none,chat_sessions=chats'], { cwd })
  const [person] = await db.sql`select md5('u2')::uuid::text as id`
  expect((await rethread(db.url, ['migrate', '--phase', 'expand'], { cwd })).code).toBe(0)
  expect((await rethread(db.url, ['backfill', '--workspace', person!.id], { cwd })).code).toBe(0)
  const moved = await db.sql`select distinct user_id::text as id from public.conversations`
  expect(moved).toEqual([{ id: person!.id }])
})

test('without tenants all checks are woken by a mutant, and all mutants by a check', async () => {
  const cwd = folder({})
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    `${singles[1]!.tables}; alter table public.chats add column metadata jsonb, add column updated_at timestamptz`,
  )
  await rethread(db.url, ['init', '--map', 'tenants=none,chat_sessions=chats'], { cwd })
  expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
  const { report } = await rethread(db.url, ['verify', '--mutants', '--confirm', db.name], { cwd })
  const rows = (title: string) => report.tables.find(t => t.title === title)!.rows
  expect(rows('Mutants').length).toBeGreaterThan(30)
  expect(rows('Mutants').filter(([, by]) => by === 'nobody')).toEqual([])
  expect(rows('Checks').filter(([, , trusted]) => trusted === false)).toEqual([])
})

/** What `init` says of a database, without having written anything. */
async function proposed(db: Database, ...args: string[]) {
  const { report, code } = await rethread(db.url, ['init', ...args], { cwd: folder({}) })
  const rows = report.tables.find(t => t.title === 'Mapping')?.rows ?? []
  const near = report.findings.find(f => f.code === 'NEAREST_TRACK')
  return {
    code,
    codes: report.findings.map(f => f.code),
    track: near?.subject ?? null,
    said: near
      ? (near.facts as Nearest).differs
      : rows.map(([role, to, how, why]) => `${role} is ${to} (${how}: ${why})`),
    message: report.findings[0]?.message,
  }
}

const own = (columns = '') =>
  `create table public.chats (id uuid primary key, user_id uuid not null references auth.users (id), title text, messages jsonb not null,
     metadata jsonb, created_at timestamptz, updated_at timestamptz ${columns});`

const named = ['--track', 'conversation-history']

test('a table that is a tenant by its name only is asked about', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`${own()} create table public.accounts (id uuid primary key, provider text)`)
  const { code, codes, said } = await proposed(db, ...named)
  expect([code, codes]).toEqual([3, ['MAPPING_OPEN']])
  expect(said).toContain(
    'tenants is none (likely: every session belongs to its user; `public.accounts` could be it by its name only)',
  )
  // what is asked about can be said
  expect((await proposed(db, ...named, '--map', 'tenants=none,chat_sessions=chats')).code).toBe(0)
})

test('a column that leads to another table is asked about', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    `create table public.folders (id uuid primary key); ${own(', folder_id uuid references public.folders (id)')}`,
  )
  const { code, said } = await proposed(db, ...named)
  expect(code).toBe(3)
  expect(said).toContain(
    'tenants is none (likely: every session belongs to its user; `folder_id` leads to `public.folders`, which could be it)',
  )
})

test.each([
  ['a column of the sessions is named after a tenant', own(', org_id uuid')],
  [
    'tables are like tenants and like their users',
    `${own()} create table public.organizations (id uuid primary key);
     create table public.memberships (tenant_id uuid references public.organizations (id), user_id uuid references auth.users (id), role text)`,
  ],
])('where %s, tenants are not left out unasked', async (_, tables) => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(tables)
  const { code, said } = await proposed(db, ...named)
  expect(code).toBe(3)
  expect(said.filter(s => / is none /.test(s))).toEqual([])
  expect(said.join('\n')).toMatch(/no (table|column) is like it: where there is none, --map tenants=none/)
  const without = await proposed(db, ...named, '--map', 'tenants=none,chat_sessions=chats')
  expect([without.code, without.said[0]]).toEqual([0, 'tenants is none (certain: as you said)'])
})

test('where tenants are open, it is said how to do without them', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(own(', tenant_id uuid not null'))
  const { said } = await proposed(db, ...named)
  expect(said.join('\n')).toMatch(/no table is like it: where there is none, --map tenants=none/)
})

test.each([
  ['chat_sessions=none', /track conversation-history needs a table for it/],
  ['tenant_users=none', /it goes along with tenants: say tenants=none/],
  ['tenants=none,tenant_users=people', /where tenants is none, so is tenant_users/],
])('--map %s is refused', async (map, why) => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(own())
  const { codes, message } = await proposed(db, ...named, '--map', map)
  expect(codes).toEqual(['USAGE'])
  expect(message).toMatch(why)
})

test('a track that leaves messages where they are is not proposed for lists of messages', async () => {
  await using db = await database(newest(), 'empty')
  const projects =
    'create table public.projects (id uuid primary key, user_id uuid not null references auth.users (id));'
  await db.sql.unsafe(projects)
  // without lists it is the one
  expect((await proposed(db, '--track', 'helper-chats')).code).toBe(0)
  expect(await proposed(db)).toMatchObject({ code: 0 })
  await db.sql.unsafe(
    'create table public.talks (id uuid primary key, user_id uuid references auth.users (id), body jsonb, created_at timestamptz)',
  )
  // nobody knows what would be in it
  expect((await proposed(db)).code).toBe(0)
  await db.sql.unsafe(`insert into public.talks (id, body) values (gen_random_uuid(), '${turns}')`)
  expect(await proposed(db)).toMatchObject({ code: 3, track: 'conversation-history' })
  // with one message a row it is no such table
  await db.sql.unsafe(`update public.talks set body = '{"text":"a question"}'`)
  expect((await proposed(db)).code).toBe(0)
  // what is called so and holds nothing yet will hold them
  await db.sql.unsafe('truncate public.talks; alter table public.talks rename body to messages')
  expect(await proposed(db)).toMatchObject({ code: 3, track: 'conversation-history' })
})

test('beside tables of a login and of documents, the table with the lists is found', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`
    drop schema auth cascade;
    create table "User" (id uuid primary key default gen_random_uuid(), email varchar(64) not null);
    create table "Chat" (id uuid primary key, "createdAt" timestamp not null, messages json not null, "userId" uuid not null references "User"(id));
    create table "Document" (id uuid, "createdAt" timestamp not null, title text not null, content text, "userId" uuid not null references "User"(id), primary key (id, "createdAt"));
    create table "Account" (id text primary key, "userId" uuid not null references "User"(id), provider text);
    create table "Session" (id text primary key, "sessionToken" text unique, "userId" uuid not null references "User"(id), expires timestamp)`)
  const { track, said } = await proposed(db)
  expect(track).toBe('conversation-history')
  expect(said.join('\n')).toMatch(/^chat_sessions is "Chat"/m)
})
