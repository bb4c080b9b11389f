--! title: The indexes exist, are valid and are what they should be
--! after: 001_create_chat_tables

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('chat_sessions', 'idx_chat_sessions_user_recent', '(user_id, last_message_at DESC NULLS LAST)'),
  ('chat_sessions', 'idx_chat_sessions_helper_recent', '(user_id, helper, last_message_at DESC NULLS LAST)'),
  ('chat_sessions', 'idx_chat_sessions_project_recent', '(project_id, last_message_at DESC NULLS LAST)'),
  ('chat_messages', 'idx_chat_messages_session_created', '(session_id, created_at)')
) as w (rel, name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.' || w.rel)
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
