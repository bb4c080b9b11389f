-- fault
alter table public.chat_sessions alter user_id drop not null;
insert into public.chat_sessions (user_id, title) values (null, 'Nobody''s');
-- fix
delete from public.chat_sessions s where s.user_id is null;
