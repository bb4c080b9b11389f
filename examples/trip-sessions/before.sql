-- A charter desk: agents, requests, conversations with messages, quotes, and the deprecated chatkit_sessions.
-- The setting demo.messages says how many messages there are, about ten in a conversation.
create table public.iso_agents (id uuid primary key default gen_random_uuid(), clerk_user_id text unique, name text);
create table public.requests (
  id uuid primary key default gen_random_uuid(),
  iso_agent_id uuid references public.iso_agents (id) on delete set null,
  departure_airport text,
  arrival_airport text,
  avinode_trip_id text,
  created_at timestamptz default now()
);
create table public.conversations (
  id uuid primary key default gen_random_uuid(),
  request_id uuid references public.requests (id) on delete set null,
  subject text,
  created_at timestamptz default now()
);
create table public.messages (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null references public.conversations (id) on delete cascade,
  sender_type text,
  content text,
  created_at timestamptz default now()
);
create index messages_conversation on public.messages (conversation_id, created_at);
create table public.quotes (
  id uuid primary key default gen_random_uuid(),
  request_id uuid references public.requests (id) on delete cascade,
  amount numeric
);
create index quotes_request on public.quotes (request_id);
create table public.proposals (id uuid primary key default gen_random_uuid(), request_id uuid references public.requests (id) on delete cascade);

create table public.chatkit_sessions (
  id uuid primary key default gen_random_uuid(),
  iso_agent_id uuid constraint chatkit_sessions_agent_fkey references public.iso_agents (id) on delete cascade,
  chatkit_session_id text not null unique,
  state jsonb default '{}',
  updated_at timestamptz default now()
);
create index idx_chatkit_sessions_agent on public.chatkit_sessions (iso_agent_id);
create function public.touch_chatkit_sessions() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end
$$;
create trigger touch_chatkit_sessions before update on public.chatkit_sessions
  for each row execute function public.touch_chatkit_sessions();
create function public.cleanup_expired_chatkit_sessions() returns int language sql as $$
  with expired as (delete from public.chatkit_sessions where updated_at < now() - interval '30 days' returning 1)
  select count(*)::int from expired
$$;
alter table public.chatkit_sessions enable row level security;
create policy chatkit_own on public.chatkit_sessions for select to authenticated
  using (iso_agent_id in (select a.id from public.iso_agents a where a.clerk_user_id = (select auth.jwt() ->> 'sub')));

do $$
declare
  messages int := coalesce(nullif(current_setting('demo.messages', true), ''), '2000')::int;
  talks int := greatest(10, messages / 10);
begin
  insert into public.iso_agents (id, clerk_user_id, name)
  select md5('agent ' || n)::uuid, 'user_' || n, 'Agent ' || n from generate_series(1, greatest(5, talks / 20)) n;
  insert into public.requests (id, iso_agent_id, departure_airport, arrival_airport, avinode_trip_id, created_at)
  select md5('request ' || n)::uuid, md5('agent ' || (n % greatest(5, talks / 20) + 1))::uuid, 'EDDF', 'KTEB', case when n % 3 = 0 then 'atrip-' || n end,
    timestamptz '2025-01-01 00:00+00' + n * interval '1 hour'
  from generate_series(1, talks) n;
  -- every seventh request is talked about in two conversations
  insert into public.conversations (id, request_id, subject, created_at)
  select md5('conversation ' || n)::uuid, md5('request ' || n)::uuid, 'Trip ' || n, timestamptz '2025-01-01 00:00+00' + n * interval '1 hour'
  from generate_series(1, talks) n;
  insert into public.conversations (id, request_id, subject, created_at)
  select md5('second conversation ' || n)::uuid, md5('request ' || n)::uuid, 'Trip ' || n || ' again', timestamptz '2025-02-01 00:00+00'
  from generate_series(7, talks, 7) n;
  insert into public.messages (id, conversation_id, sender_type, content, created_at)
  select md5('message ' || n)::uuid, md5('conversation ' || (n % talks + 1))::uuid, case when n % 2 = 1 then 'agent' else 'desk' end,
    'About the trip, message ' || n, timestamptz '2025-01-02 00:00+00' + n * interval '53 seconds'
  from generate_series(1, messages) n;
  insert into public.quotes (request_id, amount)
  select md5('request ' || n)::uuid, 1000 * n from generate_series(1, talks, 2) n;
  insert into public.chatkit_sessions (id, iso_agent_id, chatkit_session_id, updated_at)
  select md5('chatkit ' || n)::uuid, md5('agent ' || (n % 5 + 1))::uuid, 'ck_' || n, '2025-01-01 00:00+00' from generate_series(1, 50) n;
end
$$;

-- awkward: a conversation without a request, one whose request has no agent, one without
-- messages, a message without a time
insert into public.conversations (id, request_id, subject) values
  (md5('conversation of no request')::uuid, null, 'Just a chat'),
  (md5('conversation without messages')::uuid, md5('request 1')::uuid, 'Silence');
insert into public.requests (id, iso_agent_id) values (md5('request of no agent')::uuid, null);
insert into public.conversations (id, request_id, subject) values
  (md5('conversation of no agent')::uuid, md5('request of no agent')::uuid, 'Who takes this?');
insert into public.messages (id, conversation_id, sender_type, content, created_at) values
  (md5('message of no time')::uuid, md5('second conversation 7')::uuid, 'agent', 'When?', null);

analyze public.conversations;
analyze public.messages;
