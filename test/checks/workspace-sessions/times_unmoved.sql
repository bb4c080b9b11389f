-- fault
alter table public.chats add column updated_at timestamptz;
alter table public.chats disable trigger user;
do $$ begin
  update public.chats set updated_at = now() where created_at < now();
  insert into rethread.batches (backfill, relation, xid, rows, ms)
  select id, 'public.chats', pg_current_xact_id(), 1, 1 from rethread.backfills where migration = '005_assign_messages';
end $$;
-- fix
update public.chats set updated_at = created_at;
