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
