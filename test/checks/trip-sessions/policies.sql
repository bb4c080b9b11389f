-- fault
alter table chat_sessions disable row level security;
-- fix
alter table chat_sessions enable row level security;
-- fault
create policy everybody on chat_sessions for select using (true);
-- fix
drop policy everybody on chat_sessions;
-- fault
drop policy chat_sessions_delete on chat_sessions;
