--! title: Every message has a session, or is in the quarantine with a reason
--! fix: rethread backfill assigns a message that has no session. For one whose session is gone, put the
--!   session back (rethread restore, or a backup), or give the message another: update ... set session_id.
--! after: 005_assign_messages
--! gate: 006_index_and_constrain

-- As a gate it ignores messages whose session was deleted: 007 releases them.
select c.id::text as object,
  format('no session, workspace %s, not in the quarantine', coalesce(c.workspace_id::text, 'null')) as detail
from public.chats c
where c.session_id is null
  and not exists (
    select from rethread_archive.quarantine q where q.relation = 'public.chats' and q.key = chat_private.message_key(c.*))
union all
select c.id::text, format('its session %s does not exist', c.session_id)
from public.chats c
where c.session_id is not null and coalesce(current_setting('rethread.gate', true), 'no') = 'no'
  and not exists (select from public.chat_sessions s where s.id = c.session_id)
