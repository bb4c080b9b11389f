--! title: The triggers that keep both applications in step are there and on, until the old one is gone
--! after: 002_keep_both_in_step
--! until: 007_set_sessions_aside

select w.name as object, case when t.tgname is null then 'missing' else 'is switched off' end as detail
from (values
  ('chat_sessions', 'rethread_follow_session'),
  ('conversations', 'rethread_guard_conversation_id'),
  ('conversations', 'rethread_follow_conversation'),
  ('messages', 'rethread_follow_added_messages'),
  ('messages', 'rethread_follow_changed_messages'),
  ('messages', 'rethread_follow_deleted_messages')
) as w (rel, name)
left join pg_catalog.pg_trigger t on t.tgrelid = to_regclass('public.' || w.rel) and t.tgname = w.name
where t.tgname is null or t.tgenabled not in ('O', 'A')
order by 1
