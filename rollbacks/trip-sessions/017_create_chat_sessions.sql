--! title: Take chat_sessions and its functions away
--! ours: public.chat_sessions: id = md5('rethread:legacy:' || conversation_id)::uuid
--! superseded: exists (select from public.chat_sessions o where o.conversation_id = chat_sessions.conversation_id and o.id <> chat_sessions.id)

drop function if exists public.create_or_update_chat_session(uuid, uuid, uuid, text, text);
drop function if exists public.set_chat_session_trip(uuid, text, text, text, uuid, text);
drop function if exists public.touch_chat_session(uuid);
drop function if exists public.complete_chat_session(uuid);
drop function if exists public.archive_idle_chat_sessions(interval);
drop table if exists public.chat_sessions;
drop function if exists chat_private.can_use_request(uuid);
drop function if exists chat_private.current_agent_id();

-- locks: none
do $$
begin
  if not exists (select from pg_catalog.pg_depend where refobjid = to_regnamespace('chat_private') and deptype = 'n') then
    drop schema if exists chat_private;
  end if;
end
$$;
