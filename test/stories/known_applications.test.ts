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
  return { track: near.subject, differs: differs.join('\n'), command }
}

test('a chat server whose names run their words together', async () => {
  const { track, differs, command } = await nearest(`
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

test('a workflow tool with one table and nobody in it: nothing is found, and nothing breaks', async () => {
  const { differs } = await nearest(
    `create table workflow_histories (id serial primary key, session_id text not null, message jsonb not null)`,
  )
  expect(differs).toContain('auth.users: no table is like it')
})
