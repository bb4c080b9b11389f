--! title: Create chat_sessions, closed to everybody but its users
--! phase: expand
--! requires: table public.workspaces, column public.workspaces.id uuid, column public.workspaces.owner_id uuid,
--!   table public.chats, column public.chats.id uuid|bigint|integer|text, column public.chats.role any, column public.chats.created_at timestamptz|date,
--!   column public.chats.workspace_id uuid, column public.chats.user_id uuid, column public.chats.message any,
--!   table auth.users, column auth.users.id uuid, function auth.uid(), function public.update_updated_at(),
--!   role authenticated, role service_role, role anon

-- Messages without a key are identified by their values. Of two equal ones without a session, the quarantine
-- could keep only one.
-- locks: none
do $alike$
declare
  alike bigint;
  named constant text := (
    select format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = 'public.chats'::regclass);
begin
  if not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = 'public.chats'::regclass and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
      and not exists (
        select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) n (attnum)
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = n.attnum
        where not a.attnotnull)
  ) then
    select count(*) into alike
    from (
      select from public.chats c
      left join public.workspaces w on w.id = c.workspace_id
      where w.id is null and (c.workspace_id is not null or nullif(current_setting('rethread.null_workspace', true), '') is null)
        or w.id is not null and not exists (select from auth.users u where u.id = c.user_id or u.id = w.owner_id)
      group by pg_catalog.md5(pg_catalog.row_to_json(c.*)::text)
      having count(*) > 1
    ) x;
    if alike > 0 then
      raise exception '% has no key, and % of its rows that fit no session are there more than once', named, alike
        using hint = format('Add a key (alter table %s add column row_id bigint generated always as identity primary key), or delete the copies.', named);
    end if;
  end if;
end
$alike$;

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

-- The workspace of a message. With the setting null_workspace, messages without one belong there.
create function chat_private.session_workspace(workspace_id uuid) returns uuid
language sql immutable parallel safe
as $$ select workspace_id $$;

-- A finite time in seconds since 1970. Times beyond the range of the following numbers are limited to it.
create function chat_private.legacy_seconds(at timestamptz) returns numeric
language sql immutable parallel safe
as $$ select extract(epoch from least(at, timestamptz '100000-01-01 00:00+00') - timestamptz 'epoch') $$;

-- The start of a legacy session, as the first half of its id: milliseconds since 1970, or `ffffffffffff` for
-- messages without a time.
create function chat_private.legacy_start(at timestamptz) returns text
language sql immutable parallel safe
as $$
  select case when isfinite(at)
    then lpad(to_hex(floor(chat_private.legacy_seconds(at) * 1000)::bigint & 281474976710655), 12, '0')
    else 'ffffffffffff' end
$$;

-- The id of a legacy session that ends with a pause: its start, and a hash by which `is_legacy_session`
-- recognizes it, whatever happens to the row.
create function chat_private.legacy_id_from(workspace_id uuid, start text) returns uuid
language sql immutable parallel safe
as $$
  select overlay(overlay(pg_catalog.md5('rethread:legacy:' || chat_private.session_workspace(workspace_id)::text || '@' || start)
    placing start from 1) placing '8' from 13)::uuid
$$;

-- The id of a message's legacy session, or of one that starts with it. It is always the same, so nothing is
-- created twice. It has version 8, which no application uses by chance; these ids are reserved
-- (reserve_legacy_ids).
create function chat_private.legacy_session_id(workspace_id uuid, author_id uuid, at timestamptz default null) returns uuid
language sql immutable parallel safe
as $$ select overlay(pg_catalog.md5('rethread:legacy:' || chat_private.session_workspace(workspace_id)::text) placing '8' from 13)::uuid $$;

-- The author for the grouping: the same id for all, unless each author gets their own session.
create function chat_private.legacy_author(author_id uuid) returns uuid
language sql immutable parallel safe
as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;

-- The pause that ends a session; null if none does.
create function chat_private.legacy_pause() returns interval
language sql immutable parallel safe
as $$ select null::interval $$;

