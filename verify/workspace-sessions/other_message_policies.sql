--! title: No older policy on messages gives more people access
--! fix: Run the statement at the end of the detail, once the old application is gone.
--! level: warn
--! after: 011_follow_the_session

select p.polname::text as object,
  'is permissive: its rows are seen whatever the session''s policies say. ' || format('drop policy %I on %I.%I;', p.polname, n.nspname, c.relname) as detail
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where p.polrelid = to_regclass('public.chats') and p.polpermissive
  and p.polname not in ('chats_select', 'chats_insert', 'chats_update', 'chats_delete')
order by 1
