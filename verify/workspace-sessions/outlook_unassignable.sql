--! title: Messages that fit no session
--! level: warn
--! kind: outlook

select 'messages without a workspace' as object,
  case when nullif(current_setting('rethread.null_workspace', true), '') is null
    then format('%s: they are copied to the quarantine and stay in the table (setting null_workspace gives them one)', count(*))
    else format('%s: their session is of workspace %s', count(*), current_setting('rethread.null_workspace'))
  end as detail
from public.chats c
where c.workspace_id is null
having count(*) > 0
union all
select 'messages of deleted workspaces', format('%s: they are copied to the quarantine and stay in the table', count(*))
from public.chats c
where c.workspace_id is not null and not exists (select from public.workspaces w where w.id = c.workspace_id)
having count(*) > 0
union all
select 'messages without a time', format('%s: they are sorted by their session', count(*))
from public.chats c
where c.created_at is null
having count(*) > 0
order by 1
