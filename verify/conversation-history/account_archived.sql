--! title: Elements of the old sessions, as archived
--! kind: account
--! after: 007_set_sessions_aside

select 'rethread_archive.chat_sessions' as object, count(*) as came_in, count(m.id) as migrated,
  count(*) filter (where m.id is null and (x.reason is not null or q.key is not null)) as quarantined,
  count(*) filter (where m.id is null and x.reason is null and q.key is null and f.key is not null) as failed,
  count(*) filter (where m.id is null and x.reason is null and q.key is null and f.key is null) as missing
from rethread_archive.chat_sessions s
cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) x
left join public.messages m on m.id = x.id
left join rethread_archive.quarantine q on q.relation = 'public.chat_sessions' and q.key = s.id::text
  and not exists (select from public.conversations c where c.id = s.id and c.tenant_id = s.tenant_id and c.user_id = s.user_id)
left join (
  select distinct f.key
  from jsonb_to_recordset(coalesce(nullif(current_setting('rethread.failed', true), ''), '[]')::jsonb) as f (relation text, key text)
  where f.relation = 'public.chat_sessions'
) f on f.key = s.id::text
