-- with: contract
-- fault
create policy older on chats for select to authenticated using (true);
-- fix
drop policy older on chats;
