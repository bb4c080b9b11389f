-- What the application does that knows nothing of sessions: writes into a workspace, edits, reads, deletes.
insert into public.chats (id, workspace_id, user_id, role, message)
select md5('written by the old application')::uuid, id, owner_id, 'user', 'Written by the old application'
from public.workspaces where owner_id is not null order by id desc limit 1
on conflict (id) do nothing;
update public.chats set message = message || '.' where id = md5('written by the old application')::uuid;
update public.chats set workspace_id = (select id from public.workspaces where owner_id is not null order by id limit 1)
where id = md5('written by the old application')::uuid;
select role, message from public.chats where workspace_id = (select id from public.workspaces order by id limit 1) order by created_at limit 50;
delete from public.chats where id = md5('written by the old application')::uuid;
