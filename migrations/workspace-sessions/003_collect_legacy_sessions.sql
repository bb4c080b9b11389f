--! title: Collect who wrote in each workspace, and when
--! phase: backfill
--! undone-by: 002_link_chats_to_sessions
--! table: public.chats
--! unit: workspace_id
--! pending: c.session_id is null and chat_private.session_workspace(c.workspace_id) is not null and not exists (select from (
--!     select p.workspace_id, p.slot, coalesce(p.author_id::text, '') as author, max(coalesce(p.last_at, '-infinity')) as last_at
--!     from chat_private.legacy_parts p group by 1, 2, 3) g
--!   where g.workspace_id = chat_private.session_workspace(c.workspace_id) and g.slot = chat_private.legacy_slot(c.created_at)
--!   and g.author = coalesce(c.user_id::text, '')
--!   and g.last_at >= coalesce(c.created_at, '-infinity'))

-- What is collected is grouped before messages are compared with it. Otherwise each message would be compared
-- with the rows of every batch, and the time would grow with the square of the messages.

-- One row for each batch, workspace, author and time slot, only appended. Merging into chat_sessions would
-- update every session once per batch. A repeated part changes nothing: the earliest time, the latest time
-- and the authors stay the same.
insert into chat_private.legacy_parts (workspace_id, author_id, slot, first_at, last_at, opening)
select chat_private.session_workspace(c.workspace_id), c.user_id, chat_private.legacy_slot(c.created_at),
  min(c.created_at), max(c.created_at),
  min(chat_private.legacy_opening(c.created_at, c.role::text, c.message::text) collate "C")
from public.chats c
where chat_private.session_workspace(c.workspace_id) is not null
group by 1, 2, 3;
