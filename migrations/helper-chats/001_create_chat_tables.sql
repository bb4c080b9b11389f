--! title: Create chat_sessions and chat_messages, closed to everybody but their users
--! phase: expand
--! requires: table public.projects, column public.projects.id uuid, column public.projects.user_id uuid,
--!   table auth.users, column auth.users.id uuid, function auth.uid(),
--!   role authenticated, role service_role, role anon

create schema if not exists chat_private;
revoke all on schema chat_private from public;
grant usage on schema chat_private to authenticated, service_role;

create table public.chat_sessions (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  project_id uuid,
  helper text not null constraint chat_sessions_helper_known check (helper ~ E'\\S'),
  thread_id text constraint chat_sessions_thread_id_key unique,
  title text not null default 'New Chat' constraint chat_sessions_title_not_blank check (title ~ E'\\S'),
  last_message_preview text,
  last_message_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint chat_sessions_thread_id_not_blank check (thread_id ~ E'\\S')
);

create table public.chat_messages (
  id uuid primary key default gen_random_uuid(),
  session_id uuid not null,
  role text not null constraint chat_messages_role_known check (role in ('user', 'assistant')),
  content text not null,
  tool_calls jsonb,
  search_results jsonb,
  created_at timestamptz not null default now()
);

-- The settings helpers (names, separated by commas) and max_message_length. Without them any name and any
-- length is allowed.
-- locks: none
do $settings$
declare
  helpers text := nullif(current_setting('rethread.helpers', true), '');
  longest text := nullif(current_setting('rethread.max_message_length', true), '');
begin
  if helpers is not null then
    alter table public.chat_sessions drop constraint chat_sessions_helper_known;
    execute format('alter table public.chat_sessions add constraint chat_sessions_helper_known check (helper = any (%L::text[]))',
      regexp_split_to_array(btrim(helpers), E'\\s*,\\s*'));
  end if;
  if longest is not null then
    execute format('alter table public.chat_messages add constraint chat_messages_content_length check (length(content) <= %s)', longest::int);
  end if;
end
$settings$;

-- most recent first, by user, by helper, by project
create index idx_chat_sessions_user_recent on public.chat_sessions (user_id, last_message_at desc nulls last);
create index idx_chat_sessions_helper_recent on public.chat_sessions (user_id, helper, last_message_at desc nulls last);
create index idx_chat_sessions_project_recent on public.chat_sessions (project_id, last_message_at desc nulls last);
create index idx_chat_messages_session_created on public.chat_messages (session_id, created_at);

-- Who may use a project: its owner. Replace the body with your own rule.
create function chat_private.can_use_project(project uuid) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $$
  select can_use_project.project is null or exists (select from public.projects p where p.id = can_use_project.project and p.user_id = (select auth.uid()))
$$;
revoke all on function chat_private.can_use_project(uuid) from public;
grant execute on function chat_private.can_use_project(uuid) to authenticated, service_role;

alter table public.chat_sessions enable row level security;
alter table public.chat_messages enable row level security;

create policy chat_sessions_select on public.chat_sessions for select to authenticated
  using (user_id = (select auth.uid()));
create policy chat_sessions_insert on public.chat_sessions for insert to authenticated
  with check (user_id = (select auth.uid()) and chat_private.can_use_project(project_id));
create policy chat_sessions_update on public.chat_sessions for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()) and chat_private.can_use_project(project_id));
create policy chat_sessions_delete on public.chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()));

create policy chat_messages_select on public.chat_messages for select to authenticated
  using (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())));
create policy chat_messages_insert on public.chat_messages for insert to authenticated
  with check (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())));
create policy chat_messages_update on public.chat_messages for update to authenticated
  using (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())))
  with check (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())));
create policy chat_messages_delete on public.chat_messages for delete to authenticated
  using (exists (select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())));

revoke all on public.chat_sessions, public.chat_messages from public, anon, authenticated;
grant select, insert, update, delete on public.chat_sessions, public.chat_messages to authenticated, service_role;

-- With the setting hide_thread_id, users of the API cannot read thread ids. The server, as service_role, can.
-- locks: none
do $hide$
declare
  visible text;
begin
  if coalesce(nullif(current_setting('rethread.hide_thread_id', true), ''), 'off')::boolean then
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into visible
    from pg_catalog.pg_attribute a
    where a.attrelid = 'public.chat_sessions'::regclass and a.attnum > 0 and not a.attisdropped and a.attname <> 'thread_id';
    revoke select on public.chat_sessions from authenticated;
    execute format('grant select (%s) on public.chat_sessions to authenticated', visible);
  end if;
