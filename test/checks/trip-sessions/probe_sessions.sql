-- fault
create or replace function complete_chat_session(session uuid) returns void language sql set search_path = pg_catalog, pg_temp
as $$ update public.chat_sessions s set status = 'completed' where s.id = session $$;
