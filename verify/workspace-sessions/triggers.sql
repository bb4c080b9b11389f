--! title: The triggers are there and on: updated_at, and the dual write until the old application is gone
--! after: 002_link_chats_to_sessions

select w.name as object, case when t.tgname is null then 'missing' else 'is switched off' end as detail
from (values
  ('chat_sessions', 'update_chat_sessions_updated_at', false),
  ('chats', 'rethread_fill_session_on_insert', true),
  ('chats', 'rethread_move_session_on_update', true)
) as w (rel, name, dual)
left join pg_catalog.pg_trigger t on t.tgrelid = to_regclass('public.' || w.rel) and t.tgname = w.name
where (t.tgname is null or t.tgenabled not in ('O', 'A'))
  and not (w.dual and exists (
    select from pg_catalog.pg_policy p where p.polrelid = to_regclass('public.chats') and p.polname = 'chats_select'))
order by 1
