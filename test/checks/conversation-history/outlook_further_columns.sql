-- fault
alter table chat_sessions add column deleted_at timestamptz;
update chat_sessions set deleted_at = now() where title = 'Chat 3';
-- fix
update chat_sessions set deleted_at = null;
-- fault
alter table chat_sessions add column visibility text not null default 'private';
-- fix
alter table chat_sessions drop column visibility, drop column deleted_at;
