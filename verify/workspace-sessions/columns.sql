--! title: chat_sessions and chats.session_id have the columns, types and nullability that they should
--! after: 002_link_chats_to_sessions

select w.rel || '.' || w.col as object,
  case when a.attname is null then 'missing'
    else format('is %s%s, should be %s%s', format_type(a.atttypid, a.atttypmod),
      case when a.attnotnull then ' not null' else '' end, w.typ, case when w.required then ' not null' else '' end)
  end as detail
from (values
  ('chat_sessions', 'id', 'uuid', true),
  ('chat_sessions', 'workspace_id', 'uuid', true),
  ('chat_sessions', 'user_id', 'uuid', true),
  ('chat_sessions', 'title', 'text', true),
  ('chat_sessions', 'created_at', 'timestamp with time zone', true),
  ('chat_sessions', 'updated_at', 'timestamp with time zone', true),
  ('chat_sessions', 'deleted_at', 'timestamp with time zone', false),
  ('chats', 'session_id', 'uuid', null)
) as w (rel, col, typ, required)
left join pg_catalog.pg_attribute a
  on a.attrelid = to_regclass('public.' || w.rel) and a.attname = w.col and not a.attisdropped
where a.attname is null
  or format_type(a.atttypid, a.atttypmod) <> w.typ
  or a.attnotnull <> coalesce(w.required, a.attnotnull)
union all
select 'chat_sessions.title', 'a blank title is not refused'
where not exists (
  select from pg_catalog.pg_constraint k
  where k.conrelid = to_regclass('public.chat_sessions') and k.contype = 'c' and k.convalidated
    and pg_get_constraintdef(k.oid) like '%title ~ %')
union all
select 'chat_sessions.title', 'has no default ''New Chat'''
where not exists (
  select from pg_catalog.pg_attrdef d
  join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  where d.adrelid = to_regclass('public.chat_sessions') and a.attname = 'title'
    and pg_get_expr(d.adbin, d.adrelid) = '''New Chat''::text')
order by 1, 2
