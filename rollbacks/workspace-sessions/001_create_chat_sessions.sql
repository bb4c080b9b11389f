--! title: Take chat_sessions away
--! ours: public.chat_sessions: id in (chat_private.legacy_session_id(workspace_id, user_id), chat_private.legacy_session_id(workspace_id, null))
--! superseded: not exists (select from public.chats c where c.session_id = chat_sessions.id)

drop table if exists public.chat_sessions;
drop function if exists chat_private.reserve_legacy_ids();
drop function if exists chat_private.can_use_workspace(uuid);
drop function if exists chat_private.legacy_session_id(uuid, uuid);
drop function if exists chat_private.legacy_author(uuid);
drop function if exists chat_private.session_workspace(uuid);

-- locks: none
do $$
begin
  if not exists (select from pg_catalog.pg_depend where refobjid = to_regnamespace('chat_private') and deptype = 'n') then
    drop schema if exists chat_private;
  end if;
end
$$;
