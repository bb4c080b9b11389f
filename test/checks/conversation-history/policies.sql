-- fault
alter table messages disable row level security;
-- fix
alter table messages enable row level security;
-- fault
create policy everybody on messages for select using (true);
-- fix
drop policy everybody on messages;
-- fault
alter policy conversations_update on conversations with check (true);
-- fault
drop policy messages_delete on messages;
