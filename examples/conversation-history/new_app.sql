-- What the new application does: conversations and messages of their own, an answer in an old
-- one, an edit, a deletion.
insert into public.conversations (id, tenant_id, user_id, title)
select md5('new conversation ' || n)::uuid, t.tenant_id, t.user_id, 'New ' || n
from generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int / 20) n cross join (select tenant_id, user_id from public.tenant_users order by user_id limit 1) t;
insert into public.messages (conversation_id, role, content)
select md5('new conversation ' || n)::uuid, 'user', 'message ' || i from generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int / 20) n cross join generate_series(1, 20) i;
insert into public.messages (conversation_id, role, content) values (md5('session 1')::uuid, 'user', 'An answer after all');
update public.messages set content = 'Edited' where id = (select id from public.messages where conversation_id = md5('session 2')::uuid order by created_at limit 1);
delete from public.messages where id = (select id from public.messages where conversation_id = md5('session 3')::uuid order by created_at desc limit 1);
