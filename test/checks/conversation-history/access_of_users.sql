-- fault
create policy everybody on public.conversations for select to authenticated using (true);
-- fix
drop policy everybody on public.conversations;
-- fault
alter policy conversations_insert on public.conversations with check (true);
-- fix
alter policy conversations_insert on public.conversations with check (user_id = (select auth.uid()));
-- fault
alter policy messages_update on public.messages using (true) with check (true);
-- fix
alter policy messages_update on public.messages
  using (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())))
  with check (exists (select from public.conversations c where c.id = messages.conversation_id and c.user_id = (select auth.uid())));
