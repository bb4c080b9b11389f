--! title: The tables have the columns, types and nullability that they should
--! after: 001_create_conversations

select w.rel || '.' || w.col as object,
  case when a.attname is null then 'missing'
    else format('is %s%s, should be %s%s', format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end, w.typ, case when w.required then ' not null' else '' end)
  end as detail
from (values
  ('conversations', 'id', 'uuid', true),
  ('conversations', 'tenant_id', 'uuid', true),
  ('conversations', 'user_id', 'uuid', true),
  ('conversations', 'title', 'text', true),
  ('conversations', 'metadata', 'jsonb', false),
  ('conversations', 'created_at', 'timestamp with time zone', false),
  ('conversations', 'updated_at', 'timestamp with time zone', false),
  ('messages', 'id', 'uuid', true),
  ('messages', 'conversation_id', 'uuid', true),
  ('messages', 'role', 'character varying(20)', true),
  ('messages', 'content', 'text', true),
  ('messages', 'metadata', 'jsonb', false),
  ('messages', 'created_at', 'timestamp with time zone', false)
) as w (rel, col, typ, required)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass('public.' || w.rel) and a.attname = w.col and not a.attisdropped
where a.attname is null
  or format_type(a.atttypid, a.atttypmod) <> w.typ
  or a.attnotnull <> w.required
order by 1
