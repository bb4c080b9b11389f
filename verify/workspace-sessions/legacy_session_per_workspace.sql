--! title: Each workspace with messages has its legacy session
--! fix: rethread backfill makes the legacy session and assigns these messages.
--! after: 005_assign_messages
--! mutant: update public.chat_sessions s set workspace_id = (select w.id from public.workspaces w where w.id <> s.workspace_id order by 1 limit 1)
--!   where s.id = (select id from public.chat_sessions where title = 'Legacy Chat' order by id limit 1)

-- Workspaces whose messages are all in their users' own sessions need none.
select w.id::text as object, format('messages without a legacy session: %s', count(*)) as detail
from public.chats c
join public.workspaces w on w.id = c.workspace_id
where c.session_id is null
  and exists (
    select from auth.users u where u.id in (c.user_id, w.owner_id))
  and not exists (
    select from public.chat_sessions s
    where s.id = chat_private.legacy_session_of(c.workspace_id, c.user_id, c.created_at))
group by w.id
union all
select s.id::text, 'its id is that of a legacy session, its workspace is another'
from public.chat_sessions s
where s.title = 'Legacy Chat'
  -- evaluated first, otherwise each session would be compared with every workspace
  and not chat_private.is_legacy_session(s.id, s.workspace_id, s.user_id)
  and exists (select from public.workspaces w where w.id <> s.workspace_id
    and chat_private.is_legacy_session(s.id, w.id, s.user_id))
  -- where its messages are in its workspace too, that one got another key
  and exists (select from public.chats c where c.session_id = s.id and c.workspace_id <> s.workspace_id)
union all
select s.id::text, 'its id is that of a legacy session, and not of one of its workspace'
from public.chat_sessions s
where chat_private.legacy_pause() is not null and s.title <> 'Legacy Chat' and substr(s.id::text, 15, 1) = '8'
  and not chat_private.is_legacy_session(s.id, s.workspace_id, s.user_id)
  and exists (select from public.chats c where c.session_id = s.id and c.workspace_id <> s.workspace_id)
order by 1
