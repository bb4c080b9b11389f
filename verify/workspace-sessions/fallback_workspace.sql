--! title: The setting null_workspace names a workspace that is there
--! fix: Correct the setting in rethread.config.json, create the workspace, or leave the setting out.
--! gate: 001_create_chat_sessions
--! until: 001_create_chat_sessions

select s.id as object, 'there is no such workspace: messages without one would find no session' as detail
from (select nullif(current_setting('rethread.null_workspace', true), '') as id) s
where s.id is not null
  and not exists (select from public.workspaces w where w.id::text = s.id)
