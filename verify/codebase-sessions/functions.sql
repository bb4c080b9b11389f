--! title: The functions are there, pinned, and not open to everybody
--! after: 001_create_codebase_chat_sessions
--! mutant: alter function chat_private.touch_codebase_chat_session() reset search_path

select w.schema || '.' || w.name as object,
  case when f.oid is null then 'missing' else concat_ws(', ',
    case when f.prosecdef <> w.definer then case when w.definer then 'not security definer' else 'security definer' end end,
    case when not coalesce('search_path=""' = any (f.proconfig), false) then 'search_path is not pinned' end,
    case when has_function_privilege('public', f.oid, 'execute') then 'public may execute it' end) end as detail
from (values
  ('chat_private', 'touch_codebase_chat_session', false)
) as w (schema, name, definer)
left join pg_catalog.pg_proc f on f.pronamespace = to_regnamespace(w.schema) and f.proname = w.name
where f.oid is null
  or f.prosecdef <> w.definer
  or not coalesce('search_path=""' = any (f.proconfig), false)
  or has_function_privilege('public', f.oid, 'execute')
order by 1
