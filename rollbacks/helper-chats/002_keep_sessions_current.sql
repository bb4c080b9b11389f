--! title: Stop bringing sessions up to date
--! catch-up: public.chat_sessions: chat_private.settle_session(id)

drop trigger if exists update_chat_session_on_message on public.chat_messages;
drop trigger if exists update_chat_session_on_edit on public.chat_messages;
drop trigger if exists update_chat_session_on_deletion on public.chat_messages;
drop trigger if exists limit_chat_sessions on public.chat_sessions;
drop function if exists chat_private.update_chat_session();
drop function if exists chat_private.times_written(uuid);
drop function if exists chat_private.settle_session(uuid);
drop function if exists chat_private.catch_up(uuid);
drop function if exists chat_private.put_back(regclass, jsonb);
drop function if exists chat_private.title_of(text);
drop function if exists chat_private.limit_chat_sessions();
drop table if exists chat_private.behind;
