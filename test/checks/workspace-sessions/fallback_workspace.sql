-- fault
set local rethread.null_workspace = '00000000-0000-4000-8000-00000000000f';
-- fix
insert into workspaces (id, name, owner_id) select '00000000-0000-4000-8000-00000000000f', 'for the rest', min(u.id::text)::uuid from auth.users u;
