import type { StrangerSchema } from './stranger_schemas.js'

const stamp = `create function public.update_updated_at() returns trigger language plpgsql as $$
  begin new.updated_at = now(); return new; end $$;`

/** Ids of five people and ten rooms, as SQL of a number `i`. */
const schema = (s: {
  users?: string
  userType?: string
  rooms: string
  roomType?: string
  room: string
  owner: string
  messages: string
  id?: string
  in: string
  by: string
  body: string
  at: string
  atType: string
  time: string
  more?: string
  moreValue?: string
}): string => {
  const person = (i: string) =>
    s.userType === 'text' ? `'user_' || (${i})` : s.userType ? `${i}` : `md5('u' || (${i}))::uuid`
  const room = (i: string) =>
    s.roomType === 'bigint' ? `${i}` : s.roomType ? `'room-' || (${i})` : `md5('w' || (${i}))::uuid`
  const users = s.users ?? 'auth.users'
  return `${stamp}
    ${s.users ? `create table ${users} (id ${s.userType ?? 'uuid'} primary key);` : ''}
    create table ${s.rooms} (${s.room} ${s.roomType ?? 'uuid'} primary key, ${s.owner} ${s.userType ?? 'uuid'} references ${users} (id), name text not null${s.more ? `, ${s.more}` : ''});
    create table ${s.messages} (id ${s.id ?? 'uuid primary key default gen_random_uuid()'}, ${s.in} ${s.roomType ?? 'uuid'} references ${s.rooms}, ${s.by} ${s.userType ?? 'uuid'} references ${users} (id), role text not null, ${s.body} text, ${s.at} ${s.atType});
    grant usage on schema public to authenticated, service_role;
    grant select, insert, update, delete on ${s.messages}, ${s.rooms} to authenticated, service_role;
    insert into ${users} (id) select ${person('i')} from generate_series(1, 5) i;
    insert into ${s.rooms} select ${room('i')}, ${person('1 + i % 5')}, 'w'${s.moreValue ? `, ${s.moreValue}` : ''} from generate_series(1, 10) i;
    insert into ${s.messages} (${s.in}, ${s.by}, role, ${s.body}, ${s.at})
    select ${room('1 + i % 10')}, ${person('1 + (1 + i % 10) % 5')}, 'user', 'message ' || i, ${s.time} from generate_series(1, 200) i`
}

