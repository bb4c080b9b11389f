-- fault
alter table chat_messages disable row level security;
-- fix
alter table chat_messages enable row level security;
-- fault
create policy everybody on chat_messages for select using (true);
-- fix
drop policy everybody on chat_messages;
-- fault
alter policy chat_sessions_update on chat_sessions with check (true);
-- fault
drop policy chat_messages_insert on chat_messages;
