-- fault
alter table messages disable trigger rethread_follow_changed_messages;
-- fix
alter table messages enable trigger rethread_follow_changed_messages;
-- fault
drop trigger rethread_follow_session on chat_sessions;
