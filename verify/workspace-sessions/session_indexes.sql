--! title: The four indexes of chat_sessions exist, are valid and are what they should be
--! after: 001_create_chat_sessions

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('idx_chat_sessions_workspace_id', '(workspace_id)'),
  ('idx_chat_sessions_user_id', '(user_id)'),
  ('idx_chat_sessions_created_at', '(created_at DESC)'),
  ('idx_chat_sessions_active', '(workspace_id, updated_at DESC) WHERE (deleted_at IS NULL)')
) as w (name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.chat_sessions')
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
