-- fault
create policy ownerless on public.codebase_chat_sessions for update to authenticated using (user_id is null) with check (true);
create policy ownerless_seen on public.codebase_chat_sessions for select to authenticated using (user_id is null);
-- fix
drop policy ownerless on public.codebase_chat_sessions;
drop policy ownerless_seen on public.codebase_chat_sessions;
