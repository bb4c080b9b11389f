-- fault
alter table chats enable row level security;
create policy own on chats for all to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
insert into chats (workspace_id, user_id, message) select md5('workspace 1')::uuid, id, 'private' from auth.users limit 5;
-- fix
drop policy own on chats;
create policy everybody on chats for select to authenticated using (true);
