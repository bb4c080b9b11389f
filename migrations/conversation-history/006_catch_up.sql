--! title: Bring up to date the sessions whose other side could not be written with the application's statement
--! phase: backfill
--! undone-by: 002_keep_both_in_step
--! table: chat_private.behind
--! unit: tenant_id
--! pending: b.caught_up_at is null

-- A session may be listed several times. To catch up twice changes nothing.
update chat_private.behind b
set caught_up_at = now()
where b.caught_up_at is null and chat_private.catch_up(b.session_id);
