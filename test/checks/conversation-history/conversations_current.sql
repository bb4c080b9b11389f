-- fault
alter table messages disable trigger update_conversation_on_message;
insert into messages (conversation_id, role, content, created_at) select id, 'user', 'unnoticed', clock_timestamp() from conversations order by id limit 1;
alter table messages enable trigger update_conversation_on_message;
-- fix
insert into messages (conversation_id, role, content, created_at) select id, 'user', 'noticed', clock_timestamp() from conversations order by id limit 1;
-- fault
-- a time that is changed
alter table messages disable trigger update_conversation_on_change;
update messages set created_at = clock_timestamp() + interval '1 day' where content = 'noticed';
-- fix
alter table messages enable trigger update_conversation_on_change;
update messages set created_at = clock_timestamp() + interval '2 days' where content = 'noticed';
