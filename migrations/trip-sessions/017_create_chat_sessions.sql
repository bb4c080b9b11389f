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

-- The id is the only unique key, and is not scoped by agent. It reveals nothing: it is random, or derived
-- from a conversation's id, which a caller knows already. If a session of another conversation has the
-- derived id, nothing is lost: the conversation's session gets a random id.
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

-- The current agent: the one with the Clerk id of the token.
create function chat_private.current_agent_id() returns uuid
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select a.id from public.iso_agents a where a.clerk_user_id = (select auth.jwt() ->> 'sub')
$$;
revoke all on function chat_private.current_agent_id() from public;
grant execute on function chat_private.current_agent_id() to authenticated, service_role;

-- A row as JSON, whatever columns it has. A json column may hold what jsonb cannot: \u0000, and half of a
-- surrogate pair. Those characters are left out.
create function chat_private.to_jsonb(r anyelement) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return pg_catalog.to_jsonb(r);
exception
  when data_exception then
    return replace(regexp_replace(
      replace(row_to_json(r)::text, E'\\\\', E'\x01'), E'\\\\u(0000|d[89a-f][0-9a-f]{2})', '', 'gi'), E'\x01', E'\\\\')::jsonb;
end
$$;
revoke all on function chat_private.to_jsonb(anyelement) from public;

-- Whether the current agent may use a conversation, request, quote or proposal for a session: their own, or
-- one without an agent. One that does not exist is refused in the same way, before a foreign key is checked.
create function chat_private.can_use_request(request uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select can_use_request.request is null or exists (
    select from public.requests r cross join (select chat_private.current_agent_id() as id offset 0) me
    where r.id = can_use_request.request and me.id is not null
      and case when r.iso_agent_id is not null then r.iso_agent_id = me.id
        else not exists (select from public.chat_sessions s where s.request_id = r.id and s.iso_agent_id <> me.id) end)
$$;
create function chat_private.can_use_conversation(conversation uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select exists (
    select from public.conversations c
    left join public.requests r on r.id = c.request_id
    cross join (select chat_private.current_agent_id() as id offset 0) me
    -- some applications write the agent into the conversation too
    cross join lateral (select coalesce(r.iso_agent_id::text, chat_private.to_jsonb(c.*) ->> 'iso_agent_id') as agent) o
    where c.id = can_use_conversation.conversation and me.id is not null
      and case when o.agent is not null then o.agent = me.id::text
        else not exists (select from public.chat_sessions s where s.conversation_id = c.id and s.iso_agent_id <> me.id) end)
$$;
create function chat_private.can_use_quote(quote uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select can_use_quote.quote is null or exists (
    select from public.quotes q where q.id = can_use_quote.quote and q.request_id is not null and chat_private.can_use_request(q.request_id))
$$;
create function chat_private.can_use_proposal(proposal uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select can_use_proposal.proposal is null or exists (
    select from public.proposals p where p.id = can_use_proposal.proposal and p.request_id is not null and chat_private.can_use_request(p.request_id))
$$;
revoke all on function chat_private.can_use_request(uuid), chat_private.can_use_conversation(uuid), chat_private.can_use_quote(uuid),
  chat_private.can_use_proposal(uuid) from public;
grant execute on function chat_private.can_use_request(uuid), chat_private.can_use_conversation(uuid), chat_private.can_use_quote(uuid),
  chat_private.can_use_proposal(uuid) to authenticated, service_role;

alter table public.chat_sessions enable row level security;

create policy chat_sessions_select on public.chat_sessions for select to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()));
create policy chat_sessions_insert on public.chat_sessions for insert to authenticated
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_conversation(conversation_id)
    and chat_private.can_use_request(request_id) and chat_private.can_use_quote(primary_quote_id) and chat_private.can_use_proposal(proposal_id));
create policy chat_sessions_update on public.chat_sessions for update to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()))
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_conversation(conversation_id)
    and chat_private.can_use_request(request_id) and chat_private.can_use_quote(primary_quote_id) and chat_private.can_use_proposal(proposal_id));
create policy chat_sessions_delete on public.chat_sessions for delete to authenticated
  using (iso_agent_id = (select chat_private.current_agent_id()));

revoke all on public.chat_sessions from public, anon, authenticated;
grant select, insert, update, delete on public.chat_sessions to authenticated, service_role;

-- Functions for the application. They run with the rights of their caller.
create function public.create_or_update_chat_session(
  conversation uuid, agent uuid, request uuid default null, session_status text default 'active', step text default null)
returns uuid
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid;
begin
  -- one at a time for a conversation: two calls at once make one session
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('rethread:session:' || conversation::text, 0));
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
set search_path = pg_catalog, pg_temp
as $$
  update public.chat_sessions s
  set avinode_trip_id = coalesce(trip_id, s.avinode_trip_id), avinode_rfp_id = coalesce(rfp_id, s.avinode_rfp_id),
      avinode_rfq_id = coalesce(rfq_id, s.avinode_rfq_id), request_id = coalesce(request, s.request_id),
      current_step = coalesce(step, s.current_step), last_activity_at = now(), updated_at = now()
  where s.id = session
