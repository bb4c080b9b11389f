--! title: Move chat_sessions from the application into the archive, unchanged
--! phase: contract
--! ends-old-app: chat_sessions is gone from the application's sight

drop trigger rethread_complete_session on public.chat_sessions;
drop trigger rethread_follow_session on public.chat_sessions;
drop trigger rethread_follow_truncation on public.chat_sessions;
drop trigger rethread_follow_conversation on public.conversations;
drop trigger rethread_guard_conversation_id on public.conversations;
drop trigger rethread_follow_added_messages on public.messages;
drop trigger rethread_follow_changed_messages on public.messages;
drop trigger rethread_follow_deleted_messages on public.messages;

-- The table moves with its indexes, triggers and policies. Its foreign keys would delete archived rows
-- together with live ones, so they are dropped and stored beside it, with its grants.
create schema if not exists rethread_archive;
create table if not exists rethread_archive.chat_sessions_manifest (kind text not null, name text not null, definition text not null);
revoke all on rethread_archive.chat_sessions_manifest from public;

-- locks: public.chat_sessions ACCESS EXCLUSIVE
-- locks: public.tenants ACCESS EXCLUSIVE
-- locks: auth.users ACCESS EXCLUSIVE
-- access: public.chat_sessions
do $$
declare
  old regclass := 'public.chat_sessions';
  item record;
begin
  for item in
    select k.conname, pg_get_constraintdef(k.oid) as def, x.*
    from pg_catalog.pg_constraint k
    join pg_catalog.pg_class c on c.oid = k.confrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    cross join lateral (
      -- which sessions a foreign key does not admit, and how they lose the reference
      select string_agg(format('s.%I is not null', a.attname), ' and ') || format(' and not exists (select from %I.%I o where ', n.nspname, c.relname)
          || string_agg(format('o.%I = s.%I', f.attname, a.attname), ' and ') || ')' as lacking,
        string_agg(format('%I = null', a.attname), ', ') filter (where not a.attnotnull) as clearing
      from unnest(k.conkey, k.confkey) as w (own, other)
      join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = w.own
      join pg_catalog.pg_attribute f on f.attrelid = k.confrelid and f.attnum = w.other
    ) x
    where k.conrelid = old and k.contype = 'f' order by k.conname
  loop
    insert into rethread_archive.chat_sessions_manifest values ('foreign key', item.conname, item.def);
    if item.def not like '%NOT VALID' then
      insert into rethread_archive.chat_sessions_manifest
      values ('lacking', item.conname, item.lacking), ('clearing', item.conname, coalesce(item.clearing, ''));
    end if;
    execute format('alter table public.chat_sessions drop constraint %I', item.conname);
  end loop;
  -- privileges on the table before those on its columns, which the former take along when they are revoked
  for item in
    select coalesce(quote_ident(r.rolname), 'public') as grantee, g.privilege, case when g.is_grantable then ' with grant option' else '' end as option
    from (
      select 1 as n, a.grantee, a.privilege_type as privilege, a.is_grantable
      from pg_catalog.pg_class c cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
      where c.oid = old and a.grantee <> c.relowner
      union all
      select 2, a.grantee, format('%s (%I)', a.privilege_type, k.attname), a.is_grantable
      from pg_catalog.pg_class c join pg_catalog.pg_attribute k on k.attrelid = c.oid and not k.attisdropped
      cross join lateral aclexplode(k.attacl) a
      where c.oid = old and a.grantee <> c.relowner) g
    left join pg_catalog.pg_roles r on r.oid = g.grantee
    order by g.n, 1, 2
  loop
    insert into rethread_archive.chat_sessions_manifest values ('grant', item.grantee || item.option, item.privilege);
    execute format('revoke %s on public.chat_sessions from %s cascade', item.privilege, item.grantee);
  end loop;
  alter table public.chat_sessions set schema rethread_archive;
end
$$;
