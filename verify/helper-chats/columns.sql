--! title: The tables have the columns, types and nullability that they should
--! after: 001_create_chat_tables

select w.rel || '.' || w.col as object,
  case when a.attname is null then 'missing'
    else format('is %s%s, should be %s%s', format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end, w.typ, case when w.required then ' not null' else '' end)
  end as detail
from (values
  ('chat_sessions', 'id', 'uuid', true),
  ('chat_sessions', 'user_id', 'uuid', true),
  ('chat_sessions', 'project_id', 'uuid', false),
  ('chat_sessions', 'helper', 'text', true),
  ('chat_sessions', 'thread_id', 'text', false),
  ('chat_sessions', 'title', 'text', true),
  ('chat_sessions', 'last_message_preview', 'text', false),
  ('chat_sessions', 'last_message_at', 'timestamp with time zone', false),
  ('chat_sessions', 'created_at', 'timestamp with time zone', true),
  ('chat_sessions', 'updated_at', 'timestamp with time zone', true),
  ('chat_messages', 'id', 'uuid', true),
  ('chat_messages', 'session_id', 'uuid', true),
  ('chat_messages', 'role', 'text', true),
  ('chat_messages', 'content', 'text', true),
  ('chat_messages', 'tool_calls', 'jsonb', false),
  ('chat_messages', 'search_results', 'jsonb', false),
  ('chat_messages', 'created_at', 'timestamp with time zone', true)
) as w (rel, col, typ, required)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass('public.' || w.rel) and a.attname = w.col and not a.attisdropped
where a.attname is null
  or format_type(a.atttypid, a.atttypmod) <> w.typ
  or a.attnotnull <> w.required
order by 1
