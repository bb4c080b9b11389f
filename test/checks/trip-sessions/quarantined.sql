-- fix
delete from rethread_archive.quarantine;
-- fault
insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
select 'trip-sessions', '018_sessions_of_conversations', 'public.conversations', c.id, 'a reason', '{}'
from conversations c where not exists (select from chat_sessions s where s.conversation_id = c.id) limit 1;
