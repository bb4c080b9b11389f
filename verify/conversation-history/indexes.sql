--! title: The indexes exist, are valid and are what they should be
--! after: 001_create_conversations

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('conversations', 'idx_conversations_tenant_id', '(tenant_id)'),
  ('conversations', 'idx_conversations_user_recent', '(user_id, updated_at DESC)'),
  ('messages', 'idx_messages_conversation_created', '(conversation_id, created_at)')
) as w (rel, name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.' || w.rel)
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
