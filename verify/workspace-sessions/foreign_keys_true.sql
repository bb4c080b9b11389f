--! title: The foreign keys exist, are valid, and hold for every row
--! fix: Add the key again from its migration; put back the row that is missing (rethread restore, or a
--!   backup), or give the message another session.
--! after: 008_prove_foreign_key

-- `convalidated` is no proof: a validation under row security can skip rows.
select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated' else 'does not cascade' end as detail
from (values
  ('public.chats', 'chats_session_id_fkey'),
  ('public.chat_sessions', 'chat_sessions_workspace_id_fkey'),
  ('public.chat_sessions', 'chat_sessions_user_id_fkey')
) as w (rel, name)
left join pg_catalog.pg_constraint k
  on k.conrelid = to_regclass(w.rel) and k.conname = w.name and k.contype = 'f'
where k.conname is null or not k.convalidated or k.confdeltype <> 'c'
union all
select 'chat_sessions ' || s.id, 'its workspace does not exist'
from public.chat_sessions s
where not exists (select from public.workspaces w where w.id = s.workspace_id)
union all
select 'chat_sessions ' || s.id, 'its user does not exist'
from public.chat_sessions s
where not exists (select from auth.users u where u.id = s.user_id)
union all
select 'chats ' || c.id, format('its session %s does not exist', c.session_id)
from public.chats c
where c.session_id is not null and not exists (select from public.chat_sessions s where s.id = c.session_id)
