-- fault
drop index idx_messages_conversation_created;
-- fix
create index idx_messages_conversation_created on messages (conversation_id, created_at);
-- fault
update pg_index set indisvalid = false where indexrelid = 'idx_conversations_user_recent'::regclass;
