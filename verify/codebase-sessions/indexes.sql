--! title: The indexes exist, are valid and are what they should be
--! after: 001_create_codebase_chat_sessions

select w.name as object,
  case
    when i.indexrelid is null then 'missing'
    when not (i.indisvalid and i.indisready) then 'invalid: drop it and create it again'
    else 'is ' || pg_get_indexdef(i.indexrelid)
  end as detail
from (values
  ('codebase_chat_sessions', 'idx_codebase_chat_sessions_user_id', '(user_id)'),
  ('codebase_chat_sessions', 'idx_codebase_chat_sessions_last_activity', '(last_activity DESC)'),
  ('codebase_chat_sessions', 'idx_codebase_chat_sessions_repo', '(repo) WHERE (repo IS NOT NULL)')
) as w (rel, name, wanted)
left join pg_catalog.pg_index i
  on i.indexrelid = to_regclass('public.' || w.name) and i.indrelid = to_regclass('public.' || w.rel)
where i.indexrelid is null
  or not (i.indisvalid and i.indisready)
  or pg_get_indexdef(i.indexrelid) not like '%USING btree ' || w.wanted
order by 1