-- The time for the grouping: 0, unless a pause ends a session. Then it is the number of a time slot as
-- long as the pause. All messages of a slot belong to one session.
create function chat_private.legacy_slot(at timestamptz) returns bigint
language sql immutable parallel safe
as $$ select 0::bigint $$;

-- The title that a message would give its session, after its time, so that the smallest is the first. Null if
-- it gives none. Only sessions that end with a pause get such titles.
create function chat_private.legacy_opening(at timestamptz, role text, said text) returns text
language sql immutable parallel safe
as $$ select null::text $$;

-- Whether this track made a session from old messages, with any grouping. With coalesce the planner estimates
-- that half of the sessions match. Without it the estimate is one session, and a plan may count all messages
-- again for each.
create function chat_private.is_legacy_session(id uuid, workspace_id uuid, author_id uuid) returns boolean
language sql immutable parallel safe
as $$
  select coalesce(substr(id::text, 15, 1) = '8' and (
    id = chat_private.legacy_id_from(workspace_id, left(replace(id::text, '-', ''), 12))
    or id in (
      overlay(pg_catalog.md5('rethread:legacy:' || workspace_id::text) placing '8' from 13)::uuid,
      overlay(pg_catalog.md5('rethread:legacy:' || workspace_id::text || ':' || coalesce(author_id::text, '')) placing '8' from 13)::uuid,
      overlay(pg_catalog.md5('rethread:legacy:' || workspace_id::text || ':') placing '8' from 13)::uuid)), false)
$$;

-- Whether a repeated migrate gives a session the same messages. Not if pauses end sessions, because users
-- continue a session after any pause. A rollback then stores the session of each message, and a restore (a
-- setting names it) uses that instead of what the migrate has found.
create function chat_private.is_made_again(id uuid, workspace_id uuid, author_id uuid) returns boolean
language sql stable parallel safe
as $$
  select chat_private.is_legacy_session(id, workspace_id, author_id) and (coalesce(current_setting('rethread.restoring', true), '') = 'on'
    or id <> chat_private.legacy_id_from(workspace_id, left(replace(id::text, '-', ''), 12))
    -- the one that has such an id because its own is taken
    or chat_private.legacy_pause() is null and starts_with(id::text, 'eeeeeeee-eee'))
$$;

-- locks: none
do $settings$
declare
  grouping text := coalesce(nullif(current_setting('rethread.legacy_grouping', true), ''), 'workspace');
  fallback text := nullif(current_setting('rethread.null_workspace', true), '');
  seconds bigint;
