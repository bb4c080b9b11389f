-- What the application did before it had sessions, and still does while it learns of them.
insert into public.projects (id, user_id, name) values (md5('a new project')::uuid, md5('user 1')::uuid, 'A new project')
  on conflict (id) do nothing;
update public.projects set name = name || '.' where id = md5('a new project')::uuid;
select id, name from public.projects where user_id = md5('user 1')::uuid order by created_at desc;
delete from public.projects where id = md5('a new project')::uuid;
