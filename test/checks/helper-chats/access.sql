-- fault
alter policy chat_messages_insert on public.chat_messages with check (true);
-- fix
alter policy chat_messages_insert on public.chat_messages with check (exists (
  select from public.chat_sessions s where s.id = chat_messages.session_id and s.user_id = (select auth.uid())));
