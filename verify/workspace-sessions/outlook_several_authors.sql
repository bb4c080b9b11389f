--! title: Workspaces with several authors
--! level: warn
--! kind: outlook

-- Under the owner-only policy the other authors lose sight of the workspace's legacy session; and its owner's
-- account, when it is deleted, takes their messages along by two cascades.
select 'workspaces with several authors' as object,
  format('%s, with %s message(s): only the owner will see their Legacy Chat, and deleting the owner''s account deletes all of it (setting legacy_grouping = author gives each author a session of his own)',
    count(*), sum(w.messages)) as detail
from (
  select c.workspace_id, count(*) as messages
  from public.chats c
  where c.workspace_id is not null
  group by c.workspace_id
  having count(distinct c.user_id) > 1
) w
having count(*) > 0
