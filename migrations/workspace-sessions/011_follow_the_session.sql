--! title: Show messages to those who may see their session, and end the dual write
--! phase: contract
--! ends-old-app: the database no longer fills in session_id, and messages follow the policies of their session

drop trigger zzz_rethread_fill_session_on_insert on public.chats;
-- these only exist if messages are partitioned
drop trigger if exists zzz_rethread_fill_session_on_update on public.chats;
drop trigger if exists rethread_touch_first_session_on_update on public.chats;
drop trigger rethread_fill_session_after_insert on public.chats;
drop trigger rethread_move_session_on_update on public.chats;

-- From here on, the writer must choose a session, which must be their own. A session of another workspace is
-- also refused when a message moves.
drop trigger rethread_check_session_on_insert on public.chats;
drop trigger rethread_check_session_on_update on public.chats;
create trigger rethread_check_session_on_insert
  before insert on public.chats
  for each row when (new.session_id is not null and row_security_active('public.chat_sessions'::regclass))
  execute function chat_private.guard_session();
create trigger rethread_check_session_on_update
  after update of session_id, workspace_id on public.chats
  for each row when (row_security_active('public.chat_sessions'::regclass)
    and (new.session_id is distinct from old.session_id or new.workspace_id is distinct from old.workspace_id))
  execute function chat_private.guard_session();

-- what the backfill collected is no longer needed
truncate chat_private.legacy_parts, chat_private.legacy_sessions;

create policy chats_select on public.chats for select to authenticated
  using (exists (
    select from public.chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())));
create policy chats_insert on public.chats for insert to authenticated
  with check (exists (
    select from public.chat_sessions s
    where s.id = chats.session_id and s.user_id = (select auth.uid())
      and s.workspace_id is not distinct from chats.workspace_id));
create policy chats_update on public.chats for update to authenticated
  using (exists (
    select from public.chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())))
  with check (exists (
    select from public.chat_sessions s
    where s.id = chats.session_id and s.user_id = (select auth.uid())
      and s.workspace_id is not distinct from chats.workspace_id));
create policy chats_delete on public.chats for delete to authenticated
  using (exists (
    select from public.chat_sessions s where s.id = chats.session_id and s.user_id = (select auth.uid())));

-- The rollback must restore row security as it was; the policy records that.
-- locks: none
do $$
begin
  execute format('comment on policy chats_select on public.chats is %L',
    case when (select relrowsecurity from pg_catalog.pg_class where oid = 'public.chats'::regclass)
      then 'row security was on before' else 'row security was off before' end);
end
$$;

alter table public.chats enable row level security;

-- Reading a partition directly bypasses the policies of the table. A partition with row security and without
-- policies is closed to users of the API. The rollback must open those again that were open.
create table chat_private.closed_partitions (relation text primary key);
revoke all on chat_private.closed_partitions from public, anon, authenticated, service_role;
-- locks: public.chats ACCESS EXCLUSIVE
-- access: partitions of public.chats
do $$
declare
  part text;
begin
  for part in
    select format('%I.%I', n.nspname, c.relname)
    from pg_catalog.pg_partition_tree('public.chats'::regclass) p
    join pg_catalog.pg_class c on c.oid = p.relid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where p.level > 0 and not c.relrowsecurity
  loop
    execute format('alter table %s enable row level security', part);
    insert into chat_private.closed_partitions (relation) values (part);
  end loop;
end
$$;
