-- with: contract
-- fault
alter table chat_sessions drop constraint chat_sessions_pkey cascade;
-- fix
alter table chat_sessions add primary key (id);
