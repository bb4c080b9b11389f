-- fault
-- a message that could not get its session
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
create trigger refuse before insert on chat_sessions for each row execute function refuse();
with room as (
  insert into workspaces (id, name, owner_id) values (md5('a new workspace')::uuid, 'New', md5('user 1')::uuid) returning id, owner_id
)
insert into chats (id, workspace_id, user_id, message) select md5('left behind')::uuid, id, owner_id, 'hello' from room;
-- fix
drop trigger refuse on chat_sessions;
update chats set session_id = chat_private.make_legacy_session(workspace_id, user_id, created_at) where id = md5('left behind')::uuid;
-- fault
-- a session whose time did not move
create function refuse_time() returns trigger language plpgsql as $$ begin raise lock_not_available; end $$;
create trigger refuse_time before update on chat_sessions for each row execute function refuse_time();
insert into chats (workspace_id, user_id, message, session_id, created_at)
select workspace_id, user_id, 'hello', id, now() + interval '1 minute' from chat_sessions order by id limit 1;
drop trigger refuse_time on chat_sessions;
-- fix
select chat_private.catch_up(id) from chat_sessions order by id limit 1;
-- fault
-- a message that moved, whose session a trigger of the application does not let change
create function refuse_session() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
create trigger refuse_session before update on chats for each row
  when (new.session_id is distinct from old.session_id) execute function refuse_session();
update chats set workspace_id = (select w.id from workspaces w where w.id <> chats.workspace_id and w.owner_id is not null order by w.id limit 1)
where id = (select c.id from chats c where c.session_id is not null order by c.id limit 1);
-- fix
drop trigger refuse_session on chats;
select chat_private.settle_session(s.id) from chat_sessions s
where exists (select from chats c where c.session_id = s.id and c.workspace_id <> s.workspace_id);
