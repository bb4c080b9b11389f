--! title: Create chat_sessions for conversations, closed to everybody but their agents
--! phase: expand
--! requires: table public.iso_agents, column public.iso_agents.id uuid, column public.iso_agents.clerk_user_id text|varchar,
--!   table public.conversations, column public.conversations.id uuid, column public.conversations.request_id uuid,
--!   table public.requests, column public.requests.id uuid, column public.requests.iso_agent_id uuid,
--!   table public.messages, column public.messages.conversation_id uuid, column public.messages.created_at timestamptz,
--!   table public.quotes, column public.quotes.id uuid, column public.quotes.request_id uuid,
--!   table public.proposals, column public.proposals.id uuid, column public.proposals.request_id uuid, function auth.jwt(),
--!   role authenticated, role service_role, role anon

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  conversation_id uuid not null,
  request_id uuid,
  iso_agent_id uuid not null,
  status text not null default 'active'
    constraint chat_sessions_status_known check (status in ('active', 'paused', 'completed', 'archived')),
  avinode_trip_id text,
  avinode_rfp_id text,
  avinode_rfq_id text,
  primary_quote_id uuid,
  proposal_id uuid,
  session_started_at timestamptz not null default now(),
  last_activity_at timestamptz not null default now(),
  session_ended_at timestamptz,
  current_step text,
  workflow_state jsonb not null default '{}',
  message_count int not null default 0 constraint chat_sessions_message_count_positive check (message_count >= 0),
  quotes_requested_count int not null default 0 constraint chat_sessions_quotes_requested_positive check (quotes_requested_count >= 0),
  quotes_received_count int not null default 0 constraint chat_sessions_quotes_received_positive check (quotes_received_count >= 0),
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index idx_chat_sessions_trip on public.chat_sessions (avinode_trip_id) where avinode_trip_id is not null;
create index idx_chat_sessions_conversation on public.chat_sessions (conversation_id);
create index idx_chat_sessions_request on public.chat_sessions (request_id);
create index idx_chat_sessions_agent_status on public.chat_sessions (iso_agent_id, status, last_activity_at desc);
create index idx_chat_sessions_activity on public.chat_sessions (last_activity_at desc);
create index idx_chat_sessions_primary_quote on public.chat_sessions (primary_quote_id) where primary_quote_id is not null;
create index idx_chat_sessions_proposal on public.chat_sessions (proposal_id) where proposal_id is not null;

-- Which agent is asking: the one whose Clerk id the token carries.
create function chat_private.current_agent_id() returns uuid
language sql stable security definer
set search_path = ''
set row_security = off
as $$
  select a.id from public.iso_agents a where a.clerk_user_id = (select auth.jwt() ->> 'sub')
$$;
revoke all on function chat_private.current_agent_id() from public;
grant execute on function chat_private.current_agent_id() to authenticated, service_role;

-- Whether that agent may attach a session to a request or conversation: his own
-- request, or one that nobody has.
create function chat_private.can_use_request(request uuid) returns boolean
language sql stable security definer
set search_path = ''
set row_security = off
as $$
  select request is null or exists (
    select from public.requests r
    where r.id = request and (r.iso_agent_id is null or r.iso_agent_id = chat_private.current_agent_id()))
$$;
revoke all on function chat_private.can_use_request(uuid) from public;
grant execute on function chat_private.can_use_request(uuid) to authenticated, service_role;

alter table public.chat_sessions enable row level security;

create policy chat_sessions_select on public.chat_sessions for select to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()));
create policy chat_sessions_insert on public.chat_sessions for insert to authenticated
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_request(request_id));
create policy chat_sessions_update on public.chat_sessions for update to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()))
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_request(request_id));
create policy chat_sessions_delete on public.chat_sessions for delete to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()));

revoke all on public.chat_sessions from public, anon;
grant select, insert, update, delete on public.chat_sessions to authenticated, service_role;

