-- fault
alter table chat_sessions drop constraint chat_sessions_title_not_blank;
-- fix
alter table chat_sessions add constraint chat_sessions_title_not_blank check (title ~ '\S');
