--! title: Collect who wrote in each workspace, and when
--! phase: backfill
--! undone-by: 002_link_chats_to_sessions
--! table: public.chats
--! unit: workspace_id
--! pending: chat_private.session_workspace(c.workspace_id) is not null and not exists (select from chat_private.legacy_parts p
--!   where p.session_id = chat_private.legacy_session_id(c.workspace_id, c.user_id))

-- One row a batch and session, appended only: merging into chat_sessions itself would rewrite every session once a batch.
-- Taking a part twice changes nothing: the earliest and the latest stay the same, and so does the question of one author.
insert into chat_private.legacy_parts (session_id, workspace_id, author_id, one_author, first_at, last_at)
select
  chat_private.legacy_session_id(c.workspace_id, c.user_id),
  chat_private.session_workspace(c.workspace_id),
  min(a.id::text)::uuid,
  count(*) = count(a.id) and min(a.id::text) = max(a.id::text),
  min(c.created_at),
  max(c.created_at)
from public.chats c
left join auth.users a on a.id = c.user_id
where chat_private.session_workspace(c.workspace_id) is not null
group by 1, 2;
