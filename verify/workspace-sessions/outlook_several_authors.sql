--! title: Workspaces with several authors
--! level: warn
--! kind: outlook

-- With the owner-only policy the other authors no longer see the workspace's legacy sessions.
select 'workspaces with several authors' as object,
  format('%s, with %s messages: only %s (setting legacy_grouping = author gives each author their own session)',
    count(*), sum(w.messages),
    case when coalesce(current_setting('rethread.legacy_grouping', true), '') like 'idle:%'
      then 'the first author of a session will see it' else 'the owner will see their Legacy Chat' end) as detail
from (
  select c.workspace_id, count(*) as messages
  from public.chats c
  where c.workspace_id is not null
  group by c.workspace_id
  having count(distinct c.user_id) > 1
) w
where coalesce(current_setting('rethread.legacy_grouping', true), '') <> 'author'
having count(*) > 0
union all
-- If your own foreign key deletes a workspace with its owner's account, its sessions are deleted too.
select 'workspaces that are deleted with their owner''s account',
  format('%s, with %s messages of others: from 010 on these are deleted with the workspace (on delete cascade of %s)', count(distinct w.id), count(*), k.conname)
from pg_catalog.pg_constraint k
join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[1] and a.attname = 'owner_id'
cross join public.workspaces w
join public.chats c on c.workspace_id = w.id and c.user_id <> w.owner_id
where k.conrelid = 'public.workspaces'::regclass and k.confrelid = 'auth.users'::regclass and k.contype = 'f' and k.confdeltype = 'c'
group by k.conname
order by 1
