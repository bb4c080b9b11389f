--! title: Drop chat_sessions
--! ours: public.chat_sessions: chat_private.is_legacy_session(id, workspace_id, user_id)
--!   and (chat_private.legacy_pause() is null or coalesce(current_setting('rethread.restoring', true), '') <> 'on')
--! superseded: not exists (select from public.chats c where c.session_id = chat_sessions.id)

drop table if exists public.chat_sessions;
drop function if exists chat_private.reserve_legacy_ids();
drop function if exists chat_private.can_use_workspace(uuid);
drop function if exists chat_private.is_made_again(uuid, uuid, uuid);
drop function if exists chat_private.is_legacy_session(uuid, uuid, uuid);
drop function if exists chat_private.legacy_opening(timestamptz, text, text);
drop function if exists chat_private.text_said(text);
drop function if exists chat_private.legacy_slot(timestamptz);
drop function if exists chat_private.legacy_pause();
drop function if exists chat_private.legacy_author(uuid);
drop function if exists chat_private.legacy_session_id(uuid, uuid, timestamptz);
drop function if exists chat_private.legacy_id_from(uuid, text);
drop function if exists chat_private.legacy_start(timestamptz);
drop function if exists chat_private.legacy_seconds(timestamptz);
drop function if exists chat_private.session_workspace(uuid);

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
