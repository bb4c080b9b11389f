-- fault
-- a chat that was copied after the new application wrote in it
insert into public.messages (conversation_id, role, content) select id, 'user', 'from the new application' from public.conversations where title = 'Chat 1';
insert into public.chat_sessions (tenant_id, user_id, title, messages) select tenant_id, user_id, 'copy', messages from public.chat_sessions where title = 'Chat 1';
-- fix
delete from public.chat_sessions where title = 'copy';
-- fault
update public.chat_sessions set messages = messages || '[{"role": "user", "content": "forged", "rethread_id": "00000000-0000-4000-8000-000000000001", "rethread_seal": "0"}]' where title = 'Chat 2';
-- fix
update public.chat_sessions set messages = messages - -1 where title = 'Chat 2';
