-- fix
delete from rethread_archive.quarantine;
-- fault
insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
values ('conversation-history', '005_set_aside_elements', 'public.chat_sessions', 'x:1', 'it has no role', '{}');
