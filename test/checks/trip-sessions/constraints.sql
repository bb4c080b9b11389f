-- fault
alter table chat_sessions drop constraint chat_sessions_status_known;
-- fix
alter table chat_sessions add constraint chat_sessions_status_known check (status in ('active', 'paused', 'completed', 'archived'));
-- fault
alter table chat_sessions drop constraint chat_sessions_request_id_fkey;
