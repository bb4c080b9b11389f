--! title: Older policies on messages that would give more people access
--! level: warn
--! kind: outlook

-- From 011 on, messages follow their session. A permissive policy that is older is asked beside the new ones.
select 'older policies on messages' as object,
  format('%s: they stay, and a row that one of them allows is seen whatever the session''s policies say. Drop them once the old application is gone: %s',
    count(*), string_agg(format('drop policy %I on %I.%I;', p.polname, n.nspname, c.relname), ' ' order by p.polname)) as detail
from pg_catalog.pg_policy p
join pg_catalog.pg_class c on c.oid = p.polrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where p.polrelid = to_regclass('public.chats') and p.polpermissive
  and p.polname not in ('chats_select', 'chats_insert', 'chats_update', 'chats_delete')
having count(*) > 0
