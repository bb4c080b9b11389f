--! title: Begin the dual write again, and drop the policies on messages

create trigger zzz_rethread_fill_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is null)
  execute function chat_private.fill_session();

create trigger rethread_fill_session_after_insert
  after insert on public.chats
  for each row when (new.session_id is null and new.workspace_id is not null)
  execute function chat_private.move_session();

create trigger rethread_move_session_on_update
  after update on public.chats
  for each row when (new.workspace_id is distinct from old.workspace_id and new.session_id is not distinct from old.session_id)
  execute function chat_private.move_session();

-- locks: public.chats SHARE ROW EXCLUSIVE
do $parted$
begin
  if (select c.relkind from pg_catalog.pg_class c where c.oid = 'public.chats'::regclass) = 'p' then
    create trigger zzz_rethread_fill_session_on_update
      before update on public.chats
      for each row when (new.workspace_id is distinct from old.workspace_id and new.session_id is not distinct from old.session_id)
      execute function chat_private.fill_session();
    create trigger rethread_touch_first_session_on_update
      after update on public.chats
      for each row when (new.session_id is not null and old.session_id is null and new.workspace_id is distinct from old.workspace_id)
      execute function chat_private.touch_session();
  end if;
end
$parted$;

drop trigger if exists rethread_check_session_on_insert on public.chats;
drop trigger if exists rethread_check_session_on_update on public.chats;
create trigger rethread_check_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is not null and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.guard_session('legacy');
create trigger rethread_check_session_on_update
  after update of session_id on public.chats
  for each row when (new.session_id is not null and new.session_id is distinct from old.session_id and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.guard_session('legacy');

-- locks: public.chats ACCESS EXCLUSIVE
do $$
declare
  part regclass;
begin
  for part in select to_regclass(c.relation) from chat_private.closed_partitions c where to_regclass(c.relation) is not null loop
    execute format('alter table %s disable row level security', part);
  end loop;
  if exists (
    select from pg_catalog.pg_policy p
    where p.polrelid = 'public.chats'::regclass and p.polname = 'chats_select'
      and obj_description(p.oid, 'pg_policy') = 'row security was off before'
  ) then
    alter table public.chats disable row level security;
  end if;
end
$$;

drop table if exists chat_private.closed_partitions;
drop policy if exists chats_select on public.chats;
drop policy if exists chats_insert on public.chats;
drop policy if exists chats_update on public.chats;
drop policy if exists chats_delete on public.chats;
