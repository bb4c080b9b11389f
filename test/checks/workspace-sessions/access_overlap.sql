-- fault
-- the rule of the trigger is gone
alter table public.chats disable trigger rethread_check_session_on_insert;
-- fix
alter table public.chats enable trigger rethread_check_session_on_insert;
-- fault
alter table public.chats disable trigger rethread_check_session_on_update;
-- fix
alter table public.chats enable trigger rethread_check_session_on_update;
-- fault
-- ids of legacy sessions may be taken before they are there
alter table public.chat_sessions disable trigger rethread_reserve_ids_on_insert;
-- fix
alter table public.chat_sessions enable trigger rethread_reserve_ids_on_insert;
-- fault
create policy anyone on public.chat_sessions for select to authenticated using (true);
-- fix
drop policy anyone on public.chat_sessions;
-- fault
-- a rule of membership that lets everybody in
create or replace function chat_private.can_use_workspace(workspace uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = off as $$ select true $$;
-- fix
create or replace function chat_private.can_use_workspace(workspace uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp set row_security = off
as $$
  select exists (select from public.workspaces w where w.id = workspace and w.owner_id = (select auth.uid()))
    or exists (select from public.chats c where c.workspace_id = workspace and c.user_id = (select auth.uid()))
$$;
