-- fault
drop trigger zzz_rethread_fill_session_on_insert on chats;
-- fix
create trigger zzz_rethread_fill_session_on_insert before insert on public.chats
  for each row when (new.session_id is null) execute function chat_private.fill_session();
-- fault
drop trigger rethread_fill_session_after_insert on chats;
-- fix
create trigger rethread_fill_session_after_insert after insert on public.chats
  for each row when (new.session_id is null and new.workspace_id is not null) execute function chat_private.move_session();
-- fault
alter table chat_sessions disable trigger update_chat_sessions_updated_at;
-- fix
alter table chat_sessions enable trigger update_chat_sessions_updated_at;
