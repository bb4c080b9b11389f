-- with: contract
-- fix
alter table workspaces enable row level security;
-- fault
alter table chat_sessions disable row level security;
-- fix
alter table chat_sessions enable row level security;
-- fault
create table more_chats () inherits (chats);
grant select (message) on more_chats to anon;
-- fix
alter table more_chats enable row level security;
-- fault
alter table workspaces disable row level security;
-- fix
revoke all on workspaces from anon, authenticated;
