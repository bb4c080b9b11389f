-- with: contract
-- fault
alter table chat_sessions drop constraint chat_sessions_title_not_blank;
-- fault
alter table chat_sessions add constraint chat_sessions_title_not_blank check (length(title) > 0);
-- fix
alter table chat_sessions drop constraint chat_sessions_title_not_blank;
alter table chat_sessions add constraint chat_sessions_title_not_blank check (title ~ '\S');
-- fault
alter table chat_sessions drop constraint chat_sessions_title_not_blank;
alter table chat_sessions add constraint chat_sessions_title_not_blank check (title ~ '\S') not valid;
-- fix
alter table chat_sessions validate constraint chat_sessions_title_not_blank;
