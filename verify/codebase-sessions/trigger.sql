--! title: The trigger that keeps updated_at and last_activity is there and on
--! after: 001_create_codebase_chat_sessions

select 'touch_codebase_chat_session' as object, case when t.tgname is null then 'missing' else 'is switched off' end as detail
from (select 1) one
left join pg_catalog.pg_trigger t
  on t.tgrelid = to_regclass('public.codebase_chat_sessions') and t.tgname = 'touch_codebase_chat_session'
where t.tgname is null or t.tgenabled not in ('O', 'A')
