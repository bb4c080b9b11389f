--! title: The trigger that keeps sessions current is there, on, and does it
--! after: 002_keep_sessions_current

select 'update_chat_session_on_message' as object, case when t.tgname is null then 'missing' else 'is switched off' end as detail
from (select 1) one
left join pg_catalog.pg_trigger t
  on t.tgrelid = to_regclass('public.chat_messages') and t.tgname = 'update_chat_session_on_message'
where t.tgname is null or t.tgenabled not in ('O', 'A')
union all
-- what it does shows in the rows: the newest message's time and text stand in its session
select s.id::text, format('its newest message is of %s, it says %s', n.created_at, coalesce(s.last_message_at::text, 'nothing'))
from public.chat_sessions s
cross join lateral (
  select m.created_at from public.chat_messages m where m.session_id = s.id order by m.created_at desc limit 1
) n
where s.last_message_at is null or s.last_message_at < n.created_at
order by 1
