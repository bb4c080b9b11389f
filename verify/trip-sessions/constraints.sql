--! title: Keys, checks and foreign keys are there, valid, and as defined
--! after: 017_create_chat_sessions

select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated'
    else 'is ' || pg_get_constraintdef(k.oid) end as detail
from (values
  ('chat_sessions', 'chat_sessions_status_known', $$CHECK ((status = ANY %active%paused%completed%archived%$$),
  ('chat_sessions', 'chat_sessions_message_count_positive', $$CHECK ((message_count >= 0))$$),
  ('chat_sessions', 'chat_sessions_quotes_requested_positive', $$CHECK ((quotes_requested_count >= 0))$$),
  ('chat_sessions', 'chat_sessions_quotes_received_positive', $$CHECK ((quotes_received_count >= 0))$$),
  ('chat_sessions', 'chat_sessions_conversation_id_fkey', $$FOREIGN KEY (conversation_id) REFERENCES %conversations(id) ON DELETE CASCADE$$),
  ('chat_sessions', 'chat_sessions_request_id_fkey', $$FOREIGN KEY (request_id) REFERENCES %requests(id) ON DELETE SET NULL$$),
  ('chat_sessions', 'chat_sessions_iso_agent_id_fkey', $$FOREIGN KEY (iso_agent_id) REFERENCES %iso_agents(id) ON DELETE CASCADE$$),
  ('chat_sessions', 'chat_sessions_primary_quote_id_fkey', $$FOREIGN KEY (primary_quote_id) REFERENCES %quotes(id) ON DELETE SET NULL$$),
  ('chat_sessions', 'chat_sessions_proposal_id_fkey', $$FOREIGN KEY (proposal_id) REFERENCES %proposals(id) ON DELETE SET NULL$$)
) as w (rel, name, wanted)
left join pg_catalog.pg_constraint k on k.conrelid = to_regclass('public.' || w.rel) and k.conname = w.name
where k.conname is null or not k.convalidated or pg_get_constraintdef(k.oid) not like w.wanted
order by 1
