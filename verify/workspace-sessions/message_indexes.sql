--! title: The indexes of messages exist, are valid and are what they should be
--! after: 006_index_and_constrain

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('idx_chats_session_id', '(session_id, workspace_id)'),
  ('idx_chats_session_created', '(session_id, created_at)'),
  ('idx_chats_workspace_author', '(workspace_id, user_id)')
) as w (name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.chats')
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
