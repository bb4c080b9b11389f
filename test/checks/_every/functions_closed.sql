-- with: contract
-- fault
create function all_messages() returns setof chats language sql security definer set search_path = pg_catalog, pg_temp as 'select * from public.chats';
-- fix
alter function all_messages() security invoker;
-- fault
create function chat_private.read_all() returns bigint language plpgsql as 'begin return (select count(*) from "public"."chats"); end';
create function how_many() returns bigint language sql security definer as 'select chat_private.read_all()';
-- fix
create or replace function how_many() returns bigint language sql security definer
  as 'select chat_private.read_all() where (select auth.uid()) is not null';
-- fault
create function drop_chat(id uuid) returns void language sql security definer
begin atomic delete from public.chats c where c.id = drop_chat.id; end;
-- fix
revoke execute on function drop_chat(uuid) from public, anon, authenticated;
-- fault
create or replace function chat_private.can_use_workspace(workspace uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp as 'select exists (select from public.chats c where c.workspace_id = workspace)';
