--! title: Keys, checks and foreign keys are there, valid, and as defined
--! after: 001_create_chat_tables

select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated'
    else 'is ' || pg_get_constraintdef(k.oid) end as detail
from (values
  ('chat_sessions', 'chat_sessions_helper_known', $$CHECK ((helper %$$),
  ('chat_sessions', 'chat_sessions_thread_id_key', $$UNIQUE (thread_id)$$),
  ('chat_sessions', 'chat_sessions_thread_id_not_blank', $$CHECK ((thread_id %$$),
  ('chat_sessions', 'chat_sessions_title_not_blank', $$CHECK ((title %$$),
  ('chat_sessions', 'chat_sessions_user_id_fkey', $$FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE$$),
  ('chat_sessions', 'chat_sessions_project_id_fkey', $$FOREIGN KEY (project_id) REFERENCES %projects(id) ON DELETE CASCADE$$),
  ('chat_messages', 'chat_messages_role_known', $$CHECK ((role = ANY %user%assistant%$$),
  ('chat_messages', 'chat_messages_session_id_fkey', $$FOREIGN KEY (session_id) REFERENCES %chat_sessions(id) ON DELETE CASCADE$$)
) as w (rel, name, wanted)
left join pg_catalog.pg_constraint k on k.conrelid = to_regclass('public.' || w.rel) and k.conname = w.name
where k.conname is null or not k.convalidated or pg_get_constraintdef(k.oid) not like w.wanted
order by 1
