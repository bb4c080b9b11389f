--! title: The indexes exist, are valid and are what they should be
--! after: 017_create_chat_sessions

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('chat_sessions', 'idx_chat_sessions_trip', '(avinode_trip_id) WHERE (avinode_trip_id IS NOT NULL)'),
  ('chat_sessions', 'idx_chat_sessions_conversation', '(conversation_id)'),
  ('chat_sessions', 'idx_chat_sessions_request', '(request_id)'),
  ('chat_sessions', 'idx_chat_sessions_agent_status', '(iso_agent_id, status, last_activity_at DESC)'),
  ('chat_sessions', 'idx_chat_sessions_activity', '(last_activity_at DESC)'),
  ('chat_sessions', 'idx_chat_sessions_primary_quote', '(primary_quote_id) WHERE (primary_quote_id IS NOT NULL)'),
  ('chat_sessions', 'idx_chat_sessions_proposal', '(proposal_id) WHERE (proposal_id IS NOT NULL)')
) as w (rel, name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.' || w.rel)
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
