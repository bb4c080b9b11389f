-- fault
alter table chat_sessions drop constraint chat_sessions_thread_id_key;
-- fix
alter table chat_sessions add constraint chat_sessions_thread_id_key unique (thread_id);
-- fault
alter table chat_messages drop constraint chat_messages_session_id_fkey;
alter table chat_messages add constraint chat_messages_session_id_fkey foreign key (session_id) references chat_sessions (id);
