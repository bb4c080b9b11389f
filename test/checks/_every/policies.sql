-- with: contract
-- fault
alter table chats disable row level security;
-- fix
alter table chats enable row level security;
-- fault
alter policy chats_select on chats using (true);
-- fix
alter policy chats_select on chats using (exists (
  select from chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())));
-- fault
drop policy chats_insert on chats;
-- fix
create policy chats_insert on chats for insert to authenticated with check (exists (
  select from chat_sessions s
  where s.id = chats.session_id and s.user_id = (select auth.uid()) and s.workspace_id is not distinct from chats.workspace_id));
-- fault
alter policy chat_sessions_select on chat_sessions to authenticated, anon;
-- fix
alter policy chat_sessions_select on chat_sessions to authenticated;
-- fault
drop policy chat_sessions_delete on chat_sessions;
create policy chat_sessions_delete on chat_sessions as restrictive for delete to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
-- fault
drop policy chat_sessions_delete on chat_sessions;
create policy chat_sessions_delete on chat_sessions for all to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
-- fix
drop policy chat_sessions_delete on chat_sessions;
create policy chat_sessions_delete on chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
-- fault
create policy everybody on chat_sessions for select to authenticated using (true);
-- fix
drop policy everybody on chat_sessions;
