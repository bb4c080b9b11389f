--! title: Create codebase_chat_sessions, closed to everybody but its users
--! phase: expand
--! requires: table auth.users, column auth.users.id uuid, function auth.uid(), role authenticated, role service_role, role anon

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

create table public.codebase_chat_sessions (
  id uuid primary key default gen_random_uuid(),
  session_id text not null constraint codebase_chat_sessions_session_id_key unique,
  user_id uuid,
  repo text,
  current_file text,
  conversation_history jsonb not null default '[]'
    constraint codebase_chat_sessions_history_is_array check (jsonb_typeof(conversation_history) = 'array'),
  context_cache jsonb default '{}',
  metadata jsonb,
  last_activity timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint codebase_chat_sessions_session_id_not_blank check (session_id ~ E'\\S')
);

create index idx_codebase_chat_sessions_user_id on public.codebase_chat_sessions (user_id);
create index idx_codebase_chat_sessions_last_activity on public.codebase_chat_sessions (last_activity desc);
create index idx_codebase_chat_sessions_repo on public.codebase_chat_sessions (repo) where repo is not null;

-- last_activity changes only with the conversation. A debounced save of the cache is no activity.
create function chat_private.touch_codebase_chat_session() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
as $$
begin
  new.updated_at := now();
  if new.conversation_history is distinct from old.conversation_history and new.last_activity = old.last_activity then
    new.last_activity := now();
  end if;
  return new;
end
$$;
revoke all on function chat_private.touch_codebase_chat_session() from public;

create trigger touch_codebase_chat_session
  before update on public.codebase_chat_sessions
  for each row when (old.* is distinct from new.*)
  execute function chat_private.touch_codebase_chat_session();

alter table public.codebase_chat_sessions enable row level security;

-- A session without an owner matches no user. It belongs to the service role, and nobody can claim it through
-- the API.
create policy codebase_chat_sessions_select on public.codebase_chat_sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy codebase_chat_sessions_insert on public.codebase_chat_sessions for insert to authenticated
  with check (user_id = (select auth.uid()));
create policy codebase_chat_sessions_update on public.codebase_chat_sessions for update to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy codebase_chat_sessions_delete on public.codebase_chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()));

revoke all on public.codebase_chat_sessions from public, anon, authenticated;
grant select, insert, update, delete on public.codebase_chat_sessions to authenticated, service_role;

-- Last, because it blocks writes to auth.users until the commit.
alter table public.codebase_chat_sessions
  add constraint codebase_chat_sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade on update cascade;
