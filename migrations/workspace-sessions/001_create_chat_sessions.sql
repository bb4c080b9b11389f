--! title: Create chat_sessions, closed to everybody but its users
--! phase: expand
--! requires: table public.workspaces, column public.workspaces.id uuid, column public.workspaces.owner_id uuid,
--!   table public.chats, column public.chats.id uuid|bigint|integer|text, column public.chats.role, column public.chats.created_at timestamptz|timestamp|date,
--!   column public.chats.workspace_id uuid, column public.chats.user_id uuid, column public.chats.message,
--!   table auth.users, column auth.users.id uuid, function auth.uid(), function public.update_updated_at(),
--!   role authenticated, role service_role, role anon

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

-- Which workspace a message belongs to. With the setting null_workspace, messages without one go there.
create function chat_private.session_workspace(workspace_id uuid) returns uuid
language sql immutable parallel safe
as $$ select workspace_id $$;

-- The id of the legacy session of a message: always the same, so nothing is ever made twice. Of version 8,
-- which no application makes by chance: those ids are kept for us (reserve_legacy_ids).
create function chat_private.legacy_session_id(workspace_id uuid, author_id uuid) returns uuid
language sql immutable parallel safe
as $$ select overlay(pg_catalog.md5('rethread:legacy:' || chat_private.session_workspace(workspace_id)::text) placing '8' from 13)::uuid $$;

-- The author as far as they count for the grouping: not at all, unless each author gets their own session.
create function chat_private.legacy_author(author_id uuid) returns uuid
language sql immutable parallel safe
as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;

-- locks: none
do $settings$
declare
  grouping text := coalesce(nullif(current_setting('rethread.legacy_grouping', true), ''), 'workspace');
  fallback text := nullif(current_setting('rethread.null_workspace', true), '');
begin
  if grouping not in ('workspace', 'author') then
    raise exception 'setting legacy_grouping is "%"; it can be workspace or author', grouping;
  end if;
  if fallback is not null then
    execute format($f$
      create or replace function chat_private.session_workspace(workspace_id uuid) returns uuid
      language sql immutable parallel safe
      as $$ select coalesce(workspace_id, %L::uuid) $$ $f$, fallback);
  end if;
  if grouping = 'author' then
    create or replace function chat_private.legacy_session_id(workspace_id uuid, author_id uuid) returns uuid
    language sql immutable parallel safe
    as $$
      select overlay(pg_catalog.md5('rethread:legacy:' || chat_private.session_workspace(workspace_id)::text
        || ':' || coalesce(author_id::text, '')) placing '8' from 13)::uuid
    $$;
    create or replace function chat_private.legacy_author(author_id uuid) returns uuid
    language sql immutable parallel safe
    as $$ select coalesce(author_id, '00000000-0000-0000-0000-000000000000'::uuid) $$;
  end if;
end
$settings$;

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  workspace_id uuid not null,
  user_id uuid not null,
  title text not null default 'New Chat' constraint chat_sessions_title_not_blank check (title ~ '\S'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

create index idx_chat_sessions_workspace_id on public.chat_sessions (workspace_id);
create index idx_chat_sessions_user_id on public.chat_sessions (user_id);
create index idx_chat_sessions_created_at on public.chat_sessions (created_at desc);
create index idx_chat_sessions_active on public.chat_sessions (workspace_id, updated_at desc) where deleted_at is null;

-- A backfill sets both times itself; only a change that leaves updated_at alone is stamped.
create trigger update_chat_sessions_updated_at
  before update on public.chat_sessions
  for each row
  when (new.updated_at = old.updated_at
    and (new.title is distinct from old.title or new.deleted_at is distinct from old.deleted_at))
  execute function public.update_updated_at();

-- Whoever knows a workspace knows the id of its legacy session: somebody who took it first would get the
-- messages of others. Asked of those whom the policies bind.
create function chat_private.reserve_legacy_ids() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'ids of version 8 belong to legacy sessions, which stay in their workspace: let the database choose the id'
    using errcode = 'insufficient_privilege', schema = 'public', table = 'chat_sessions', column = 'id';
end
$$;
revoke all on function chat_private.reserve_legacy_ids() from public;
create trigger rethread_reserve_ids_on_insert
  before insert on public.chat_sessions
  for each row when (substr(new.id::text, 15, 1) = '8' and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.reserve_legacy_ids();
create trigger rethread_reserve_ids_on_update
  before update of id, workspace_id on public.chat_sessions
  for each row when ('8' in (substr(old.id::text, 15, 1), substr(new.id::text, 15, 1))
    and (new.id <> old.id or new.workspace_id <> old.workspace_id) and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.reserve_legacy_ids();

-- Who may use a workspace: its owner, and who has written there. Replace the body with
-- your own membership rule.
create function chat_private.can_use_workspace(workspace uuid) returns boolean
language sql stable security definer
set search_path = ''
set row_security = off
as $$
  select exists (
      select from public.workspaces w
      where w.id = workspace and w.owner_id = (select auth.uid())
    )
    or exists (
      select from public.chats c
      where c.workspace_id = workspace and c.user_id = (select auth.uid())
    )
$$;
revoke all on function chat_private.can_use_workspace(uuid) from public;
grant execute on function chat_private.can_use_workspace(uuid) to authenticated, service_role;

alter table public.chat_sessions enable row level security;

create policy chat_sessions_select on public.chat_sessions for select to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
create policy chat_sessions_insert on public.chat_sessions for insert to authenticated
  with check (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
create policy chat_sessions_update on public.chat_sessions for update to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id))
  with check (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
create policy chat_sessions_delete on public.chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));

revoke all on public.chat_sessions from public, anon, authenticated;
grant select, insert, update, delete on public.chat_sessions to authenticated, service_role;

-- Last, because these lock workspaces and auth.users against writes until the commit.
alter table public.chat_sessions
  add constraint chat_sessions_workspace_id_fkey foreign key (workspace_id) references public.workspaces (id) on delete cascade;
alter table public.chat_sessions
  add constraint chat_sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade;
