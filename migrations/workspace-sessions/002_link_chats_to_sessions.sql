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
revoke all on chat_private.legacy_parts from public, anon, authenticated, service_role;

-- Dual write: the old application knows nothing of sessions, so the database fills in what it leaves out. Never
-- fails the application's statement, touches no row but the message's own, makes a legacy session at most once.
create function chat_private.fill_session() returns trigger
language plpgsql security definer
set search_path = ''
set row_security = off
as $$
declare
  home uuid := chat_private.session_workspace(new.workspace_id);
  legacy uuid := chat_private.legacy_session_id(new.workspace_id, new.user_id);
begin
  if home is null then
    return new;
  end if;
  if tg_op = 'UPDATE' then
    -- a session that the statement itself chose stays
    if new.session_id is distinct from old.session_id and new.session_id is not null then
      return new;
    end if;
  end if;
  if not exists (select from public.chat_sessions s where s.id = legacy) then
    insert into public.chat_sessions (id, workspace_id, user_id, title, created_at, updated_at)
    select legacy, w.id, coalesce(a.id, o.id), 'Legacy Chat',
      coalesce(new.created_at, now()), coalesce(new.created_at, now())
    from public.workspaces w
    left join auth.users a on a.id = new.user_id
    left join auth.users o on o.id = w.owner_id
    where w.id = home and coalesce(a.id, o.id) is not null
    on conflict (id) do nothing;
    if not exists (select from public.chat_sessions s where s.id = legacy) then
      return new;
    end if;
  end if;
  new.session_id := legacy;
  return new;
end
$$;
revoke all on function chat_private.fill_session() from public;

alter table public.chats add column session_id uuid;

create trigger rethread_fill_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is null)
  execute function chat_private.fill_session();

create trigger rethread_fill_session_on_update
  before update on public.chats
  for each row when (new.session_id is null or new.workspace_id is distinct from old.workspace_id)
  execute function chat_private.fill_session();
