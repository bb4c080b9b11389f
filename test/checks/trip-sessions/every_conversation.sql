-- fault
delete from chat_sessions where id = (select id from chat_sessions limit 1);
-- fault
insert into conversations (id, subject) values (md5('left out')::uuid, 'left out');
