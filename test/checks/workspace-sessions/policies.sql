-- fault
alter table chat_sessions disable row level security;
-- fix
alter table chat_sessions enable row level security;
-- fault
drop policy chat_sessions_delete on chat_sessions;
-- fix
create policy chat_sessions_delete on public.chat_sessions for delete to authenticated
  using (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
-- fault
alter policy chat_sessions_update on chat_sessions with check (true);
-- fix
alter policy chat_sessions_update on chat_sessions
  with check (user_id = (select auth.uid()) and chat_private.can_use_workspace(workspace_id));
-- fault
alter policy chat_sessions_select on chat_sessions to public;
-- fix
alter policy chat_sessions_select on chat_sessions to authenticated;
-- fault
create policy everybody on chat_sessions for select using (true);
-- fix
drop policy everybody on chat_sessions;
