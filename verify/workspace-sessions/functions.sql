--! title: The functions behind the policies are pinned and not open to everybody
--! after: 002_link_chats_to_sessions

select f.oid::regprocedure::text as object,
  concat_ws(', ',
    case when not f.prosecdef then 'not security definer' end,
    case when not coalesce('search_path=""' = any (f.proconfig), false) then 'search_path is not pinned' end,
    case when has_function_privilege('public', f.oid, 'execute') then 'public may execute it' end) as detail
from pg_catalog.pg_proc f
where f.pronamespace = to_regnamespace('chat_private')
  and f.proname in ('can_use_workspace', 'fill_session', 'make_legacy_session', 'move_session')
  and (not f.prosecdef
    or not coalesce('search_path=""' = any (f.proconfig), false)
    or has_function_privilege('public', f.oid, 'execute'))
union all
select w.name, 'missing'
from (values ('can_use_workspace'), ('fill_session'), ('make_legacy_session'), ('move_session')) as w (name)
where not exists (
  select from pg_catalog.pg_proc f where f.pronamespace = to_regnamespace('chat_private') and f.proname = w.name)
order by 1
