-- fault
-- an owner whom the policies bind
alter function chat_private.fill_session() owner to authenticated;
-- fix
alter function chat_private.fill_session() owner to current_user;
