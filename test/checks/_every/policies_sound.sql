-- with: contract
-- fault
create policy wide on chat_sessions for select using (user_id = auth.uid());
-- fix
drop policy wide on chat_sessions;
-- fault
create policy everything on chats for select to authenticated using (true);
-- fix
drop policy everything on chats;
-- fault
create policy believes on chats for select to authenticated using ((auth.jwt() -> 'user_metadata' ->> 'admin')::boolean);
-- fix
drop policy believes on chats;
