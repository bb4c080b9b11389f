-- with: contract
-- fault
alter table chat_sessions disable row level security;
-- fix
alter table chat_sessions enable row level security;
