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

-- Sessions that the old table does not accept. A restore brings back the archived content.
create table if not exists rethread_archive.sessions_behind (session_id uuid primary key, at timestamptz not null default now());
-- Sessions whose conversations were deleted since, but that rows of other tables reference. Those rows would
-- be deleted too, or lose their reference, so the sessions stay, without their messages.
create table rethread_archive.chat_sessions_kept (session_id uuid primary key);
revoke all on rethread_archive.sessions_behind, rethread_archive.chat_sessions_kept from public;

-- locks: none
do $$
declare
  item record;
begin
  for item in
    select c.conrelid::regclass as child, a.attname as name
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_attribute k on k.attrelid = c.confrelid and k.attname = 'id' and c.confkey = array[k.attnum]
    join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.contype = 'f' and c.conparentid = 0 and c.confrelid = 'public.chat_sessions'::regclass
    order by 1, 2
  loop
    execute format(
      'insert into rethread_archive.chat_sessions_kept (session_id)
       select distinct x.%1$I from %2$s x where x.%1$I is not null and not exists (select from public.conversations c where c.id = x.%1$I)
       on conflict do nothing', item.name, item.child);
  end loop;
end
$$;

-- Sessions that never became a conversation, and whose tenant or user is gone or has another key: no foreign
-- key has followed. They stay in the archive where it would have deleted them, or where the column must be
-- filled. Else it becomes null.
create table rethread_archive.chat_sessions_lacking (session_id uuid primary key);
revoke all on rethread_archive.chat_sessions_lacking from public;
-- locks: none
do $$
declare
  item record;
  lost bigint;
begin
  for item in
    select f.name, f.definition like '%ON DELETE CASCADE%' as deletes,
      max(m.definition) filter (where m.kind = 'lacking') as lacking, max(m.definition) filter (where m.kind = 'clearing') as clearing
    from rethread_archive.chat_sessions_manifest f
    join rethread_archive.chat_sessions_manifest m on m.name = f.name and m.kind in ('lacking', 'clearing')
    where f.kind = 'foreign key'
    group by f.name, f.definition
    order by f.name
  loop
    if item.deletes or item.clearing = '' then
      execute format(
        'insert into rethread_archive.chat_sessions_lacking (session_id)
         select s.id from public.chat_sessions s where %s and not exists (select from public.conversations c where c.id = s.id)
         on conflict do nothing', item.lacking);
      get diagnostics lost = row_count;
      if lost > 0 then
        raise notice 'Sessions that stay in rethread_archive.chat_sessions_deleted, because what % refers to is gone: %', item.name, lost;
      end if;
    end if;
  end loop;
end
$$;

-- Conversations that were deleted since, also with their owners, stay in the archive. What never became a
-- conversation comes back. Sessions of an earlier rollback with other columns keep a table of their own.
-- locks: rethread_archive.chat_sessions_deleted ACCESS EXCLUSIVE
do $$
declare
  n int := 1;
begin
  if to_regclass('rethread_archive.chat_sessions_deleted') is not null and (
    select count(distinct x.columns) > 1 from (
      select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ', ' order by a.attnum) as columns
      from pg_catalog.pg_attribute a
      where a.attrelid in ('public.chat_sessions'::regclass, to_regclass('rethread_archive.chat_sessions_deleted'))
        and a.attnum > 0 and not a.attisdropped
      group by a.attrelid) x
  ) then
    while to_regclass('rethread_archive.chat_sessions_deleted_' || n) is not null loop
      n := n + 1;
    end loop;
    execute format('alter table rethread_archive.chat_sessions_deleted rename to %I', 'chat_sessions_deleted_' || n);
  end if;
end
$$;
create table if not exists rethread_archive.chat_sessions_deleted (like public.chat_sessions);
with gone as (
  delete from public.chat_sessions s
  where not exists (select from public.conversations c where c.id = s.id)
    and not exists (select from rethread_archive.chat_sessions_kept k where k.session_id = s.id)
    and (exists (select from rethread_archive.chat_sessions_lacking l where l.session_id = s.id) or not exists (
      select from rethread_archive.quarantine q
      where q.relation = 'public.chat_sessions' and q.key = s.id::text and q.track = 'conversation-history'))
  returning s.*
)
insert into rethread_archive.chat_sessions_deleted select * from gone;

-- locks: public.chat_sessions SHARE ROW EXCLUSIVE
-- locks: public.tenants SHARE ROW EXCLUSIVE
-- locks: auth.users SHARE ROW EXCLUSIVE
do $$
declare
  item record;
  -- sessions come back as they are: no trigger of the application fires
  held text[] := rethread_archive.hold_off('public.chat_sessions', true, true);
  cleared bigint;
begin
  -- what the new application wrote has none of the columns that only the old one knows
  create trigger rethread_complete_returning before insert on public.chat_sessions
    for each row execute function chat_private.complete_session();
  begin
    insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
    select c.id, c.tenant_id, c.user_id, c.title, '[]', c.metadata, c.created_at, c.updated_at
    from public.conversations c
    where not exists (select from public.chat_sessions s where s.id = c.id);
    -- the key of a tenant or a user may have changed, which foreign keys carry to conversations only
    update public.chat_sessions s
    set tenant_id = case when exists (select from public.tenants t where t.id = s.tenant_id) then s.tenant_id else c.tenant_id end,
      user_id = case when exists (select from auth.users u where u.id = s.user_id) then s.user_id else c.user_id end,
      title = case when s.title is null and c.title = 'New Conversation' then null else c.title end, metadata = c.metadata,
      updated_at = case when s.updated_at is null and c.updated_at is not distinct from c.created_at then null else c.updated_at end
    from public.conversations c
    where c.id = s.id
      and (not exists (select from public.tenants t where t.id = s.tenant_id) or not exists (select from auth.users u where u.id = s.user_id)
        or c.title is distinct from coalesce(s.title, 'New Conversation') or c.metadata is distinct from s.metadata or c.updated_at is distinct from coalesce(s.updated_at, c.created_at));
    perform chat_private.rebuild_session(c.id) from public.conversations c;
  exception
    when lock_not_available or deadlock_detected then raise;
    when others then
      -- a column that must be filled, or a title that is too long, keeps no other session away: one by one
      for item in select c.* from public.conversations c loop
        begin
          insert into public.chat_sessions (id, tenant_id, user_id, title, messages, metadata, created_at, updated_at)
          select item.id, item.tenant_id, item.user_id, item.title, '[]', item.metadata, item.created_at, item.updated_at
          where not exists (select from public.chat_sessions s where s.id = item.id);
          update public.chat_sessions s
          set tenant_id = case when exists (select from public.tenants t where t.id = s.tenant_id) then s.tenant_id else item.tenant_id end,
            user_id = case when exists (select from auth.users u where u.id = s.user_id) then s.user_id else item.user_id end,
            title = case when s.title is null and item.title = 'New Conversation' then null else item.title end, metadata = item.metadata,
            updated_at = case when s.updated_at is null and item.updated_at is not distinct from item.created_at then null else item.updated_at end
          where s.id = item.id
            and (not exists (select from public.tenants t where t.id = s.tenant_id) or not exists (select from auth.users u where u.id = s.user_id)
              or item.title is distinct from coalesce(s.title, 'New Conversation') or item.metadata is distinct from s.metadata or item.updated_at is distinct from coalesce(s.updated_at, item.created_at));
          perform chat_private.rebuild_session(item.id);
        exception
          when lock_not_available or deadlock_detected then raise;
          when others then
            insert into rethread_archive.sessions_behind (session_id) values (item.id) on conflict do nothing;
        end;
      end loop;
  end;
  for item in select k.session_id as id from rethread_archive.chat_sessions_kept k loop
    begin
      update public.chat_sessions s set messages = '[]' where s.id = item.id;
    exception
      when lock_not_available or deadlock_detected then raise;
      when others then raise notice 'session % keeps its messages: %', item.id, sqlerrm;
    end;
  end loop;
  drop trigger rethread_complete_returning on public.chat_sessions;
  -- what a session that comes back refers to may be gone too
  for item in
    select m.name, m.definition as lacking, c.definition as clearing
    from rethread_archive.chat_sessions_manifest m
    join rethread_archive.chat_sessions_manifest c on c.name = m.name and c.kind = 'clearing'
    where m.kind = 'lacking' and c.definition <> ''
    order by m.name
  loop
    execute format('select count(*) from public.chat_sessions s where %s', item.lacking) into cleared;
    if cleared > 0 then
      perform rethread_archive.alter(format('update %s s set %s where %s', 'public.chat_sessions'::regclass, item.clearing, item.lacking));
      raise notice 'Sessions that come back without what % refers to, because it is gone: %', item.name, cleared;
    end if;
  end loop;
  perform rethread_archive.release(held);
  for item in select * from rethread_archive.chat_sessions_manifest where kind = 'foreign key' order by name loop
    execute format('alter table public.chat_sessions add constraint %I %s', item.name, item.definition);
  end loop;
end
$$;
drop table rethread_archive.chat_sessions_kept;
drop table rethread_archive.chat_sessions_lacking;
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
create trigger rethread_complete_session before insert on public.chat_sessions
  for each row when (coalesce(current_setting('rethread.in_step', true), '') = 'on')
  execute function chat_private.complete_session();
create trigger rethread_follow_session after insert or update or delete on public.chat_sessions
  for each row execute function chat_private.follow_session();
create trigger rethread_follow_truncation after truncate on public.chat_sessions
  for each statement execute function chat_private.follow_truncation();
