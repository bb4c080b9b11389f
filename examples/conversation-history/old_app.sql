-- What the application does that keeps its messages in an array: opens a session, rewrites
-- the array, reads, deletes.
insert into public.chat_sessions (id, tenant_id, user_id, title) values (md5('old session')::uuid, md5('tenant 1')::uuid, md5('user 3')::uuid, 'From the old application');
update public.chat_sessions set messages = messages || '[{"role": "user", "content": "Written by the old application"}, {"role": "assistant", "content": "Yes?"}]'
  where id = md5('old session')::uuid;
select id, title, jsonb_array_length(messages) from public.chat_sessions where user_id = md5('user 3')::uuid and jsonb_typeof(messages) = 'array' order by updated_at desc limit 20;
update public.chat_sessions set messages = messages - 1, title = 'Renamed' where id = md5('old session')::uuid;
insert into public.chat_sessions (id, tenant_id, user_id, title) values (md5('old session')::uuid, md5('tenant 1')::uuid, md5('user 3')::uuid, 'Upserted')
  on conflict (id) do update set title = excluded.title;
delete from public.chat_sessions where id = md5('old session')::uuid;
