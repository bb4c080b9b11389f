-- What the new application does: opens sessions, talks in them, switches, deletes one.
with made as (
  insert into public.chat_sessions (user_id, project_id, helper, thread_id)
  select p.user_id, p.id, 'planner', 'thread-' || gen_random_uuid() from public.projects p where p.user_id is not null order by p.id limit 5
  returning id
)
insert into public.chat_messages (session_id, role, content, created_at)
select m.id, case when n % 2 = 1 then 'user' else 'assistant' end, 'message ' || n, now() + n * interval '1 second'
from made m cross join generate_series(1, coalesce(nullif(current_setting('demo.writes', true), ''), '1000')::int / 5) n;
delete from public.chat_sessions where id = (select id from public.chat_sessions order by created_at desc, id limit 1);
