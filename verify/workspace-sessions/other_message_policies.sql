--! title: No older policy on messages gives more people access
--! fix: drop policy the one that is named, once the old application is gone.
--! level: warn
--! after: 011_follow_the_session

select p.polname::text as object, 'is permissive: its rows are seen whatever the session''s policies say' as detail
from pg_catalog.pg_policy p
where p.polrelid = to_regclass('public.chats') and p.polpermissive
  and p.polname not in ('chats_select', 'chats_insert', 'chats_update', 'chats_delete')
order by 1
