-- fault
alter table codebase_chat_sessions disable row level security;
-- fix
alter table codebase_chat_sessions enable row level security;
-- fault
create policy anyone on codebase_chat_sessions for select to anon using (user_id is null);
-- fix
drop policy anyone on codebase_chat_sessions;
-- fault
alter policy codebase_chat_sessions_update on codebase_chat_sessions using (user_id is null or user_id = (select auth.uid()));
-- fault
drop policy codebase_chat_sessions_delete on codebase_chat_sessions;
