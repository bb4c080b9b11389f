-- fault
insert into chat_sessions (user_id, helper) select id, 'planner' from auth.users limit 1;
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
create trigger refuse before update on chat_sessions for each row execute function refuse();
insert into chat_messages (session_id, role, content) select id, 'user', 'while it was broken' from chat_sessions;
drop trigger refuse on chat_sessions;
-- fix
insert into chat_messages (session_id, role, content) select id, 'user', 'the next message' from chat_sessions;
