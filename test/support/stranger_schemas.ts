/**
 * Databases of other people: the shape that a track is for under names and types of their own. Each goes from
 * `init` to `restore` without an edited line.
 */
export interface StrangerSchema {
  name: string
  tables: string
  /** What is given to `init`; nothing where it finds the track and all names by itself. */
  init: string[]
  /** Statements of the old application, which have to work before the migration and during it. */
  old: string[]
  /** Rows that the migration should have left nowhere. */
  left: string
  /** Statements of the new application, after the contract phase. */
  fresh: string[]
}

const api = 'authenticated, service_role'

/** Grants on everything, as a hosted database has them. */
const granted = (schema: string): string =>
  `grant usage on schema ${schema} to ${api};
   grant select, insert, update, delete on all tables in schema ${schema} to ${api}`

/** Whoever is signed in sees who is a member, and changes nothing. */
const members = (table: string): string =>
  `alter table ${table} enable row level security; create policy seen on ${table} for select to authenticated using (true)`

/** The elements of a stored conversation. */
const turns = `'[{"role":"user","content":"a question"},{"role":"assistant","content":"an answer"}]'`

const stamp = `create function public.update_updated_at() returns trigger language plpgsql as $$
  begin new.updated_at = now(); return new; end $$;`

export const strangerSchemas: StrangerSchema[] = [
  {
    name: 'conversations with numbers for ids',
    tables: `
      create table public.firms (id serial primary key, name text not null);
      create table public.firm_members (firm_id int not null references public.firms, user_id uuid not null references auth.users, role text not null default 'user', primary key (firm_id, user_id));
      create table public.threads (id bigint generated always as identity primary key, firm_id int not null references public.firms, author_id uuid not null references auth.users, subject text,
        turns jsonb not null default '[]', meta jsonb, opened_at timestamptz default now(), updated_at timestamptz default now());
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into public.firms (name) values ('one'), ('two');
      insert into public.firm_members select f, md5('u' || i)::uuid, 'user' from generate_series(1, 3) i, generate_series(1, 2) f;
      insert into public.threads (firm_id, author_id, subject, turns) select 1 + i % 3 % 2, md5('u' || (i % 3 + 1))::uuid, 'thread ' || i, ${turns} from generate_series(1, 30) i;
      ${granted('public')}; ${members('public.firm_members')}`,
    init: [
      '--track',
      'conversation-history',
      '--map',
      'tenants=firms,tenant_users=firm_members,chat_sessions=threads,chat_sessions.created_at=opened_at',
    ],
    old: [
      `insert into public.threads (firm_id, author_id, turns) values (1, md5('u2')::uuid, ${turns})`,
      `update public.threads set turns = turns || '{"role":"user","content":"more"}' where id = 1`,
    ],
    left: 'public.threads s where not exists (select from public.conversations c where c.id = s.id)',
    fresh: [
      `with opened as (insert into public.conversations (tenant_id, user_id) values (1, md5('u1')::uuid) returning id)
       insert into public.messages (conversation_id, role, content) select id, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'text ids of an identity provider, ids that the application makes, camelCase, times without a zone',
    tables: `
      create table public."User" (id text primary key, email text);
      create table public."Organization" (id varchar(25) primary key, name text not null);
      create table public."Membership" ("organizationId" varchar(25) not null references public."Organization", "userId" text not null references public."User", role text not null, primary key ("organizationId", "userId"));
      create table public."Chat" (id varchar(25) primary key, "organizationId" varchar(25) not null references public."Organization", "userId" text not null references public."User", title varchar(80),
        messages json not null default '[]', metadata jsonb, "createdAt" timestamp(3) not null default now(), "updatedAt" timestamp(3) not null default now());
      insert into public."User" select 'user_' || i from generate_series(1, 3) i;
      insert into public."Organization" select 'org' || i, 'o' from generate_series(1, 2) i;
      insert into public."Membership" select 'org' || o, 'user_' || i, 'user' from generate_series(1, 3) i, generate_series(1, 2) o;
      insert into public."Chat" (id, "organizationId", "userId", title, messages) select 'chat' || i, 'org' || (1 + i % 3 % 2), 'user_' || (i % 3 + 1), 't', ${turns} from generate_series(1, 30) i;
      ${granted('public')}; ${members('public."Membership"')}`,
    init: [
      '--track',
      'conversation-history',
      '--zone',
      'UTC',
      '--map',
      `users=User,identity=auth.jwt() ->> 'sub',tenants=Organization,tenant_users=Membership,chat_sessions=Chat`,
    ],
    old: [
      `insert into public."Chat" (id, "organizationId", "userId", messages) values (left(md5(random()::text), 20), 'org1', 'user_2', ${turns})`,
      `update public."Chat" set title = 'changed', "updatedAt" = now() where id = 'chat2'`,
    ],
    left: 'public."Chat" s where not exists (select from public.conversations c where c.id = s.id)',
    fresh: [
      `with opened as (insert into public.conversations (tenant_id, user_id, title) values ('org1', 'user_1', 'new') returning id)
       insert into public.messages (conversation_id, role, content) select id, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'times as milliseconds, roles as codes, a key of two columns',
    tables: `${stamp}
      create table public.rooms (id integer primary key, owner_id uuid references auth.users, name text not null);
      create table public.lines (room_id integer references public.rooms, nr bigint generated always as identity unique, author_id uuid references auth.users, kind smallint not null, body text, sent bigint not null default (extract(epoch from now()) * 1000)::bigint, primary key (nr, kind));
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 4) i;
      insert into public.rooms select i, md5('u' || i)::uuid, 'r' from generate_series(1, 4) i;
      insert into public.lines (room_id, author_id, kind, body, sent) select 1 + i % 4, md5('u' || (1 + i % 4))::uuid, i % 2, 'line ' || i, 1747135323553 + i * 60000 from generate_series(1, 60) i;
      ${granted('public')}`,
    init: [
      '--track',
      'workspace-sessions',
      '--map',
      'chats.id=nr,chats.role=kind,chats.created_at=sent',
      '--map-values',
      'chats.role=0:user,1:assistant',
    ],
    old: [`insert into public.lines (room_id, author_id, kind, body) values (1, md5('u2')::uuid, 1, 'old')`],
    left: 'public.lines where session_id is null',
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id, title) values (1, md5('u1')::uuid, 'new') returning id)
       insert into public.lines (session_id, room_id, author_id, kind, body) select id, 1, md5('u1')::uuid, 0, 'hello' from opened`,
    ],
  },
  {
    name: 'times as text, ids of a domain and short ones, people in a schema of their own',
    tables: `${stamp}
      create schema people; create schema talk; grant usage on schema people, talk to ${api};
      create domain public.ref as text check (value <> '');
      create table people.person (id bigint generated by default as identity primary key, email text);
      create table talk.team (id public.ref primary key, "user" bigint references people.person, name text not null);
      create table talk."order" (id varchar(12) primary key default left(md5(random()::text), 12), team public.ref references talk.team, "from" bigint references people.person, role text not null, message text, "when" text default to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
      insert into people.person (email) select 'p' || i from generate_series(1, 4) i;
      insert into talk.team select 'team ' || i, i, 't' from generate_series(1, 4) i;
      insert into talk."order" (team, "from", role, message, "when") select 'team ' || (1 + i % 4), 1 + i % 4, 'user', 'line ' || i, '2025-03-0' || (1 + i % 9) || 'T10:00:00Z' from generate_series(1, 40) i;
      ${granted('talk')}; ${granted('people')}`,
    init: [
      '--track',
      'workspace-sessions',
      '--map',
      `auth.users=people.person,identity=(auth.jwt() ->> 'sub')::bigint,workspaces=talk.team,workspaces.owner_id="user",chats=talk."order",chats.workspace_id=team,chats.user_id="from",chats.created_at="when"`,
    ],
    old: [`insert into talk."order" (team, "from", role, message) values ('team 1', 2, 'user', 'old')`],
    left: 'talk."order" where session_id is null',
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id, title) values ('team 1', 1, 'new') returning id)
       insert into talk."order" (session_id, team, "from", role, message) select id, 'team 1', 1, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'tables and columns that the application has under the names of the track',
    tables: `${stamp}
      create table public.workspaces (id uuid primary key default gen_random_uuid(), owner_id uuid not null references auth.users, name text not null);
      create table public.chat_sessions (id serial primary key, note text);
      create table public.chats (id uuid primary key default gen_random_uuid(), workspace_id uuid references public.workspaces on delete cascade, user_id uuid references auth.users, session_id text not null, role text not null, message text not null, created_at timestamptz default now());
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into public.workspaces select md5('w' || i)::uuid, md5('u' || i)::uuid, 'w' from generate_series(1, 3) i;
      insert into public.chat_sessions (note) values ('their own');
      insert into public.chats (workspace_id, user_id, session_id, role, message) select md5('w' || (1 + i % 3))::uuid, md5('u' || (1 + i % 3))::uuid, 'browser ' || i, 'user', 'm' from generate_series(1, 30) i;
      ${granted('public')}`,
    init: [
      '--track',
      'workspace-sessions',
      '--map',
      'chat_sessions="Thread",chat_sessions.title="heading",chats.session_id="threadId"',
    ],
    old: [
      `insert into public.chats (workspace_id, user_id, session_id, role, message) values (md5('w1')::uuid, md5('u1')::uuid, 'browser', 'user', 'old')`,
      `insert into public.chat_sessions (note) values ('another')`,
      `update public.chats set workspace_id = md5('w2')::uuid where session_id = 'browser 3'`,
    ],
    left: 'public.chats where "threadId" is null',
    fresh: [
      `with opened as (insert into public."Thread" (workspace_id, user_id) values (md5('w1')::uuid, md5('u1')::uuid) returning id)
       insert into public.chats ("threadId", workspace_id, user_id, session_id, role, message) select id, md5('w1')::uuid, md5('u1')::uuid, 'b', 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'a charter desk with numbers for ids',
    tables: `
      create table public.brokers (id bigint generated always as identity primary key, clerk_id text not null unique, email text not null);
      create table public.trip_requests (id bigint generated always as identity primary key, broker_id bigint references public.brokers, origin text not null, destination text not null, avinode_trip_id text, created_at timestamptz default now());
      create table public.offers (id serial primary key, request_id bigint not null references public.trip_requests, status text);
      create table public.suggestions (id uuid primary key default gen_random_uuid(), request_id bigint references public.trip_requests);
      create table public.threads (id integer generated by default as identity primary key, request_id bigint references public.trip_requests, subject text);
      create table public.posts (id bigint generated always as identity primary key, thread_id integer not null references public.threads, sender_type text not null, body text, created_at bigint default extract(epoch from now())::bigint);
      insert into public.brokers (clerk_id, email) select 'user_' || i, 'a' || i || '@example.com' from generate_series(1, 4) i;
      insert into public.trip_requests (broker_id, origin, destination, avinode_trip_id) select 1 + i % 4, 'A', 'B', 'trip ' || i from generate_series(1, 12) i;
      insert into public.offers (request_id, status) select i, 'accepted' from generate_series(1, 6) i;
      insert into public.suggestions (request_id) select i from generate_series(1, 3) i;
      insert into public.threads (request_id, subject) select i, 's' from generate_series(1, 12) i;
      insert into public.posts (thread_id, sender_type, body) select 1 + i % 12, 'agent', 'm' from generate_series(1, 60) i;
      ${granted('public')}`,
    init: [
      '--track',
      'trip-sessions',
      '--map',
      'iso_agents=brokers,requests=trip_requests,quotes=offers,proposals=suggestions,conversations=threads,messages=posts,chat_sessions="Desk",chat_sessions.message_count="messageCount",chat_sessions.status=state',
    ],
    old: [
      `insert into public.threads (request_id, subject) values (1, 'old')`,
      `insert into public.posts (thread_id, sender_type, body) select max(id), 'agent', 'old' from public.threads`,
    ],
    left: 'public.threads t where not exists (select from public."Desk" s where s.conversation_id = t.id and s."messageCount" > 0) and t.subject <> \'old\'',
    fresh: [
      `select public.create_or_update_chat_session(1, (select broker_id from public.trip_requests where id = 1), 1)`,
    ],
  },
  {
    name: 'a code assistant whose people have numbers',
    tables: `create table public.accounts (id integer generated always as identity primary key, login text);
      insert into public.accounts (login) values ('a'), ('b'); ${granted('public')}`,
    init: [
      '--track',
      'codebase-sessions',
      '--map',
      `auth.users=accounts,identity=(auth.jwt() ->> 'sub')::integer`,
    ],
    old: [`insert into public.accounts (login) values ('c')`],
    left: 'public.codebase_chat_sessions where false',
    fresh: [
      `insert into public.codebase_chat_sessions (session_id, user_id) values ('chat-1-abc', 1) on conflict (session_id) do update set user_id = excluded.user_id`,
    ],
  },
  {
    name: 'projects with text ids of people with text ids',
    tables: `create table public.users (id text primary key); create table public.projects (id varchar(30) primary key, user_id text references public.users, name text);
      insert into public.users select 'user_' || i from generate_series(1, 3) i;
      insert into public.projects select 'project ' || i, 'user_' || i, 'p' from generate_series(1, 3) i; ${granted('public')}`,
    init: ['--track', 'helper-chats', '--map', `auth.users=users,identity=auth.jwt() ->> 'sub'`],
    old: [`insert into public.projects values (left(md5(random()::text), 20), 'user_1', 'old')`],
    left: 'public.chat_messages where session_id is null',
    fresh: [
      `with opened as (insert into public.chat_sessions (project_id, user_id, helper) values ('project 1', 'user_1', 'h') returning id)
       insert into public.chat_messages (session_id, role, content) select id, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'a partitioned table with a key of two columns',
    tables: `${stamp}
      create table public.workspaces (id uuid primary key default gen_random_uuid(), owner_id uuid not null references auth.users, name text not null);
      create table public.chats (id uuid not null default gen_random_uuid(), workspace_id uuid references public.workspaces on delete cascade, user_id uuid references auth.users, role text not null, message text not null, created_at timestamptz not null default now(), primary key (id, created_at)) partition by range (created_at);
      create table public.chats_old partition of public.chats for values from (minvalue) to ('2026-01-01');
      create table public.chats_new partition of public.chats for values from ('2026-01-01') to (maxvalue);
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into public.workspaces select md5('w' || i)::uuid, md5('u' || i)::uuid, 'w' from generate_series(1, 3) i;
      insert into public.chats (workspace_id, user_id, role, message, created_at) select md5('w' || (1 + i % 3))::uuid, md5('u' || (1 + i % 3))::uuid, 'user', 'm', timestamptz '2025-12-01' + i * interval '1 day' from generate_series(1, 60) i;
      ${granted('public')}`,
    init: ['--track', 'workspace-sessions'],
    old: [
      `insert into public.chats (workspace_id, user_id, role, message) values (md5('w1')::uuid, md5('u1')::uuid, 'user', 'old')`,
    ],
    left: 'public.chats where session_id is null',
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (md5('w1')::uuid, md5('u1')::uuid) returning id)
       insert into public.chats (session_id, workspace_id, user_id, role, message) select id, md5('w1')::uuid, md5('u1')::uuid, 'user', 'hello' from opened`,
    ],
  },
  {
    name: 'what is said as JSON, roles of an enum, local times, rooms of an own schema',
    tables: `create schema chat; create schema app; ${stamp}
      create type chat.speaker as enum ('user', 'assistant');
      create table app."Users" (id uuid primary key, email text);
      create table chat.spaces (id bigint primary key, owner uuid references app."Users", name text not null, plan text not null);
      create table chat.turns (id bigserial primary key, space bigint references chat.spaces, person uuid references app."Users", speaker chat.speaker not null, content jsonb not null, at timestamp not null default now());
      insert into app."Users" select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into chat.spaces select i, md5('u' || i)::uuid, 's', 'free' from generate_series(1, 3) i;
      insert into chat.turns (space, person, speaker, content) select 1 + i % 3, md5('u' || (1 + i % 3))::uuid, 'user', to_jsonb('turn ' || i) from generate_series(1, 40) i;
      ${granted('chat')}; ${granted('app')}; grant usage on all sequences in schema chat to authenticated, service_role`,
    init: [
      '--track',
      'workspace-sessions',
      '--zone',
      'Europe/Berlin',
      '--map',
      'auth.users=app."Users",workspaces=chat.spaces,workspaces.owner_id=owner,chats=chat.turns,chats.workspace_id=space,chats.user_id=person,chats.role=speaker,chats.message=content,chats.created_at=at',
    ],
    old: [
      `insert into chat.turns (space, person, speaker, content) values (2, md5('u2')::uuid, 'assistant', '"old"')`,
    ],
    left: 'chat.turns where session_id is null',
    fresh: [
      `with opened as (insert into public.chat_sessions (workspace_id, user_id) values (1, md5('u1')::uuid) returning id)
       insert into chat.turns (session_id, space, person, speaker, content) select id, 1, md5('u1')::uuid, 'user', '"hello"' from opened`,
    ],
  },
  {
    name: 'conversations without a time of their making, times as seconds, ids of an own default',
    tables: `
      create function public.new_id() returns text language sql volatile as $$ select 'c' || left(md5(random()::text), 24) $$;
      create table public.tenants (id bigint generated by default as identity primary key, name text not null, subdomain text not null unique);
      create table public.tenant_users (tenant_id bigint not null references public.tenants, user_id uuid not null references auth.users, role varchar(10) not null default 'user', primary key (tenant_id, user_id));
      create table public.chat_sessions (id text primary key default public.new_id(), tenant_id bigint not null references public.tenants, user_id uuid not null references auth.users, title text,
        messages jsonb not null default '[]', metadata jsonb, inserted bigint default extract(epoch from now())::bigint, updated_at bigint default extract(epoch from now())::bigint, model text not null);
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into public.tenants (name, subdomain) values ('one', 'one');
      insert into public.tenant_users select 1, md5('u' || i)::uuid, 'user' from generate_series(1, 3) i;
      insert into public.chat_sessions (tenant_id, user_id, title, messages, model) select 1, md5('u' || (1 + i % 3))::uuid, 't', ${turns}, 'm' from generate_series(1, 30) i;
      ${granted('public')}; ${members('public.tenant_users')}`,
    init: ['--track', 'conversation-history', '--map', 'chat_sessions.created_at=inserted'],
    old: [
      `insert into public.chat_sessions (tenant_id, user_id, messages, model) values (1, md5('u1')::uuid, ${turns}, 'm')`,
    ],
    left: 'public.chat_sessions s where not exists (select from public.conversations c where c.id = s.id)',
    fresh: [
      `insert into public.messages (conversation_id, role, content) select min(id), 'user', 'hello' from public.conversations`,
    ],
  },
  {
    name: 'roles of members as an enum, tenants with positive numbers and a required owner, metadata as JSON, a required column',
    tables: `create schema kit; grant usage on schema kit to ${api};
      create type kit.account_role as enum ('owner', 'member');
      create domain kit.number as bigint check (value > 0);
      create table kit.accounts (id kit.number primary key, primary_owner uuid not null references auth.users, slug text not null unique);
      create table kit.account_user (account_id kit.number not null references kit.accounts, user_id uuid not null references auth.users, account_role kit.account_role not null, primary key (account_id, user_id));
      create table public.threads (id uuid primary key default gen_random_uuid(), account_id kit.number not null references kit.accounts, user_id uuid not null references auth.users, title text,
        messages json not null default '[]', metadata json, created_at timestamptz default now(), updated_at timestamptz default now(), endpoint text not null check (endpoint <> ''), link text not null unique);
      insert into auth.users (id) select md5('u' || i)::uuid from generate_series(1, 3) i;
      insert into kit.accounts select i, md5('u' || i)::uuid, 's' || i from generate_series(1, 2) i;
      insert into kit.account_user select a, md5('u' || i)::uuid, case when a = i then 'owner' else 'member' end::kit.account_role from generate_series(1, 3) i, generate_series(1, 2) a;
      insert into public.threads (account_id, user_id, title, messages, endpoint, link) select 1 + i % 2, md5('u' || (i % 3 + 1))::uuid, 't', ${turns}, 'first', 'link ' || i from generate_series(1, 30) i;
      ${granted('public')}; ${granted('kit')}; ${members('kit.account_user')}`,
    init: ['--track', 'conversation-history', '--map-values', 'tenant_users.role=owner:admin,member:user'],
    old: [
      `insert into public.threads (account_id, user_id, messages, endpoint, link) values (1, md5('u2')::uuid, ${turns}, 'first', gen_random_uuid()::text)`,
    ],
    left: 'public.threads s where not exists (select from public.conversations c where c.id = s.id)',
    fresh: [
      // a session of the old application must have an endpoint
      `with opened as (insert into public.conversations (tenant_id, user_id) values (2, md5('u1')::uuid) returning id)
       insert into public.messages (conversation_id, role, content) select id, 'user', 'hello' from opened`,
    ],
  },
]
