--! title: Drop messages and conversations; chat_sessions has all of them
--! ours: public.conversations: true; public.messages: true
--! mirrored: public.conversations: id not in (select b.session_id from rethread_archive.sessions_behind b);
--!   public.messages: conversation_id not in (select b.session_id from rethread_archive.sessions_behind b)
--! alike: public.conversations: tenant_id, user_id, title, metadata, created_at, updated_at;
--!   public.messages: conversation_id, role, content

drop table if exists public.messages;
drop table if exists public.conversations;
drop function if exists chat_private.tenant_role(uuid);

-- locks: none
do $$
begin
  -- one that was there before may be another role's
  if not exists (select from pg_catalog.pg_depend where refobjid = to_regnamespace('chat_private') and deptype = 'n')
    and exists (select from pg_catalog.pg_namespace n where n.nspname = 'chat_private' and pg_has_role(n.nspowner, 'usage')) then
    drop schema if exists chat_private;
  end if;
end
$$;