$$;

create function public.touch_chat_session(session uuid) returns void
language sql security invoker
set search_path = pg_catalog, pg_temp
as $$
  update public.chat_sessions s set last_activity_at = now(), updated_at = now() where s.id = session
$$;

create function public.complete_chat_session(session uuid) returns void
language sql security invoker
set search_path = pg_catalog, pg_temp
as $$
  update public.chat_sessions s
  set status = 'completed', session_ended_at = coalesce(s.session_ended_at, now()), updated_at = now()
  where s.id = session
$$;

create function public.archive_idle_chat_sessions(idle interval) returns int
language sql security invoker
set search_path = pg_catalog, pg_temp
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

-- Conversations and requests whose sessions could not be counted with the application's statement, or did not
-- exist yet. The next write to them counts again, or the backfill 018.
create table chat_private.behind (
  conversation_id uuid,
  request_id uuid,
  -- of a conversation whose sessions could not go along to its new request
  former_request_id uuid,
  operation text not null,
  sqlstate text,
  at timestamptz not null default clock_timestamp()
);
-- a publication of all tables includes it and needs a replica identity
alter table chat_private.behind replica identity full;
create index behind_conversation_id on chat_private.behind (conversation_id);
create index behind_request_id on chat_private.behind (request_id);
revoke all on chat_private.behind from public, anon, authenticated, service_role;

-- Conversations whose last session `rethread prune --delete` has deleted. They get no session again until
-- somebody writes in them. A rollback moves the list to the archive.
create table chat_private.pruned (conversation_id uuid primary key);
revoke all on chat_private.pruned from public, anon, authenticated, service_role;
-- locks: none
do $pruned$
begin
  if to_regclass('rethread_archive.pruned_conversations') is not null then
    execute 'insert into chat_private.pruned (conversation_id) select p.conversation_id from rethread_archive.pruned_conversations p';
  end if;
end
$pruned$;

-- How many times the deprecated table had been read, and when that was recorded. 019 asks for reads since
-- then. Insert another row if the reads were those of a backup, or if the reader was stopped.
create view chat_private.chatkit_usage as
select clock_timestamp() as at, coalesce(sum(t.seq_scan + coalesce(t.idx_scan, 0)), 0)::bigint as reads
from pg_catalog.pg_stat_user_tables t where t.relid = to_regclass('public.chatkit_sessions');
create table chat_private.chatkit_reads (at timestamptz not null, reads bigint not null);
revoke all on chat_private.chatkit_usage, chat_private.chatkit_reads from public, anon, authenticated, service_role;
insert into chat_private.chatkit_reads (at, reads) select u.at, u.reads from chat_private.chatkit_usage u;

-- The first value of these columns that exists and is not blank. Applications have different columns: of a
-- row as JSON, a key that does not exist gives null, not an error.
create function chat_private.first_of(value jsonb, variadic columns text[]) returns text
language sql immutable parallel safe
as $$
  select value ->> c.name from unnest(columns) with ordinality as c (name, n) where btrim(value ->> c.name) <> '' order by c.n limit 1
$$;

-- The ids of a request's trip, RFP, RFQ and chosen quote.
create function chat_private.trip_of(request jsonb) returns text[]
language sql immutable parallel safe
as $$
  select array[
    chat_private.first_of(request, 'avinode_trip_id', 'trip_id'), chat_private.first_of(request, 'avinode_rfp_id', 'rfp_id'),
    chat_private.first_of(request, 'avinode_rfq_id', 'rfq_id'), chat_private.first_of(request, 'primary_quote_id', 'selected_quote_id', 'accepted_quote_id')]
$$;

-- The links of a request to quotes and proposals. The primary quote is the one of the request or of its
-- newest proposal, else the accepted one, else the only one.
create function chat_private.links_of(request uuid)
returns table (trip text, rfp text, rfq text, quote uuid, proposal uuid)
language sql stable
as $$
  select
    coalesce(ids.said[1], (select max(chat_private.first_of(chat_private.to_jsonb(q.*), 'avinode_trip_id', 'trip_id')) from public.quotes q where q.request_id = r.id), p.trip),
    coalesce(ids.said[2], (select max(chat_private.first_of(chat_private.to_jsonb(q.*), 'avinode_rfp_id', 'rfp_id')) from public.quotes q where q.request_id = r.id), p.rfp),
    coalesce(ids.said[3], (select max(chat_private.first_of(chat_private.to_jsonb(q.*), 'avinode_rfq_id', 'rfq_id')) from public.quotes q where q.request_id = r.id), p.rfq),
    (select case when count(*) = 1 or bool_or(x.named) then (array_agg(x.id order by x.named desc, x.id))[1] end
     from (
       select q.id, q.id::text in (ids.said[4], p.quote)
           is true or chat_private.to_jsonb(q.*) ->> 'status' in ('accepted', 'selected', 'booked') is true or (chat_private.to_jsonb(q.*) ->> 'is_primary' = 'true') is true as named
       from public.quotes q where q.request_id = r.id
     ) x),
    p.id
  from public.requests r
  cross join lateral (select chat_private.trip_of(chat_private.to_jsonb(r.*)) as said) ids
  left join lateral (
    select o.id, chat_private.first_of(chat_private.to_jsonb(o.*), 'avinode_trip_id', 'trip_id') as trip, chat_private.first_of(chat_private.to_jsonb(o.*), 'avinode_rfp_id', 'rfp_id') as rfp,
      chat_private.first_of(chat_private.to_jsonb(o.*), 'avinode_rfq_id', 'rfq_id') as rfq, chat_private.first_of(chat_private.to_jsonb(o.*), 'quote_id', 'primary_quote_id') as quote
    from public.proposals o where o.request_id = r.id
    order by chat_private.to_jsonb(o.*) ->> 'created_at' desc nulls last, o.id desc limit 1
  ) p on true
  where r.id = links_of.request