-- What the application calls; each runs with the rights of who calls it.
create function public.create_or_update_chat_session(
  conversation uuid, agent uuid, request uuid default null, session_status text default 'active', step text default null)
returns uuid
language plpgsql security invoker
set search_path = ''
as $$
declare
  found_id uuid;
begin
  -- one at a time for a conversation: two calls at once make one session
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(conversation::text, 0));
  select s.id into found_id
  from public.chat_sessions s
  where s.conversation_id = conversation and s.iso_agent_id = agent
    and (request is null or s.request_id is null or s.request_id = request)
  order by s.created_at desc, s.id
  limit 1;
  if found_id is null then
    insert into public.chat_sessions (conversation_id, iso_agent_id, request_id, status, current_step)
    values (conversation, agent, request, session_status, step)
    returning id into found_id;
  else
    update public.chat_sessions s
    set request_id = coalesce(request, s.request_id), status = session_status,
        current_step = coalesce(step, s.current_step), last_activity_at = now(), updated_at = now()
    where s.id = found_id;
  end if;
  return found_id;
end
$$;

create function public.set_chat_session_trip(
  session uuid, trip_id text default null, rfp_id text default null, rfq_id text default null, request uuid default null, step text default null)
returns void
language sql security invoker
set search_path = ''
as $$
  update public.chat_sessions s
  set avinode_trip_id = coalesce(trip_id, s.avinode_trip_id), avinode_rfp_id = coalesce(rfp_id, s.avinode_rfp_id),
      avinode_rfq_id = coalesce(rfq_id, s.avinode_rfq_id), request_id = coalesce(request, s.request_id),
      current_step = coalesce(step, s.current_step), last_activity_at = now(), updated_at = now()
  where s.id = session
$$;

create function public.touch_chat_session(session uuid) returns void
language sql security invoker
set search_path = ''
as $$
  update public.chat_sessions s set last_activity_at = now(), updated_at = now() where s.id = session
$$;

create function public.complete_chat_session(session uuid) returns void
language sql security invoker
set search_path = ''
as $$
  update public.chat_sessions s
  set status = 'completed', session_ended_at = coalesce(s.session_ended_at, now()), updated_at = now()
  where s.id = session
$$;

create function public.archive_idle_chat_sessions(idle interval) returns int
language sql security invoker
set search_path = ''
as $$
  with archived as (
    update public.chat_sessions s
    set status = 'archived', session_ended_at = coalesce(s.session_ended_at, now()), updated_at = now()
    where s.status <> 'archived' and s.last_activity_at < now() - idle
    returning 1
  )
  select count(*)::int from archived
$$;

revoke all on function public.create_or_update_chat_session(uuid, uuid, uuid, text, text),
  public.set_chat_session_trip(uuid, text, text, text, uuid, text), public.touch_chat_session(uuid),
  public.complete_chat_session(uuid), public.archive_idle_chat_sessions(interval) from public, anon;
grant execute on function public.create_or_update_chat_session(uuid, uuid, uuid, text, text),
  public.set_chat_session_trip(uuid, text, text, text, uuid, text), public.touch_chat_session(uuid),
  public.complete_chat_session(uuid), public.archive_idle_chat_sessions(interval) to authenticated, service_role;

-- Last, because these lock the application's tables against writes until the commit.
alter table public.chat_sessions
  add constraint chat_sessions_conversation_id_fkey foreign key (conversation_id) references public.conversations (id) on delete cascade,
  add constraint chat_sessions_request_id_fkey foreign key (request_id) references public.requests (id) on delete set null,
  add constraint chat_sessions_iso_agent_id_fkey foreign key (iso_agent_id) references public.iso_agents (id) on delete cascade,
  add constraint chat_sessions_primary_quote_id_fkey foreign key (primary_quote_id) references public.quotes (id) on delete set null,
  add constraint chat_sessions_proposal_id_fkey foreign key (proposal_id) references public.proposals (id) on delete set null;
