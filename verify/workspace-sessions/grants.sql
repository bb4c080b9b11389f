--! title: authenticated may use chat_sessions, anon may not
--! after: 001_create_chat_sessions

select 'authenticated' as object, 'lacks ' || p as detail
from unnest(array['select', 'insert', 'update', 'delete']) p
where not has_table_privilege('authenticated', 'public.chat_sessions', p)
union all
select 'service_role', 'lacks ' || p
from unnest(array['select', 'insert', 'update', 'delete']) p
where not has_table_privilege('service_role', 'public.chat_sessions', p)
union all
select 'anon', 'has ' || p
from unnest(array['select', 'insert', 'update', 'delete']) p
where has_table_privilege('anon', 'public.chat_sessions', p)
order by 1, 2
