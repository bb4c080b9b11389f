--! title: Bring up to date the sessions that could not be written together with a message
--! phase: backfill
--! undone-by: 002_keep_sessions_current
--! table: chat_private.behind
--! pending: b.caught_up_at is null

-- A session may be listed several times. To catch up twice changes nothing.
update chat_private.behind b
set caught_up_at = now()
where b.caught_up_at is null and chat_private.catch_up(b.session_id);
