-- fault
alter table chat_sessions drop constraint chat_sessions_pkey cascade;
insert into chat_sessions (id, messages) select s.id, '[]' from chat_sessions s order by s.id limit 1;
-- fix
update chat_sessions s set id = gen_random_uuid() where messages = '[]' and exists (select from chat_sessions o where o.id = s.id and o.messages <> '[]');
-- fault
alter table chat_sessions alter column id drop not null;
insert into chat_sessions (id, messages) values (null, '[]');
-- fix
delete from chat_sessions where id is null;
