--! title: A message without a session cannot be written
--! fix: Run rethread backfill, then alter table ... alter column session_id set not null.
--! after: 010_require_session

select 'chats.session_id' as object, 'may be null, or is not there' as detail
where not exists (
  select from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass('public.chats') and a.attname = 'session_id' and a.attnotnull)
