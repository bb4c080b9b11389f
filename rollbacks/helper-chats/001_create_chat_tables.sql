--! title: Drop chat_messages and chat_sessions

drop trigger if exists rethread_keep_chats_of_others on public.projects;
drop function if exists chat_private.keep_chats_of_others();
drop function if exists chat_private.kept_rows(regclass, name, uuid);
drop function if exists chat_private.has_used_time(numeric);
drop table if exists chat_private.kept_chats;
drop table if exists public.chat_messages;
drop table if exists public.chat_sessions;
drop function if exists chat_private.can_use_project(uuid);

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
