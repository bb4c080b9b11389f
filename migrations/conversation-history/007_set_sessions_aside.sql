--! title: Take chat_sessions out of the application, untouched, into the archive
--! phase: contract
--! ends-old-app: chat_sessions is gone from the application's sight

drop trigger rethread_follow_session on public.chat_sessions;
drop trigger rethread_follow_conversation on public.conversations;
drop trigger rethread_guard_conversation_id on public.conversations;
drop trigger rethread_follow_added_messages on public.messages;
drop trigger rethread_follow_changed_messages on public.messages;
drop trigger rethread_follow_deleted_messages on public.messages;

-- The table moves with its indexes, triggers and policies. Its foreign keys would delete archived rows along
-- with live ones: they are cut and written down beside it, as are its grants.
create schema if not exists rethread_archive;
create table if not exists rethread_archive.chat_sessions_manifest (kind text not null, name text not null, definition text not null);
revoke all on rethread_archive.chat_sessions_manifest from public;

-- locks: public.chat_sessions ACCESS EXCLUSIVE
-- locks: public.tenants ACCESS EXCLUSIVE
-- locks: auth.users ACCESS EXCLUSIVE
do $$
declare
  old regclass := 'public.chat_sessions';
  item record;
begin
  for item in
    select conname, pg_get_constraintdef(oid) as def from pg_catalog.pg_constraint where conrelid = old and contype = 'f' order by conname
  loop
    insert into rethread_archive.chat_sessions_manifest values ('foreign key', item.conname, item.def);
    execute format('alter table public.chat_sessions drop constraint %I', item.conname);
  end loop;
  for item in
    select coalesce(quote_ident(g.rolname), 'public') as grantee, a.privilege_type as privilege
    from pg_catalog.pg_class c cross join lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
    left join pg_catalog.pg_roles g on g.oid = a.grantee
    where c.oid = old and a.grantee <> c.relowner
    order by 1, 2
  loop
    insert into rethread_archive.chat_sessions_manifest values ('grant', item.grantee, item.privilege);
    execute format('revoke %s on public.chat_sessions from %s', item.privilege, item.grantee);
  end loop;
  alter table public.chat_sessions set schema rethread_archive;
end
$$;