$$;

-- A row for the session of a conversation without one; none if the conversation has no agent. The id is
-- always the same, so nothing is created twice. A trigger fills the other columns.
create function chat_private.new_session(conversation uuid)
returns table (id uuid, conversation_id uuid, request_id uuid, iso_agent_id uuid, started_at timestamptz, last_at timestamptz)
language sql stable
as $$
  select
    case when exists (select from public.chat_sessions o where o.id = l.id) then gen_random_uuid() else l.id end,
    c.id, r.id, a.id, coalesce(m.first_at, t.asked_at, now()), coalesce(m.last_at, t.asked_at, now())
  from public.conversations c
  join public.requests r on r.id = c.request_id
  join public.iso_agents a on a.id = r.iso_agent_id
  cross join lateral (select md5('rethread:legacy:' || c.id)::uuid as id) l
  cross join lateral (
    select min(x.created_at) as first_at, max(x.created_at) as last_at from public.messages x where x.conversation_id = c.id
  ) m
  cross join lateral (
    select case when chat_private.to_jsonb(r.*) ->> 'created_at' ~ E'^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d' then (chat_private.to_jsonb(r.*) ->> 'created_at')::timestamptz end as asked_at
  ) t
  where c.id = new_session.conversation
$$;

-- Records, once, that sessions of a conversation or request must be counted again. A recount deletes the
-- record first; the lock makes it wait until the change is visible.
create function chat_private.note_behind(conversation uuid, request uuid, operation text, sqlstate text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from chat_private.behind b where b.conversation_id = conversation or b.request_id = request for key share;
  if not found then
    insert into chat_private.behind (conversation_id, request_id, operation, sqlstate) values (conversation, request, operation, sqlstate);
  end if;
end
$$;

-- Counts the messages and quotes of a conversation's sessions again, and of sessions that share a request
-- with them. Copies missing links of the request.
create function chat_private.catch_up(conversation uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  sessions uuid[];
begin
  sessions := array(
    select s.id from public.chat_sessions s
    where s.conversation_id = conversation
      or s.request_id in (select o.request_id from public.chat_sessions o where o.conversation_id = conversation)
    order by s.id);
  perform from public.chat_sessions s where s.id = any (sessions) order by s.id for no key update;
  -- the note of what is done here goes: where it fails, it must not be noted again, but raise
  perform set_config('rethread.catching_up', 'on', true);
  update public.chat_sessions s
  set request_id = c.request_id
  from public.conversations c
  where c.id = conversation and s.conversation_id = c.id and s.request_id is distinct from c.request_id
    and exists (
      select from chat_private.behind b
      where b.conversation_id = c.id and b.operation = 'UPDATE of conversations' and b.former_request_id is not distinct from s.request_id);
  delete from chat_private.behind b
  where b.conversation_id = conversation
    or b.request_id in (select o.request_id from public.chat_sessions o where o.conversation_id = conversation);
  perform set_config('rethread.catching_up', '', true);
  -- a session that is counted rightly is left alone
  update public.chat_sessions s
  set message_count = v.messages, last_activity_at = v.active_at, quotes_received_count = v.quotes, iso_agent_id = v.agent,
    avinode_trip_id = v.trip, avinode_rfp_id = v.rfp, avinode_rfq_id = v.rfq, primary_quote_id = v.quote, proposal_id = v.proposal
  from public.chat_sessions t
  left join public.requests r on r.id = t.request_id
  left join public.iso_agents a on a.id = r.iso_agent_id
  left join lateral chat_private.links_of(r.id) k on true
  cross join lateral (select count(*) as n, max(x.created_at) as last_at from public.messages x where x.conversation_id = t.conversation_id) m
  cross join lateral (select count(*) as n from public.quotes x where x.request_id = t.request_id) q
  cross join lateral (
    select m.n as messages, greatest(t.last_activity_at, m.last_at) as active_at, q.n as quotes,
      coalesce(a.id, t.iso_agent_id) as agent, coalesce(t.avinode_trip_id, k.trip) as trip,
      coalesce(t.avinode_rfp_id, k.rfp) as rfp, coalesce(t.avinode_rfq_id, k.rfq) as rfq,
      coalesce((select z.id from public.quotes z where z.id = t.primary_quote_id and z.request_id = t.request_id), k.quote) as quote,
      coalesce((select p.id from public.proposals p where p.id = t.proposal_id and p.request_id = t.request_id), k.proposal) as proposal
  ) v
  where t.id = s.id and s.id = any (sessions)
    and (t.message_count, t.last_activity_at, t.quotes_received_count, t.iso_agent_id, t.avinode_trip_id, t.avinode_rfp_id,
      t.avinode_rfq_id, t.primary_quote_id, t.proposal_id)
    is distinct from (v.messages, v.active_at, v.quotes, v.agent, v.trip, v.rfp, v.rfq, v.quote, v.proposal);
end
$$;

-- For a restore: a session follows its conversation, whose request may have changed, and is counted again. A
-- session to which the new application gave its own request keeps it, unless that now belongs to another
-- agent than the conversation.
create function chat_private.catch_up_session(session uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  is_noted constant boolean := to_regclass('rethread_archive.own_requests') is not null;
  has_own boolean;
begin
  if is_noted then
    execute 'select exists (select from rethread_archive.own_requests o where o.session_id = $1)' into has_own using session;
  end if;
  perform set_config('rethread.catching_up', 'on', true);
  update public.chat_sessions s
  set request_id = c.request_id
  from public.conversations c
  left join public.requests r on r.id = c.request_id
  where s.id = session and c.id = s.conversation_id and s.request_id is distinct from c.request_id
    and (not has_own or r.iso_agent_id <> coalesce((select o.iso_agent_id from public.requests o where o.id = s.request_id), s.iso_agent_id));
  perform set_config('rethread.catching_up', '', true);
  perform chat_private.catch_up(s.conversation_id) from public.chat_sessions s where s.id = session;
end
$$;

-- For the backfill: false if a conversation has no session yet. If it has one and is behind, it is brought up
-- to date.
create function chat_private.has_caught_up(conversation uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from public.chat_sessions s where s.conversation_id = conversation) then
    return false;
  end if;
  if exists (
    select from chat_private.behind b
    where b.conversation_id = conversation
      or b.request_id in (select s.request_id from public.chat_sessions s where s.conversation_id = conversation)
  ) then
    perform chat_private.catch_up(conversation);
  end if;
  return true;
end
$$;

-- Whether the application's statement has used so much of the time that its statement_timeout gives it.
-- When half of it is used, the triggers put off the rest of their work. What the server cancels because all
-- is used (a tenth is for what came before the statement's own clock) does not fail the statement, which
-- would have been in time without them; it cancels once. Whoever cancels a statement themselves is obeyed.
create function chat_private.has_used_time(share numeric) returns boolean
language sql
as $$
  select current_setting('statement_timeout')::interval > '0'
    and clock_timestamp() - statement_timestamp() >= share::float8 * current_setting('statement_timeout')::interval
$$;
revoke all on function chat_private.has_used_time(numeric) from public;

-- Waits for whoever is counting into other sessions of a conversation or request, but not for as long as a
-- deadlock takes to be found; false where that was too short.
create function chat_private.wait_for_sessions(session uuid, conversation uuid, request uuid) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '300ms'
as $$
begin
  perform from public.chat_sessions s
  where s.id <> session and (s.conversation_id = conversation or s.request_id = request)
  order by s.id for no key update;
  return true;
exception
  when lock_not_available or deadlock_detected or query_canceled then
    if sqlstate = '57014' then
      if not chat_private.has_used_time(0.9) then
        raise;
      end if;
    end if;
    return false;
end
$$;

-- Makes the counters of a session those of its rows on every write. Missing links to the request's trip,
-- quotes and proposals are copied, and follow the request, as does the agent. If a transaction is counting
-- into other sessions of the conversation or request, neither sees the other's rows: this waits for it, or
-- records that. It stores which statement has counted, because messages of the same statement may be included
-- and must not be added again. Never fails the statement: a session that cannot be counted now is noted.
create function chat_private.count_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
declare
  link record;
  former record;
  locked bigint;
  others bigint;
  given constant record := new;
  may_lock boolean := false;
  is_placed constant boolean := tg_op = 'INSERT' or (new.conversation_id, new.request_id) is distinct from (old.conversation_id, old.request_id);
begin
  if is_placed then
    -- with what this function may not lock the foreign keys do, which need no right of its owner
    select bool_and(coalesce(has_table_privilege(t, 'SELECT') and has_table_privilege(t, 'UPDATE') and not row_security_active(t), false)) into may_lock
    from unnest(array[
      to_regclass('public.conversations'), to_regclass('public.requests'), to_regclass('public.quotes'), to_regclass('public.proposals')]::oid[]) t;
  end if;
  if may_lock then
    -- before the sessions, as a deletion takes them: what the foreign keys would wait for at the end
    perform from public.conversations c where c.id = new.conversation_id for key share;
    perform from public.requests r where r.id = new.request_id for key share;
    perform from public.quotes q where q.id = new.primary_quote_id for key share;
    perform from public.proposals p where p.id = new.proposal_id for key share;
  end if;
  -- the block locks nothing where nobody else counts: its subtransaction would lock each row again
  begin
    if is_placed then
      delete from chat_private.pruned p where p.conversation_id = new.conversation_id;
      perform from public.chat_sessions s
      where s.id <> new.id and (s.conversation_id = new.conversation_id or s.request_id = new.request_id)
      for no key update skip locked;
      get diagnostics locked = row_count;
      select count(*) into others from public.chat_sessions s
      where s.id <> new.id and (s.conversation_id = new.conversation_id or s.request_id = new.request_id);
      if others = 0 then
        delete from chat_private.behind b where b.conversation_id = new.conversation_id or b.request_id = new.request_id;
      elsif tg_op = 'INSERT' and not exists (
        select from public.chat_sessions s where s.id <> new.id and s.conversation_id = new.conversation_id
      ) then
        delete from chat_private.behind b where b.conversation_id = new.conversation_id;
      end if;
      if locked < others and not chat_private.wait_for_sessions(new.id, new.conversation_id, new.request_id) then
        insert into chat_private.behind (conversation_id, request_id, operation)
        values (new.conversation_id, null, tg_op || ' of chat_sessions'), (null, new.request_id, tg_op || ' of chat_sessions');
      end if;
      if tg_op = 'UPDATE' and new.request_id is distinct from old.request_id then
        select * into former from chat_private.links_of(old.request_id);
        if old.avinode_trip_id = former.trip and new.avinode_trip_id = old.avinode_trip_id then new.avinode_trip_id := null; end if;
        if old.avinode_rfp_id = former.rfp and new.avinode_rfp_id = old.avinode_rfp_id then new.avinode_rfp_id := null; end if;
        if old.avinode_rfq_id = former.rfq and new.avinode_rfq_id = old.avinode_rfq_id then new.avinode_rfq_id := null; end if;
        if new.primary_quote_id = old.primary_quote_id
          and not exists (select from public.quotes q where q.id = new.primary_quote_id and q.request_id = new.request_id) then
          new.primary_quote_id := null;
        end if;
        if new.proposal_id = old.proposal_id
          and not exists (select from public.proposals p where p.id = new.proposal_id and p.request_id = new.request_id) then
          new.proposal_id := null;
        end if;
      end if;
      select * into link from chat_private.links_of(new.request_id);
      new.avinode_trip_id := coalesce(new.avinode_trip_id, link.trip);
      new.avinode_rfp_id := coalesce(new.avinode_rfp_id, link.rfp);
      new.avinode_rfq_id := coalesce(new.avinode_rfq_id, link.rfq);
      new.iso_agent_id := coalesce((select r.iso_agent_id from public.requests r where r.id = new.request_id), new.iso_agent_id);
    end if;
    select count(*), greatest(new.last_activity_at, max(m.created_at)) into new.message_count, new.last_activity_at
    from public.messages m where m.conversation_id = new.conversation_id;
    new.quotes_received_count := (select count(*) from public.quotes q where q.request_id = new.request_id);
    perform set_config('rethread.counted', chat_private.this_statement(), true);
  exception
    when query_canceled or assert_failure or others then
      -- a batch of the backfill is tried again
      if current_setting('rethread.catching_up', true) = 'on' or current_setting('rethread.batch_at_work', true) <> '' then
        raise;
      end if;
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (conversation_id, operation, sqlstate)
        values (given.conversation_id, tg_op || ' of chat_sessions', sqlstate);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
      return given;
  end;
  if may_lock then
    -- what is being deleted is not waited for
    new.primary_quote_id := coalesce(new.primary_quote_id, (select q.id from public.quotes q where q.id = link.quote for key share skip locked));
    new.proposal_id := coalesce(new.proposal_id, (select p.id from public.proposals p where p.id = link.proposal for key share skip locked));
  end if;
  return new;
end
$$;

-- The current statement, as the application has sent it. Everything in a function is one statement.
create function chat_private.this_statement() returns text
language sql stable
as $$ select concat_ws(' ', extract(epoch from statement_timestamp()), pg_current_xact_id()) $$;

-- Records the conversations that prune leaves without a session. If a person deletes a session, it is created
-- again.
create function chat_private.note_pruned() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
begin
  insert into chat_private.pruned (conversation_id)
  select c.id from public.conversations c
  where c.id = old.conversation_id and not exists (select from public.chat_sessions s where s.conversation_id = c.id)
  on conflict do nothing;
  return null;
end
$$;

-- Creates sessions for those of the conversations that have an agent and no session.
create function chat_private.open_sessions(conversations uuid[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into public.chat_sessions
    (id, conversation_id, request_id, iso_agent_id, session_started_at, last_activity_at, created_at, updated_at)
  select n.id, n.conversation_id, n.request_id, n.iso_agent_id, n.started_at, n.last_at, n.started_at, n.last_at
  from unnest(conversations) c (id)
  cross join lateral chat_private.new_session(c.id) n
  where not exists (select from public.chat_sessions s where s.conversation_id = c.id)
  on conflict (id) do nothing
$$;

-- After new conversations: creates their sessions. Like all following functions it never fails the
-- application's statement: what cannot be done now is recorded, and the backfill does it.
create function chat_private.follow_conversations() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  opened uuid[];
begin
  begin
    opened := array(select n.id from new_rows n where n.request_id is not null);
    perform chat_private.open_sessions(opened);
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (conversation_id, operation, sqlstate)
        select o.id, 'INSERT of conversations', sqlstate from unnest(opened) o (id);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- After a conversation has got another request: its sessions of the former one follow, to the agent of the
-- new one.
create function chat_private.follow_request_of_conversation() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  begin
    -- first, because it waits where the backfill is just making one, of the former request
    perform chat_private.open_sessions(array[new.id]);
    -- a session whose links cannot follow is left with its request, and noted here
    perform set_config('rethread.catching_up', 'on', true);
    update public.chat_sessions s
    set request_id = new.request_id, updated_at = now()
    where s.conversation_id = new.id and s.request_id is not distinct from old.request_id;
    perform set_config('rethread.catching_up', '', true);
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (conversation_id, former_request_id, operation, sqlstate)
        values (new.id, old.request_id, 'UPDATE of conversations', sqlstate);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- After requests have got another agent or other ids of the trip: their sessions follow. Values that the new
-- application has set itself stay.
create function chat_private.follow_requests() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
#variable_conflict use_variable
declare
  changed uuid[];
  one uuid;
begin
  begin
    changed := array(
      select n.id from new_rows n join old_rows o on o.id = n.id
      where n.iso_agent_id is distinct from o.iso_agent_id
        or chat_private.trip_of(chat_private.to_jsonb(n.*)) is distinct from chat_private.trip_of(chat_private.to_jsonb(o.*)));
    if cardinality(changed) = 0 then
      return null;
    end if;
    perform from public.chat_sessions s where s.request_id = any (changed) order by s.id for no key update;
    update public.chat_sessions s
    set iso_agent_id = coalesce(n.iso_agent_id, s.iso_agent_id), updated_at = now(),
      avinode_trip_id = case when s.avinode_trip_id = x.old_ids[1] then x.ids[1] else coalesce(s.avinode_trip_id, x.ids[1]) end,
      avinode_rfp_id = case when s.avinode_rfp_id = x.old_ids[2] then x.ids[2] else coalesce(s.avinode_rfp_id, x.ids[2]) end,
      avinode_rfq_id = case when s.avinode_rfq_id = x.old_ids[3] then x.ids[3] else coalesce(s.avinode_rfq_id, x.ids[3]) end,
      primary_quote_id = coalesce(s.primary_quote_id, (select k.quote from chat_private.links_of(n.id) k))
    from new_rows n join old_rows o on o.id = n.id
    cross join lateral (select chat_private.trip_of(chat_private.to_jsonb(o.*)) as old_ids, chat_private.trip_of(chat_private.to_jsonb(n.*)) as ids) x
    where s.request_id = n.id and n.id = any (changed);
    if exists (select from new_rows n join old_rows o on o.id = n.id where o.iso_agent_id is null and n.iso_agent_id is not null) then
      perform chat_private.open_sessions(array(
        select c.id from public.conversations c
        where c.request_id in (select n.id from new_rows n join old_rows o on o.id = n.id where o.iso_agent_id is null and n.iso_agent_id is not null)));
    end if;
    foreach one in array changed loop
      if not exists (select from public.chat_sessions s where s.request_id = one) then
        perform chat_private.note_behind(null, one, 'UPDATE of requests', null);
      end if;
    end loop;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (request_id, operation, sqlstate)
        select n.id, 'UPDATE of requests', sqlstate from new_rows n;
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- After a statement has written, changed or deleted messages: one update for each session concerned, and none
-- for a message whose conversation and time stay. If the message with the last activity was deleted, the
-- newest remaining one counts.
create function chat_private.follow_messages() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  conversations uuid[];
  deltas bigint[];
  came timestamptz[];
  gone timestamptz[];
  counted uuid[];
  one record;
  is_counted boolean;
  sees_all constant boolean := current_setting('transaction_isolation') = 'read committed';
begin
  begin
    is_counted := coalesce(current_setting('rethread.counted', true), '') = chat_private.this_statement();
    if tg_op = 'INSERT' then
      select array_agg(x.id), array_agg(x.n), array_agg(x.came), array_agg(null::timestamptz) into conversations, deltas, came, gone
      from (select n.conversation_id as id, count(*) as n, max(n.created_at) as came from new_rows n where n.conversation_id is not null group by 1) x;
    elsif tg_op = 'DELETE' then
      select array_agg(x.id), array_agg(- x.n), array_agg(null::timestamptz), array_agg(x.gone) into conversations, deltas, came, gone
      from (select o.conversation_id as id, count(*) as n, max(o.created_at) as gone from old_rows o where o.conversation_id is not null group by 1) x;
    else
      select array_agg(x.id), array_agg(x.n), array_agg(x.came), array_agg(x.gone) into conversations, deltas, came, gone
      from (
        select w.id, sum(w.n)::bigint as n, max(w.came) as came, max(w.gone) as gone
        from (
          select n.conversation_id as id, 1 as n, n.created_at as came, null::timestamptz as gone from new_rows n
          union all
          select o.conversation_id, -1, null, o.created_at from old_rows o
        ) w
        where w.id is not null
        group by w.id
        having sum(w.n) <> 0 or max(w.came) is distinct from max(w.gone)
      ) x;
    end if;
    if conversations is null then
      return null;
    end if;
    with kept as (
      update public.chat_sessions s
      set message_count = s.message_count + c.n, updated_at = now(),
        last_activity_at = greatest(c.came, case when c.gone >= s.last_activity_at
          then coalesce((select max(m.created_at) from public.messages m where m.conversation_id = s.conversation_id), s.session_started_at)
          else s.last_activity_at end)
      from unnest(conversations, deltas, came, gone) as c (id, n, came, gone)
      where s.conversation_id = c.id
      returning s.conversation_id
    )
    select array_agg(k.conversation_id) into counted from kept k;
    -- a second look: a session may have come while this waited for another one, or in this very statement, or
    -- none is there yet
    for one in
      select c.id, s.n
      from unnest(conversations) c (id)
      left join (select k.id, count(*) as n from unnest(counted) k (id) group by 1) k on k.id = c.id
      cross join lateral (select count(*) as n from public.chat_sessions x where x.conversation_id = c.id) s
      where s.n = 0 or is_counted or s.n is distinct from k.n or exists (select from chat_private.behind b where b.conversation_id = c.id)
      order by 1
    loop
      -- an older snapshot cannot see what others have counted meanwhile
      if one.n > 0 and (sees_all or is_counted) then
        perform chat_private.catch_up(one.id);
      end if;
      if (one.n = 0 or not sees_all) and exists (select from public.conversations c where c.id = one.id) then
        perform chat_private.note_behind(one.id, null, tg_op || ' of messages', null);
        if tg_op <> 'DELETE' then
          delete from chat_private.pruned p where p.conversation_id = one.id;
        end if;
      end if;
    end loop;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (conversation_id, operation, sqlstate)
        select c.id, tg_op || ' of messages', sqlstate from unnest(conversations) c (id);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- After all messages are truncated, for which the server fires no other trigger. No session counts any then.
create function chat_private.follow_truncation() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
begin
  begin
    update public.chat_sessions s set message_count = 0, updated_at = now() where s.message_count <> 0;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (conversation_id, operation, sqlstate)
        select distinct s.conversation_id, 'TRUNCATE of messages', sqlstate from public.chat_sessions s where s.message_count <> 0;
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- After changes of quotes and proposals: the number of quotes, and missing links of sessions. A primary quote
-- or proposal that moves to another request is replaced by one of the others.
create function chat_private.follow_quotes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
set lock_timeout = '300ms'
as $$
declare
  requests uuid[];
  moved text[];
  one uuid;
begin
  begin
    if tg_op = 'INSERT' then
      requests := array(select distinct n.request_id from new_rows n where n.request_id is not null);
    elsif tg_op = 'DELETE' then
      requests := array(select distinct o.request_id from old_rows o join public.requests r on r.id = o.request_id);
    else
      requests := array(
        select n.request_id from new_rows n where n.request_id is not null
        union select o.request_id from old_rows o join public.requests r on r.id = o.request_id);
      moved := array(select n.id::text from new_rows n join old_rows o on o.id = n.id where n.request_id is distinct from o.request_id);
    end if;
    perform from public.chat_sessions s where s.request_id = any (requests) order by s.id for no key update;
    update public.chat_sessions s
    set quotes_received_count = x.n, updated_at = now(),
      avinode_trip_id = x.trip, avinode_rfp_id = x.rfp, avinode_rfq_id = x.rfq, primary_quote_id = x.quote, proposal_id = x.proposal
    from (
      select o.id, q.n, coalesce(o.avinode_trip_id, k.trip) as trip, coalesce(o.avinode_rfp_id, k.rfp) as rfp, coalesce(o.avinode_rfq_id, k.rfq) as rfq,
        case when o.primary_quote_id::text = any (moved) then k.quote else coalesce(o.primary_quote_id, k.quote) end as quote,
        case when o.proposal_id::text = any (moved) then k.proposal else coalesce(o.proposal_id, k.proposal) end as proposal
      from public.chat_sessions o
      cross join lateral chat_private.links_of(o.request_id) k
      cross join lateral (select count(*) as n from public.quotes y where y.request_id = o.request_id) q
      where o.request_id = any (requests)
    ) x
    where s.id = x.id
      and (s.quotes_received_count, s.avinode_trip_id, s.avinode_rfp_id, s.avinode_rfq_id, s.primary_quote_id, s.proposal_id)
        is distinct from (x.n, x.trip, x.rfp, x.rfq, x.quote, x.proposal);
    foreach one in array requests loop
      if current_setting('transaction_isolation') <> 'read committed' or not exists (select from public.chat_sessions s where s.request_id = one) then
        perform chat_private.note_behind(null, one, format('%s of %s', tg_op, tg_table_name), null);
      else
        perform chat_private.catch_up(s.conversation_id)
        from (select x.conversation_id from public.chat_sessions x where x.request_id = one limit 1) s
        where exists (select from chat_private.behind b where b.request_id = one);
      end if;
    end loop;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.behind (request_id, operation, sqlstate)
        select r.id, format('%s of %s', tg_op, tg_table_name), sqlstate from unnest(requests) r (id);
      exception
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return null;
end
$$;

-- The application must not call any of these.
revoke all on function
  chat_private.first_of(jsonb, text[]), chat_private.links_of(uuid), chat_private.trip_of(jsonb), chat_private.new_session(uuid), chat_private.note_behind(uuid, uuid, text, text),
  chat_private.catch_up(uuid), chat_private.catch_up_session(uuid), chat_private.has_caught_up(uuid), chat_private.wait_for_sessions(uuid, uuid, uuid), chat_private.count_session(), chat_private.this_statement(), chat_private.note_pruned(), chat_private.open_sessions(uuid[]),
  chat_private.follow_conversations(), chat_private.follow_request_of_conversation(), chat_private.follow_requests(), chat_private.follow_messages(),
  chat_private.follow_truncation(), chat_private.follow_quotes() from public;

create trigger rethread_count_session before insert on public.chat_sessions
  for each row execute function chat_private.count_session();
-- A counter that is set by hand is counted again. Those that the triggers below set are right already.
create trigger rethread_recount_session before update on public.chat_sessions
  for each row
  when (old.conversation_id is distinct from new.conversation_id or old.request_id is distinct from new.request_id
    or pg_trigger_depth() = 0 and (old.message_count is distinct from new.message_count
      or old.quotes_received_count is distinct from new.quotes_received_count or new.last_activity_at < old.last_activity_at))
  execute function chat_private.count_session();
create trigger rethread_note_pruned after delete on public.chat_sessions
  for each row when (current_setting('rethread.pruning', true) = 'on')
  execute function chat_private.note_pruned();

-- Last, because these block writes to the application's tables until the commit.
alter table public.chat_sessions
  add constraint chat_sessions_conversation_id_fkey foreign key (conversation_id) references public.conversations (id) on delete cascade on update cascade,
  add constraint chat_sessions_request_id_fkey foreign key (request_id) references public.requests (id) on delete set null on update cascade,
  add constraint chat_sessions_iso_agent_id_fkey foreign key (iso_agent_id) references public.iso_agents (id) on delete cascade on update cascade,
  add constraint chat_sessions_primary_quote_id_fkey foreign key (primary_quote_id) references public.quotes (id) on delete set null on update cascade,
  add constraint chat_sessions_proposal_id_fkey foreign key (proposal_id) references public.proposals (id) on delete set null on update cascade;

create trigger rethread_follow_conversations after insert on public.conversations
  referencing new table as new_rows for each statement execute function chat_private.follow_conversations();
create trigger rethread_follow_request_of_conversation after update of request_id on public.conversations
  for each row when (old.request_id is distinct from new.request_id) execute function chat_private.follow_request_of_conversation();
create trigger rethread_follow_requests after update on public.requests
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_requests();
create trigger rethread_follow_added_messages after insert on public.messages
  referencing new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_changed_messages after update on public.messages
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_deleted_messages after delete on public.messages
  referencing old table as old_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_truncated_messages after truncate on public.messages
  for each statement execute function chat_private.follow_truncation();
create trigger rethread_follow_added_quotes after insert on public.quotes
  referencing new table as new_rows for each statement execute function chat_private.follow_quotes();
create trigger rethread_follow_changed_quotes after update on public.quotes
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_quotes();
create trigger rethread_follow_deleted_quotes after delete on public.quotes
  referencing old table as old_rows for each statement execute function chat_private.follow_quotes();
create trigger rethread_follow_added_proposals after insert on public.proposals
  referencing new table as new_rows for each statement execute function chat_private.follow_quotes();
create trigger rethread_follow_changed_proposals after update on public.proposals
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_quotes();
create trigger rethread_follow_deleted_proposals after delete on public.proposals
  referencing old table as old_rows for each statement execute function chat_private.follow_quotes();
