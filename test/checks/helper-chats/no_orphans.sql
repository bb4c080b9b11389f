-- fault
set local session_replication_role = replica;
insert into chat_messages (session_id, role, content) values (gen_random_uuid(), 'user', 'of nothing');
-- fix
delete from chat_messages where content = 'of nothing';
-- fault
insert into chat_sessions (user_id, helper) values (gen_random_uuid(), 'planner');
