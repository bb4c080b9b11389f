-- with: contract
-- fault
create policy anyone on public.chat_sessions for select to authenticated using (true);
-- fix
drop policy anyone on public.chat_sessions;
-- fault
alter policy chats_update on public.chats with check (true);
-- fix
alter policy chats_update on public.chats with check (exists (
  select from public.chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())
    and s.workspace_id is not distinct from chats.workspace_id));
-- fault
grant select on public.chats to anon;
create policy anon_reads on public.chats for select to anon using (true);
-- fix
drop policy anon_reads on public.chats;
