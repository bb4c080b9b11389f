-- fault
alter table messages drop constraint messages_role_known;
-- fix
alter table messages add constraint messages_role_known check (role in ('user', 'assistant', 'system'));
-- fault
alter table messages drop constraint messages_conversation_id_fkey;
