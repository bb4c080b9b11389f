import { expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { database, newest } from '../support/database.js'
import { folder } from '../support/folder.js'

/** Shapes of applications that many people run, and what `doctor` says of them. */

/** The track that comes nearest, what differs and the command; and that nothing went wrong on the way. */
async function nearest(tables: string, plain = true) {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`${plain ? 'drop schema auth cascade;' : ''} ${tables}`)
  const { code, report } = await rethread(db.url, ['doctor'], { cwd: folder({}) })
  const near = report.findings.find(f => f.code === 'NEAREST_TRACK')!
  const { differs, command } = near.facts as { differs: string[]; command: string }
  expect(code).toBe(1)
  const already = report.findings.find(f => f.code === 'SESSIONS_ALREADY')
  const pair = report.findings.find(f => f.code === 'QUESTION_AND_ANSWER')
  return { track: near.subject, differs: differs.join('\n'), command, already, pair }
}

test('a chat server whose names run their words together', async () => {
  const { track, differs, command, already } = await nearest(`
    create table users (id varchar(26) primary key, username text);
    create table teams (id varchar(26) primary key, name text);
    create table channels (id varchar(26) primary key, createat bigint, teamid varchar(26), creatorid varchar(26));
    create table posts (id varchar(26) primary key, createat bigint, updateat bigint, userid varchar(26), channelid varchar(26), message text, type varchar(26));
    insert into users values ('u', 'u'); insert into channels values ('c', 1750000000000, 't', 'u');
    insert into posts values ('p', 1750000000000, 0, 'u', 'c', 'hello', '')`)
  expect(track).toBe('workspace-sessions')
  for (const line of [
    'workspaces is channels (certain',
    'workspaces.owner_id is creatorid (certain',
    'chats.created_at is createat (certain',
    'chats.workspace_id is channelid (certain',
    'chats.user_id is userid (certain',
    `chats.role: it is character varying and holds '': say which role each is, such as '':user,bot:assistant`,
  ])
    expect(differs).toContain(line)
  expect(command).toContain(`--map-values 'chats.role=<yours>' --map-values 'chats.created_at=ms'`)
  // messages name their author
  expect(already).toBeUndefined()
})

test('people who write to each other: no column says a role, and the track does without', async () => {
  const { track, differs, command } = await nearest(`
    create table users (id bigserial primary key, email text);
    create table rooms (id bigserial primary key, name text, user_id bigint not null references users);
    create table messages (id bigserial primary key, room_id bigint not null references rooms, user_id bigint not null references users, body text, client_message_id text not null, created_at timestamptz not null);
    insert into users (email) values ('e'); insert into rooms (name, user_id) values ('r', 1);
    insert into messages (room_id, user_id, body, client_message_id, created_at) values (1, 1, 'hello', 'x', now())`)
  expect(track).toBe('workspace-sessions')
  expect(differs).toContain("chats.role is none (certain: no column is like it: every message is a person's)")
  expect(command).toContain('chats.role=none')
})

test('an assistant’s workbench: documents and metadata as JSON, times in seconds', async () => {
  const { track, differs, command } = await nearest(`
    create table "user" (id text primary key, name text);
    create table chat (id text primary key, user_id text, title text, chat json, meta json, created_at bigint, updated_at bigint);
    insert into "user" values ('u', 'u');
    insert into chat values ('c', 'u', 't', '{"history":{"currentId":"a","messages":{"a":{"id":"a","role":"user","content":"q"}}},"messages":[]}', '{}', 1750000000, 1750000000)`)
  expect(track).toBe('conversation-history')
  expect(differs).not.toMatch(/is needed|no column/)
  expect(command).not.toContain('<yours>')
})

test('a chat template whose messages are parts of JSON that name no author: they lead to chats, which are no projects without any', async () => {
  const { track, differs, command, already } = await nearest(`
    create table "User" (id uuid primary key default gen_random_uuid(), email text);
    create table "Chat" (id uuid primary key default gen_random_uuid(), "createdAt" timestamp not null, title text not null, "userId" uuid not null references "User" (id));
    create table "Message_v2" (id uuid primary key default gen_random_uuid(), "chatId" uuid not null references "Chat" (id), role varchar not null, parts json not null, attachments json not null, "createdAt" timestamp not null);
    insert into "User" (email) values ('e'); insert into "Chat" ("createdAt", title, "userId") select now(), 't', id from "User";
    insert into "Message_v2" ("chatId", role, parts, attachments, "createdAt") select id, 'user', '[{"type":"text","text":"q"}]', '[]', now() from "Chat"`)
  expect(track).toBe('workspace-sessions')
  expect(differs).toContain('chats.message is parts (certain')
  expect(differs).toContain(
    'chats.user_id: no column is like it: where there is none, alter table public."Message_v2" add column user_id uuid',
  )
  expect(command).not.toContain('chats.message=<yours>')
  expect([already?.subject, already?.facts]).toEqual([
    'public."Chat"',
    { messages: 'public."Message_v2"', owner: 'userId', author: null },
  ])
})

