--! title: When the old application last wrote
--! kind: outlook
--! level: info
--! after: 005_assign_messages
--! until: 011_follow_the_session

-- It does not know sessions. What it writes goes to a legacy session of its workspace, after what the
-- backfill has collected.
select 'the old application' as object,
  format('its last message came at %s UTC, %s within the last hour: a step that ends the old application makes such writes fail',
    to_char(max(c.created_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
    count(*) filter (where c.created_at > now() - interval '1 hour')) as detail
from public.chat_sessions s
join public.chats c on c.session_id = s.id
  and c.created_at > coalesce(
    (select max(p.last_at) from chat_private.legacy_parts p where p.workspace_id = s.workspace_id), '-infinity')
where chat_private.is_legacy_session(s.id, s.workspace_id, s.user_id)
having count(*) > 0
