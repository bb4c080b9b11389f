--! title: Keys, checks and foreign keys are there, valid, and as defined
--! after: 001_create_codebase_chat_sessions

select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated'
    else 'is ' || pg_get_constraintdef(k.oid) end as detail
from (values
  ('codebase_chat_sessions', 'codebase_chat_sessions_session_id_key', $$UNIQUE (session_id)$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_session_id_not_blank', $$CHECK ((session_id %$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_history_is_array', $$CHECK ((jsonb_typeof(conversation_history) %$$),
  ('codebase_chat_sessions', 'codebase_chat_sessions_user_id_fkey', $$FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE$$)
) as w (rel, name, wanted)
left join pg_catalog.pg_constraint k on k.conrelid = to_regclass('public.' || w.rel) and k.conname = w.name
where k.conname is null or not k.convalidated or pg_get_constraintdef(k.oid) not like w.wanted
order by 1
