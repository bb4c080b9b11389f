--! title: Every write of the old application has reached the sessions, and no session remained after its workspace or account was deleted
--! fix: rethread backfill gives these messages their session; the time of a session moves with its next
--!   message; a message that moved follows as its line says; delete again a session that outlived its workspace or account, its messages stay.
--! after: 002_link_chats_to_sessions
--! gate: 009_set_aside_unassigned
--! mutant: insert into chat_private.behind (message, session_id, operation, sqlstate)
--!   select 'a mutant', id, 'touch', '55P03' from public.chat_sessions limit 1;
--!   update public.chat_sessions set updated_at = '2000-01-01'

-- What could not be done at once and is still not done. `rethread backfill` gives messages their session. The
-- next message updates the time of a session, or `select chat_private.catch_up(session_id)`. A session that
-- stayed disappears when somebody deletes it again; its messages stay.
select b.message as object, format('no session since the %s, SQLSTATE %s', b.operation, min(b.sqlstate)) as detail
from chat_private.behind b
join public.chats c on c.id::text = b.message
where b.operation in ('INSERT', 'UPDATE') and c.session_id is null
  and not exists (select from rethread_archive.quarantine q where q.relation = 'public.chats' and q.key = chat_private.message_key(c.*))
group by b.message, b.operation
union all
select b.message,
  format('it moved to another workspace and could not leave its session %s, SQLSTATE %s: fix the trigger of the application that raises, then select chat_private.settle_session(%L)',
    c.session_id, min(b.sqlstate), c.session_id)
from chat_private.behind b
join public.chats c on c.id::text = b.message and c.session_id = b.session_id
join public.chat_sessions s on s.id = c.session_id
where b.operation = 'UPDATE' and c.workspace_id <> s.workspace_id
group by b.message, c.session_id
union all
select b.session_id::text, format('its time is before that of its newest message, SQLSTATE %s', min(b.sqlstate))
from chat_private.behind b
join public.chat_sessions s on s.id = b.session_id
where b.operation = 'touch' and exists (
  select from public.chats c where c.session_id = s.id and c.created_at > s.updated_at)
group by b.session_id
union all
select b.session_id::text,
  format('it was deleted with its workspace or account, and its messages could not be kept without it, SQLSTATE %s: fix the trigger of the application that raises or leaves them as they are, then delete from public.chat_sessions where id = %L',
    min(b.sqlstate), b.session_id)
from chat_private.behind b
join public.chat_sessions s on s.id = b.session_id
where b.operation = 'release' and (
  not exists (select from public.workspaces w where w.id = s.workspace_id)
  or not exists (select from auth.users u where u.id = s.user_id))
group by b.session_id
order by 1
