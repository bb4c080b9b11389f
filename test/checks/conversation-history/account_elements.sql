-- fault
alter table messages disable trigger user;
delete from messages where id = (select id from messages where exists (select from chat_sessions s where s.id = messages.conversation_id) order by id limit 1);
