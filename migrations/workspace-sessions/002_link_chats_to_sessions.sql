--! title: Give messages a session_id, and every message that the old application writes its session
--! phase: expand

-- What the backfill collects before it creates the legacy sessions.
create table chat_private.legacy_parts (
  workspace_id uuid not null,
  author_id uuid,
  first_at timestamptz,
  last_at timestamptz
);
create index legacy_parts_workspace_id on chat_private.legacy_parts (workspace_id);

-- Which session a message goes to, looked up instead of hashed for every message (a
-- tenth of the backfill's time).
create table chat_private.legacy_sessions (
  workspace_id uuid not null,
  author_id uuid not null,
  session_id uuid not null references public.chat_sessions (id) on delete cascade,
  primary key (workspace_id, author_id)
);
create index legacy_sessions_session_id on chat_private.legacy_sessions (session_id);
revoke all on chat_private.legacy_parts, chat_private.legacy_sessions from public, anon, authenticated, service_role;

-- Dual write: the old application knows nothing of sessions, so the database fills in what it
-- leaves out. Never fails the application's statement, touches no row but the message's own, makes
-- a legacy session at most once.
create function chat_private.make_legacy_session(workspace_id uuid, author_id uuid, at timestamptz) returns uuid
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
declare
  legacy uuid := chat_private.legacy_session_id(workspace_id, author_id);
begin
  if exists (select from public.chat_sessions s where s.id = legacy) then
    return legacy;
  end if;
  insert into public.chat_sessions (id, workspace_id, user_id, title, created_at, updated_at)
  select legacy, w.id, coalesce(a.id, o.id), 'Legacy Chat', coalesce(at, now()), coalesce(at, now())
  from public.workspaces w
  left join auth.users a on a.id = author_id
  left join auth.users o on o.id = w.owner_id
  where w.id = chat_private.session_workspace(make_legacy_session.workspace_id) and coalesce(a.id, o.id) is not null
  on conflict (id) do nothing;
  return (select s.id from public.chat_sessions s where s.id = legacy);
end
$$;
revoke all on function chat_private.make_legacy_session(uuid, uuid, timestamptz) from public;

-- For the backfill: makes a legacy session, or gives one that the dual write has made before the times
-- and the owner of the whole.
create function chat_private.put_legacy_session(id uuid, workspace_id uuid, owner_id uuid, first_at timestamptz, last_at timestamptz)
returns uuid
language plpgsql
set search_path = ''
as $$
begin
  insert into public.chat_sessions as s (id, workspace_id, user_id, title, created_at, updated_at)
  values (put_legacy_session.id, put_legacy_session.workspace_id, owner_id, 'Legacy Chat', coalesce(first_at, now()), coalesce(last_at, now()))
  on conflict on constraint chat_sessions_pkey do update
  set created_at = least(s.created_at, excluded.created_at),
      updated_at = greatest(s.updated_at, excluded.updated_at),
      user_id = excluded.user_id
  where excluded.created_at < s.created_at;
  return put_legacy_session.id;
end
$$;
revoke all on function chat_private.put_legacy_session(uuid, uuid, uuid, timestamptz, timestamptz) from public;

create function chat_private.fill_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  new.session_id := chat_private.make_legacy_session(new.workspace_id, new.user_id, new.created_at);
  return new;
end
$$;
revoke all on function chat_private.fill_session() from public;

-- A message that is moved to another workspace, by a statement that chose no session, moves to that
-- one's legacy session. AFTER, and on one column: a BEFORE UPDATE trigger would make the server lock
-- every row that anybody updates.
create function chat_private.move_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
begin
  update public.chats c
  set session_id = chat_private.make_legacy_session(new.workspace_id, new.user_id, new.created_at)
  where c.id = new.id;
  return null;
end
$$;
revoke all on function chat_private.move_session() from public;

alter table public.chats add column session_id uuid;

create trigger rethread_fill_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is null)
  execute function chat_private.fill_session();

create trigger rethread_move_session_on_update
  after update of workspace_id on public.chats
  for each row when (new.workspace_id is distinct from old.workspace_id and new.session_id is not distinct from old.session_id)
  execute function chat_private.move_session();