end
$hide$;

alter table public.chat_messages
  add constraint chat_messages_session_id_fkey foreign key (session_id) references public.chat_sessions (id) on delete cascade;
-- Chats of other users that were deleted with a project, because something prevented them from staying
-- without one. The trigger of 002 restores them at once if their messages are deleted; else the backfill 003
-- does.
create table chat_private.kept_chats (
  session_id uuid primary key,
  user_id uuid not null,
  original jsonb not null,
  messages jsonb not null,
  sqlstate text not null,
  at timestamptz not null default clock_timestamp()
);
create index kept_chats_user_id on chat_private.kept_chats (user_id);
revoke all on chat_private.kept_chats from public, anon, authenticated, service_role;

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

-- The rows of a table that have this value in a column, each with the texts of its values: of every type they
-- come back to the letter. JSON would have one null for its own and that of SQL, and refuse some characters.
create function chat_private.kept_rows(target regclass, called name, session uuid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
as $$
declare
  columns text;
  kept jsonb;
begin
  select format('jsonb_object(array[%s], array[%s]::text[])', string_agg(format('%L', a.attname), ', ' order by a.attnum),
    string_agg(format('case when x.%1$I is distinct from null then format(''%%s'', x.%1$I) end', a.attname), ', ' order by a.attnum))
  into columns
  from pg_catalog.pg_attribute a
  where a.attrelid = target and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  execute format('select coalesce(jsonb_agg(%s), ''[]'') from %s x where x.%I = $1', columns, target, called) into kept using session;
  return kept;
end
$$;
revoke all on function chat_private.kept_rows(regclass, name, uuid) from public;

-- A project that is deleted, be it with its owner's account, takes its owner's chats along. Those of others
-- stay, without a project. Never fails the application's statement: what cannot be kept in its place now,
-- such as for a trigger that raises or leaves it as it is, is stored apart and comes back. Where even that
-- fails, the project stays.
create function chat_private.keep_chats_of_others() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set jit = off
set row_security = off
as $$
begin
  begin
    update public.chat_sessions s
    set project_id = null
    where s.project_id = old.id and s.user_id is distinct from old.user_id;
    if exists (select from public.chat_sessions s where s.project_id = old.id and s.user_id is distinct from old.user_id) then
      raise exception 'a trigger kept a chat in project %', old.id using errcode = 'triggered_action_exception';
    end if;
  exception
    when query_canceled or assert_failure or others then
      if sqlstate = '57014' then
        if not chat_private.has_used_time(0.9) then
          raise;
        end if;
      end if;
      begin
        insert into chat_private.kept_chats as k (session_id, user_id, original, messages, sqlstate)
        select s.id, s.user_id, chat_private.kept_rows('public.chat_sessions', 'id', s.id) -> 0 || '{"project_id": null}',
          chat_private.kept_rows('public.chat_messages', 'session_id', s.id), sqlstate
        from public.chat_sessions s
        where s.project_id = old.id and s.user_id is distinct from old.user_id
          -- only of users whose account is not deleted in the same statement
          and exists (select from auth.users u where u.id = s.user_id)
        on conflict (session_id) do update
        set user_id = excluded.user_id, original = excluded.original, messages = excluded.messages, sqlstate = excluded.sqlstate, at = excluded.at;
      exception
        when assert_failure or others then
          raise warning 'rethread cannot keep the chats of others in project %, which therefore stays, SQLSTATE %', old.id, sqlstate;
          return null;
      end;
      begin
        insert into chat_private.behind (session_id, operation, sqlstate)
        select k.session_id, 'DELETE of projects', k.sqlstate from chat_private.kept_chats k
        where not exists (select from chat_private.behind b where b.session_id = k.session_id and b.caught_up_at is null);
      exception
        -- 002 makes it
        when undefined_table then null;
        when assert_failure or others then
          raise warning 'rethread cannot note in chat_private.behind what this statement has left undone, SQLSTATE %', sqlstate;
      end;
  end;
  return old;
end
$$;
revoke all on function chat_private.keep_chats_of_others() from public;

-- Last, because these block writes to projects and auth.users until the commit.
create trigger rethread_keep_chats_of_others
  before delete on public.projects
  for each row execute function chat_private.keep_chats_of_others();
alter table public.chat_sessions
  add constraint chat_sessions_project_id_fkey foreign key (project_id) references public.projects (id) on delete cascade on update cascade;
alter table public.chat_sessions
  add constraint chat_sessions_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade on update cascade;
alter table chat_private.kept_chats
  add constraint kept_chats_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade on update cascade;
