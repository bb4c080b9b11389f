-- The old application knows nothing of sessions in the database; it goes on with what it has.
insert into public.repositories (id, name) values (md5('a new repo')::uuid, 'org/new') on conflict (id) do nothing;
update public.repositories set name = 'org/newer' where id = md5('a new repo')::uuid;
select name from public.repositories order by name limit 10;
delete from public.repositories where id = md5('a new repo')::uuid;