/** Rooms, what is said in them, and projects. */
export const strangerRooms: StrangerSchema[] = [
  {
    name: 'other names, a bigint identity, a required column',
    left: 'public.org_messages where session_id is null',
    tables: schema({
      rooms: 'public.organizations',
      room: 'id',
      owner: 'created_by',
      messages: 'public.org_messages',
      id: 'bigint generated always as identity primary key',
      in: 'org_id',
      by: 'author_id',
      body: 'body',
      at: 'sent_at',
      atType: 'timestamptz default now()',
      time: "now() - i * interval '1 minute'",
      more: 'plan text not null',
      moreValue: "'free'",
    }),
    init: [],
    old: [
      "insert into org_messages (org_id, author_id, role, body) values (md5('w1')::uuid, md5('u2')::uuid, 'user', 'old')",
    ],
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (md5('w1')::uuid, md5('u2')::uuid) returning id) insert into public.org_messages (session_id, org_id, author_id, role, body) select id, md5('w1')::uuid, md5('u2')::uuid, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'camelCase, reserved words, another schema',
    left: 'chat."Message" where session_id is null',
    tables: `create schema chat; grant usage on schema chat to authenticated, service_role; ${schema({
      rooms: 'chat."Group"',
      room: 'id',
      owner: '"user"',
      messages: 'chat."Message"',
      in: '"groupId"',
      by: '"authorId"',
      body: '"order"',
      at: '"createdAt"',
      atType: 'timestamptz default now()',
      time: 'now()',
    })}`,
    init: [
      '--track',
      'workspace-sessions',
      '--map',
      'workspaces=chat.Group,workspaces.owner_id="user",chats=chat.Message,chats.workspace_id=groupId,chats.user_id=authorId,chats.message="order",chats.created_at=createdAt',
    ],
    old: [
      `insert into chat."Message" ("groupId", "authorId", role, "order") values (md5('w1')::uuid, md5('u2')::uuid, 'user', 'old')`,
    ],
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (md5('w1')::uuid, md5('u2')::uuid) returning id) insert into chat."Message" (session_id, "groupId", "authorId", role, "order") select id, md5('w1')::uuid, md5('u2')::uuid, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'rooms with bigint ids, times without a zone',
    left: 'public.posts where session_id is null',
    tables: schema({
      rooms: 'public.rooms',
      room: 'id',
      roomType: 'bigint',
      owner: 'owner_id',
      messages: 'public.posts',
      in: 'room_id',
      by: 'user_id',
      body: 'message',
      at: 'created_at',
      atType: 'timestamp default now()',
      time: 'now()',
    }),
    init: ['--zone', 'UTC'],
    old: ["insert into posts (room_id, user_id, role, message) values (1, md5('u2')::uuid, 'user', 'old')"],
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (1, md5('u2')::uuid) returning id) insert into public.posts (session_id, room_id, user_id, role, message) select id, 1, md5('u2')::uuid, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'people of another service with text ids in a table of their own',
    left: 'public.chats where session_id is null',
    tables: schema({
      users: 'public.users',
      userType: 'text',
      rooms: 'public.workspaces',
      room: 'id',
      owner: 'owner_id',
      messages: 'public.chats',
      in: 'workspace_id',
      by: 'user_id',
      body: 'message',
      at: 'created_at',
      atType: 'timestamptz default now()',
      time: 'now()',
    }),
    init: ['--track', 'workspace-sessions', '--map', "auth.users=users,identity=auth.jwt() ->> 'sub'"],
    old: [
      "insert into chats (workspace_id, user_id, role, message) values (md5('w1')::uuid, 'user_2', 'user', 'old')",
    ],
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (md5('w1')::uuid, 'user_2') returning id) insert into public.chats (session_id, workspace_id, user_id, role, message) select id, md5('w1')::uuid, 'user_2', 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'rooms with varchar ids, a column called as another of the track',
    left: 'public.lines where session_id is null',
    tables: schema({
      rooms: 'public.channels',
      room: 'id',
      roomType: 'varchar(36)',
      owner: 'user_id',
      messages: 'public.lines',
      in: 'channel',
      by: 'workspace',
      body: 'message',
      at: 'created_at',
      atType: 'timestamptz default now()',
      time: 'now()',
    }),
    init: [
      '--track',
      'workspace-sessions',
      '--map',
      'workspaces=channels,workspaces.owner_id=user_id,chats=lines,chats.workspace_id=channel,chats.user_id=workspace',
    ],
    old: [
      "insert into lines (channel, workspace, role, message) values ('room-1', md5('u2')::uuid, 'user', 'old')",
    ],
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values ('room-1', md5('u2')::uuid) returning id) insert into public.lines (session_id, channel, workspace, role, message) select id, 'room-1', md5('u2')::uuid, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'projects and people with numbers for ids',
    left: 'public.chat_messages where session_id is null',
    tables: `create table public.accounts (id bigint generated always as identity primary key, email text);
      create table public.apps (id integer primary key, owner_id bigint not null references public.accounts, name text not null);
      alter table public.apps enable row level security;
      create policy own on public.apps to authenticated using (owner_id = ((select auth.jwt() ->> 'sub')::bigint));
      grant select, insert, update, delete on public.apps to authenticated, service_role;
      insert into public.accounts (email) select 'a' || i from generate_series(1, 5) i;
      insert into public.apps select i, 1 + i % 5, 'app' from generate_series(1, 10) i`,
    init: [],
    old: ["insert into apps select max(id) + 1, 2, 'old' from apps"],
    fresh: [
      `with opened as (insert into public.chat_sessions (project_id, user_id, helper) values (1, 2, 'h') returning id) insert into public.chat_messages (session_id, role, content) select id, 'user', 'hello' from opened`,
    ],
  },
]
