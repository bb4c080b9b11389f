--! title: Drop session_id of messages
--! ours: public.chats.session_id: (chat_private.legacy_pause() is null or coalesce(current_setting('rethread.restoring', true), '') = 'on')
--!   and session_id not in (select s.id from public.chat_sessions s where not chat_private.is_made_again(s.id, s.workspace_id, s.user_id))
--! catch-up: public.chat_sessions: chat_private.settle_session(id)

drop trigger if exists zzz_rethread_fill_session_on_insert on public.chats;
drop trigger if exists zzz_rethread_fill_session_on_update on public.chats;
drop trigger if exists rethread_touch_first_session_on_update on public.chats;
drop trigger if exists rethread_fill_session_after_insert on public.chats;
drop trigger if exists rethread_move_session_on_update on public.chats;
drop trigger if exists rethread_check_session_on_insert on public.chats;
drop trigger if exists rethread_check_session_on_update on public.chats;
drop trigger if exists update_chat_session_on_message on public.chats;
drop trigger if exists update_chat_session_on_change on public.chats;
drop trigger if exists rethread_keep_session on public.chat_sessions;
drop trigger if exists rethread_leave_workspace on public.chat_sessions;
drop function if exists chat_private.leave_workspace();
drop function if exists chat_private.free_legacy_id(uuid, uuid);
drop function if exists chat_private.message_key(public.chats);
drop function if exists chat_private.keep_session();
drop function if exists chat_private.guard_session();
drop function if exists chat_private.times_written(uuid);
drop function if exists chat_private.touch_session();
drop function if exists chat_private.settle_session(uuid);
drop function if exists chat_private.catch_up(uuid);
drop function if exists chat_private.fill_session();
drop function if exists chat_private.note_lost(text, uuid);
drop function if exists chat_private.goes_along(uuid, uuid, uuid);
drop function if exists chat_private.move_session();
drop function if exists chat_private.make_legacy_session(uuid, uuid, timestamptz, text);
drop function if exists chat_private.legacy_session_of(uuid, uuid, timestamptz);
drop function if exists chat_private.put_legacy_session(uuid, uuid, uuid, timestamptz, timestamptz, text, text[]);
drop function if exists chat_private.application_path();
drop function if exists chat_private.application_schemas();
drop function if exists chat_private.has_used_time(numeric);
drop table if exists chat_private.behind;
drop table if exists chat_private.legacy_sessions;
drop table if exists chat_private.legacy_parts;
alter table public.chats drop column if exists session_id;
