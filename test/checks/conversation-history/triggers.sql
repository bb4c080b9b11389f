-- fault
alter table messages disable trigger rethread_follow_message;
-- fix
alter table messages enable trigger rethread_follow_message;
-- fault
drop trigger rethread_follow_session on chat_sessions;
