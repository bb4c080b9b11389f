-- fault
insert into conversations (id, subject) values (md5('without a session')::uuid, 'alone');
-- fix
delete from conversations where subject = 'alone';
