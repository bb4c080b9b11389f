-- with: contract
-- fault
create policy anyone on public.chat_sessions for select to authenticated using (true);
-- fix
drop policy anyone on public.chat_sessions;
-- fault
-- both walls: the policy, and the rule of the trigger
alter policy chats_update on public.chats with check (true);
alter table public.chats disable trigger rethread_check_session_on_update;
-- fix
alter table public.chats enable trigger rethread_check_session_on_update;
alter policy chats_update on public.chats with check (exists (
  select from public.chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())
    and s.workspace_id is not distinct from chats.workspace_id));
-- fault
grant select on public.chats to anon;
create policy anon_reads on public.chats for select to anon using (true);
-- fix
drop policy anon_reads on public.chats;
