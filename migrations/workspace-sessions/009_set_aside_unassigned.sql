--! title: Move messages that fit no session from the table into the quarantine
--! phase: contract
--! hazard: QUARANTINES_ROWS
--! ends-old-app: from here on a message needs a session
--! table: public.chats
--! pending: c.session_id is null
--! until: 010_require_session

-- The engine copies every pending row to the quarantine first; only what was copied is deleted. Where this is
-- pasted into psql, copy them before:
--   insert into rethread_archive.quarantine (track, migration, relation, key, reason, original)
--   select 'workspace-sessions', '009_set_aside_unassigned', 'public.chats', chat_private.message_key(c.*),
--     'it has no session', to_jsonb(c.*)
--   from public.chats c where c.session_id is null on conflict do nothing;
delete from public.chats c
where c.session_id is null
  and exists (
    select from rethread_archive.quarantine q
    where q.migration = '009_set_aside_unassigned' and q.relation = 'public.chats' and q.key = chat_private.message_key(c.*)
  );