test('chats of one person whose messages name that person too: the name says what they are', async () => {
  const tables = (chats: string) => `
    create table users (id uuid primary key default gen_random_uuid(), email text);
    create table ${chats} (id uuid primary key default gen_random_uuid(), user_id uuid not null references users, title text, created_at timestamptz not null default now());
    create table messages (id uuid primary key default gen_random_uuid(), chat_id uuid not null references ${chats}, user_id uuid not null references users, role text not null, content text not null, created_at timestamptz not null default now());
    insert into users (email) values ('e'); insert into ${chats} (user_id) select id from users;
    insert into messages (chat_id, user_id, role, content) select id, user_id, 'user', 'q' from ${chats}`
  const { track, already } = await nearest(tables('chats'))
  expect(track).toBe('workspace-sessions')
  expect([already?.subject, already?.facts]).toEqual([
    'public.chats',
    { messages: 'public.messages', owner: 'user_id', author: 'user_id' },
  ])
  expect((await nearest(tables('projects'))).already).toBeUndefined()
})

test('a question and its answer in one row are two messages, and a track takes a row for one', async () => {
  const { track, differs, pair } = await nearest(`
    create table accounts (id uuid primary key default gen_random_uuid(), name text, email text);
    create table end_users (id uuid primary key default gen_random_uuid(), name text);
    create table conversations (id uuid primary key default gen_random_uuid(), from_end_user_id uuid, from_account_id uuid, created_at timestamp not null default now());
    create table messages (id uuid primary key default gen_random_uuid(), conversation_id uuid not null references conversations, query text not null, message json not null, answer text not null, from_end_user_id uuid, from_account_id uuid, created_at timestamp not null default now());
    insert into accounts (email) values ('e'); insert into end_users (name) values ('n'); insert into conversations (from_end_user_id) select id from end_users;
    insert into messages (conversation_id, query, message, answer, from_end_user_id) select id, 'q', '[]', 'a', from_end_user_id from conversations`)
  expect([track, pair?.subject, pair?.facts]).toEqual([
    'workspace-sessions',
    'public.messages',
    { question: 'query', answer: 'answer' },
  ])
  // another person is in the column that is in use
  expect(differs).toMatch(/chats.user_id is from_account_id \(likely: .* 0% of rows have it\)/)
})

test('a trip without quotes: what is not there is not taken from another table, and a trip is no person', async () => {
  const { track, differs } = await nearest(`
    create table brokers (id uuid primary key default gen_random_uuid(), clerk_user_id text not null);
    create table requests (id uuid primary key default gen_random_uuid(), iso_agent_id uuid references brokers, departure_airport text, arrival_airport text);
    create table proposals (id uuid primary key default gen_random_uuid(), request_id uuid references requests);
    create table conversations (id uuid primary key default gen_random_uuid(), request_id uuid references requests, subject text, created_at timestamptz not null default now());
    create table states (id uuid primary key default gen_random_uuid(), broker_id uuid references brokers, state jsonb);
    create table messages (id uuid primary key default gen_random_uuid(), conversation_id uuid not null references conversations, sender_type text, content text, created_at timestamptz not null default now())`)
  expect(track).toBe('trip-sessions')
  expect(differs).toContain('quotes: no table is like it')
})

test('a key of two columns is none that messages can lead to', async () => {
  const { track, differs } = await nearest(`
    create table users (id uuid primary key default gen_random_uuid(), email text);
    create table workspaces (org int, nr int, owner_id uuid references users, primary key (org, nr));
    create table messages (id uuid primary key default gen_random_uuid(), org int, workspace_nr int, user_id uuid references users, role text, content text, created_at timestamptz not null default now(), foreign key (org, workspace_nr) references workspaces)`)
  expect(track).toBe('workspace-sessions')
  expect(differs).toContain('workspaces.id: no column alone tells its rows apart')
})

test('an export of a document database: the id that messages name is not the primary key', async () => {
  const { differs, command } = await nearest(`
    create table users (_id text primary key, email text);
    create table conversations (_id text primary key, "conversationId" text not null unique, "user" text not null, title text);
    create table messages (_id text primary key, "messageId" text not null unique, "conversationId" text not null, "user" text, sender text, text text, "createdAt" text);
    insert into users values ('66a', 'e'); insert into conversations values ('77b', 'c-1', '66a', 't');
    insert into messages values ('88c', 'm-1', 'c-1', '66a', 'User', 'hello', '2024-01-01T00:00:00.000Z')`)
  expect(differs).toContain(
    'workspaces.id is "conversationId" (certain: rows of other tables name it, and not the primary key)',
  )
  expect(command).toContain('workspaces.id="conversationId"')
  expect(command).toContain('chats.id=_id')
})

test('members whose roles a CHECK lists: what the words mean is asked for, because no other can be written', async () => {
  const { track, command } = await nearest(
    `
    create table org (id text primary key, name text not null);
    create table org_member (org_id text not null references org, user_id uuid not null references auth.users, role varchar(9) not null check (role in ('owner', 'member')), primary key (org_id, user_id));
    create table thread (id text primary key, org_id text not null references org, user_id uuid not null references auth.users, title text, messages jsonb not null, metadata jsonb, kind text check (kind in ('it''s', 'b')), created_at timestamptz, updated_at timestamptz);
    insert into auth.users (id) values (gen_random_uuid()); insert into org values ('o', 'o'); insert into org_member select 'o', id, 'owner' from auth.users;
    insert into thread select 't', 'o', id, 't', '[{"role":"user","content":"q"}]', '{}', 'b', now(), now() from auth.users`,
    false,
  )
  expect(track).toBe('conversation-history')
  expect(command).toContain(`--map-values 'tenant_users.role=owner:admin,member:user'`)
})

test('a workflow tool with one table and nobody in it: nothing is found, and nothing breaks', async () => {
  const { differs } = await nearest(
    `create table workflow_histories (id serial primary key, session_id text not null, message jsonb not null)`,
  )
  expect(differs).toContain('auth.users: no table is like it')
})
