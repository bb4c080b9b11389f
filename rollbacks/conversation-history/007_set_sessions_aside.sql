--! title: Bring chat_sessions back, with what was written since

-- locks: rethread_archive.chat_sessions ACCESS EXCLUSIVE
do $$
declare
  item record;
begin
  alter table rethread_archive.chat_sessions set schema public;
  for item in select * from rethread_archive.chat_sessions_manifest order by kind, name loop
    if item.kind = 'grant' then
      execute format('grant %s on public.chat_sessions to %s', item.definition, item.name);
    end if;
  end loop;
end
$$;

-- Conversations deleted since, with their tenants and users too, stay in the archive; what was never
-- a conversation comes back.
create table if not exists rethread_archive.chat_sessions_deleted (like public.chat_sessions);
with gone as (
  delete from public.chat_sessions s
  where not exists (select from public.conversations c where c.id = s.id)
    and not exists (
      select from rethread_archive.quarantine q
      where q.relation = 'public.chat_sessions' and q.key = s.id::text and q.track = 'conversation-history')
  returning s.*
)
insert into rethread_archive.chat_sessions_deleted select * from gone;

-- locks: public.chat_sessions SHARE ROW EXCLUSIVE
-- locks: public.tenants SHARE ROW EXCLUSIVE
-- locks: auth.users SHARE ROW EXCLUSIVE
do $$
declare
  item record;
  held text[] := rethread_archive.hold_off('public.chat_sessions', true, true);
begin
  -- sessions come back as they are: no trigger of the application fires
  insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
  select c.id, c.tenant_id, c.user_id, c.title, '[]', c.metadata, c.created_at, c.updated_at
  from public.conversations c
  where not exists (select from public.chat_sessions s where s.id = c.id);
  update public.chat_sessions s
  set title = case when s.title is null and c.title = 'New Conversation' then null else c.title end, metadata = c.metadata, updated_at = c.updated_at
  from public.conversations c
  where c.id = s.id
    and (c.title is distinct from coalesce(s.title, 'New Conversation') or c.metadata is distinct from s.metadata or c.updated_at is distinct from s.updated_at);
  perform chat_private.rebuild_session(c.id) from public.conversations c;
  perform rethread_archive.release(held);
  for item in select * from rethread_archive.chat_sessions_manifest where kind = 'foreign key' order by name loop
    execute format('alter table public.chat_sessions add constraint %I %s', item.name, item.definition);
  end loop;
end
$$;
drop table rethread_archive.chat_sessions_manifest;

create trigger rethread_guard_conversation_id before insert or update of id on public.conversations
  for each row execute function chat_private.guard_conversation_id();
create trigger rethread_follow_conversation after insert or update or delete on public.conversations
  for each row execute function chat_private.follow_conversation();
create trigger rethread_follow_added_messages after insert on public.messages
  referencing new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_changed_messages after update on public.messages
  referencing old table as old_rows new table as new_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_deleted_messages after delete on public.messages
  referencing old table as old_rows for each statement execute function chat_private.follow_messages();
create trigger rethread_follow_session after insert or update or delete on public.chat_sessions
  for each row execute function chat_private.follow_session();
