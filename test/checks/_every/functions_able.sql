-- fault
-- it may use the schema, and write none of its tables
alter function chat_private.fill_session() owner to authenticated;
-- fix
alter function chat_private.fill_session() owner to current_user;
-- fault
-- it may not even use the schema
alter function chat_private.touch_session() owner to anon;
-- fix
alter function chat_private.touch_session() owner to current_user;
