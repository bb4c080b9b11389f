--! title: The functions are there, pinned, and not open to everybody
--! after: 002_keep_both_in_step

select w.schema || '.' || w.name as object,
  case when f.oid is null then 'missing' else concat_ws(', ',
    case when f.prosecdef <> w.definer then case when w.definer then 'not security definer' else 'security definer' end end,
    case when not coalesce('search_path=""' = any (f.proconfig), false) then 'search_path is not pinned' end,
    case when has_function_privilege('public', f.oid, 'execute') then 'public may execute it' end) end as detail
from (values
  ('chat_private', 'tenant_role', true),
  ('chat_private', 'follow_session', true),
  ('chat_private', 'follow_conversation', true),
  ('chat_private', 'guard_conversation_id', true),
  ('chat_private', 'follow_messages', true),
  ('chat_private', 'merge_messages', false),
  ('chat_private', 'catch_up', false),
  ('chat_private', 'rebuild_session', false)
) as w (schema, name, definer)
left join pg_catalog.pg_proc f on f.pronamespace = to_regnamespace(w.schema) and f.proname = w.name
where f.oid is null
  or f.prosecdef <> w.definer
  or not coalesce('search_path=""' = any (f.proconfig), false)
  or has_function_privilege('public', f.oid, 'execute')
order by 1
