--! title: The tables have the columns, types and nullability that they should
--! after: 017_create_chat_sessions

select w.rel || '.' || w.col as object,
  case when a.attname is null then 'missing'
    else format('is %s%s, should be %s%s', format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end, w.typ, case when w.required then ' not null' else '' end)
  end as detail
from (values
  ('chat_sessions', 'id', 'uuid', true),
  ('chat_sessions', 'conversation_id', 'uuid', true),
  ('chat_sessions', 'request_id', 'uuid', false),
  ('chat_sessions', 'iso_agent_id', 'uuid', true),
  ('chat_sessions', 'status', 'text', true),
  ('chat_sessions', 'avinode_trip_id', 'text', false),
  ('chat_sessions', 'avinode_rfp_id', 'text', false),
  ('chat_sessions', 'avinode_rfq_id', 'text', false),
  ('chat_sessions', 'primary_quote_id', 'uuid', false),
  ('chat_sessions', 'proposal_id', 'uuid', false),
  ('chat_sessions', 'session_started_at', 'timestamp with time zone', true),
  ('chat_sessions', 'last_activity_at', 'timestamp with time zone', true),
  ('chat_sessions', 'session_ended_at', 'timestamp with time zone', false),
  ('chat_sessions', 'current_step', 'text', false),
  ('chat_sessions', 'workflow_state', 'jsonb', true),
  ('chat_sessions', 'message_count', 'integer', true),
  ('chat_sessions', 'quotes_requested_count', 'integer', true),
  ('chat_sessions', 'quotes_received_count', 'integer', true),
  ('chat_sessions', 'metadata', 'jsonb', true),
  ('chat_sessions', 'created_at', 'timestamp with time zone', true),
  ('chat_sessions', 'updated_at', 'timestamp with time zone', true)
) as w (rel, col, typ, required)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass('public.' || w.rel) and a.attname = w.col and not a.attisdropped
where a.attname is null
  or format_type(a.atttypid, a.atttypmod) <> w.typ
  or a.attnotnull <> w.required
order by 1
