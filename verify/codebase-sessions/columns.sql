--! title: The tables have the columns, types and nullability that they should
--! after: 001_create_codebase_chat_sessions

select w.rel || '.' || w.col as object,
  case when a.attname is null then 'missing'
    else format('is %s%s, should be %s%s', format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end, w.typ, case when w.required then ' not null' else '' end)
  end as detail
from (values
  ('codebase_chat_sessions', 'id', 'uuid', true),
  ('codebase_chat_sessions', 'session_id', 'text', true),
  ('codebase_chat_sessions', 'user_id', 'uuid', false),
  ('codebase_chat_sessions', 'repo', 'text', false),
  ('codebase_chat_sessions', 'current_file', 'text', false),
  ('codebase_chat_sessions', 'conversation_history', 'jsonb', true),
  ('codebase_chat_sessions', 'context_cache', 'jsonb', false),
  ('codebase_chat_sessions', 'metadata', 'jsonb', false),
  ('codebase_chat_sessions', 'last_activity', 'timestamp with time zone', true),
  ('codebase_chat_sessions', 'created_at', 'timestamp with time zone', true),
  ('codebase_chat_sessions', 'updated_at', 'timestamp with time zone', true)
) as w (rel, col, typ, required)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass('public.' || w.rel) and a.attname = w.col and not a.attisdropped
where a.attname is null
  or format_type(a.atttypid, a.atttypmod) <> w.typ
  or a.attnotnull <> w.required
order by 1
