--! title: Collect who wrote in each workspace, and when
--! phase: backfill
--! undone-by: 002_link_chats_to_sessions
--! table: public.chats
--! unit: workspace_id
--! pending: c.session_id is null and chat_private.session_workspace(c.workspace_id) is not null and not exists (select from chat_private.legacy_parts p
--!   where p.workspace_id = chat_private.session_workspace(c.workspace_id)
--!   and coalesce(p.author_id::text, '') = coalesce(c.user_id::text, ''))

-- One row a batch, workspace and author, appended only: merging into chat_sessions itself would
-- rewrite every session once a batch. Taking a part twice changes nothing: the earliest, the latest
-- and the authors stay the same.
insert into chat_private.legacy_parts (workspace_id, author_id, first_at, last_at)
select chat_private.session_workspace(c.workspace_id), c.user_id, min(c.created_at), max(c.created_at)
from public.chats c
where chat_private.session_workspace(c.workspace_id) is not null
group by 1, 2;
