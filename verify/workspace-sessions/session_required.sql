--! title: A message without a session can't be written
--! after: 010_require_session

select 'chats.session_id' as object, 'may be null' as detail
from pg_catalog.pg_attribute a
where a.attrelid = to_regclass('public.chats') and a.attname = 'session_id' and not a.attnotnull