begin
  if grouping like 'idle:%' then
    begin
      seconds := extract(epoch from substr(grouping, 6)::interval);
    exception
      when invalid_datetime_format or datetime_field_overflow or interval_field_overflow then
        seconds := 0;
    end;
  end if;
  if grouping not in ('workspace', 'author') and coalesce(seconds, 0) < 1 then
    raise exception 'setting legacy_grouping is "%"; it can be workspace, author, or idle: and the pause that ends a session, such as idle:30m', grouping;
  end if;
  if fallback is not null then
    execute format($f$
      create or replace function chat_private.session_workspace(workspace_id uuid) returns uuid
      language sql immutable parallel safe
      as $$ select coalesce(workspace_id, %L::uuid) $$ $f$, fallback);
  end if;
  if grouping = 'author' then
    create or replace function chat_private.legacy_session_id(workspace_id uuid, author_id uuid, at timestamptz default null) returns uuid
    language sql immutable parallel safe
    as $$
      select overlay(pg_catalog.md5('rethread:legacy:' || chat_private.session_workspace(workspace_id)::text
        || ':' || coalesce(author_id::text, '')) placing '8' from 13)::uuid
    $$;
    create or replace function chat_private.legacy_author(author_id uuid) returns uuid
    language sql immutable parallel safe
    as $$ select coalesce(author_id, '00000000-0000-0000-0000-000000000000'::uuid) $$;
  end if;
  if seconds is not null then
    execute format($f$
      create or replace function chat_private.legacy_pause() returns interval
      language sql immutable parallel safe
      as $$ select %L::interval $$ $f$, make_interval(secs => seconds));
    execute format($f$
      create or replace function chat_private.legacy_slot(at timestamptz) returns bigint
      language sql immutable parallel safe
      as $$
        select case when isfinite(at) then floor(chat_private.legacy_seconds(at) / %L::bigint)::bigint
          else '-9223372036854775808'::bigint end
      $$ $f$, seconds);
    create or replace function chat_private.legacy_session_id(workspace_id uuid, author_id uuid, at timestamptz default null) returns uuid
    language sql immutable parallel safe
    as $$ select chat_private.legacy_id_from(workspace_id, chat_private.legacy_start(at)) $$;
    -- the text of a message that is kept as JSON; one that is no JSON is the text itself
    create function chat_private.text_said(said text) returns text
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
    as $$
    begin
      return coalesce(
        jsonb_path_query_first(said::jsonb, '$[*] ? (@.type() == "string")'),
        jsonb_path_query_first(said::jsonb, '$.**.text ? (@.type() == "string")'),
        jsonb_path_query_first(said::jsonb, '$.**.content ? (@.type() == "string")')) #>> '{}';
    exception
      when others then
        return said;
    end
    $$;
    create or replace function chat_private.legacy_opening(at timestamptz, role text, said text) returns text
    language sql immutable parallel safe
    as $$
      select case when lower(role) in ('user', 'human') then
        to_hex(4611686018427387904 + case when isfinite(at)
          then floor(chat_private.legacy_seconds(at) * 1000000)::bigint else 0 end)
        || substring(left(regexp_replace(btrim(left(
          case when said collate "default" ~ E'^\\s*[\\[{"]' then chat_private.text_said(said) else said collate "default" end,
          1000), E' \t\r\n'), E'\\s+', ' ', 'g'), 60) from E'^.*\\S.*$') end
    $$;
  end if;
end
$settings$;

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  workspace_id uuid not null,
  user_id uuid not null,
  title text not null default 'New Chat' constraint chat_sessions_title_not_blank check (title ~ E'\\S'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

create index idx_chat_sessions_workspace_id on public.chat_sessions (workspace_id);
create index idx_chat_sessions_user_id on public.chat_sessions (user_id);
create index idx_chat_sessions_created_at on public.chat_sessions (created_at desc);
create index idx_chat_sessions_active on public.chat_sessions (workspace_id, updated_at desc) where deleted_at is null;
-- the index by which the dual write finds the session that a message continues
-- locks: none
do $$
begin
  if chat_private.legacy_pause() is not null then
    create index idx_chat_sessions_legacy on public.chat_sessions (workspace_id, created_at) where substr(id::text, 15, 1) = '8';
  end if;
end
$$;

-- A backfill sets both times itself. Only a change that leaves updated_at as it is gets a new time.
create trigger update_chat_sessions_updated_at
  before update on public.chat_sessions
  for each row
  when (new.updated_at = old.updated_at
    and (new.title is distinct from old.title or new.deleted_at is distinct from old.deleted_at))
  execute function public.update_updated_at();

-- A workspace's id reveals the id of its legacy session. A user who created that session first would get
-- messages of others. Checked for roles to which policies apply.
create function chat_private.reserve_legacy_ids() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
set jit = off
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

-- Who may use a workspace: its owner, and users who have written there. Replace the body with your own rule.
create function chat_private.can_use_workspace(workspace uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select exists (
      select from public.workspaces w
      where w.id = can_use_workspace.workspace and w.owner_id = (select auth.uid())
    )
    or exists (
      select from public.chats c
      where c.workspace_id = can_use_workspace.workspace and c.user_id = (select auth.uid())
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

-- Last, because these block writes to workspaces and auth.users until the commit.
alter table public.chat_sessions
  add constraint chat_sessions_workspace_id_fkey foreign key (workspace_id) references public.workspaces (id) on delete cascade on update cascade;
alter table public.chat_sessions
  add constraint chat_sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade on update cascade;
