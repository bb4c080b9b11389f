--! title: Keys, checks and foreign keys are there, valid, and as defined
--! after: 001_create_conversations

select w.name as object,
  case when k.conname is null then 'missing' when not k.convalidated then 'not validated'
    else 'is ' || pg_get_constraintdef(k.oid) end as detail
from (values
  ('conversations', 'conversations_tenant_id_fkey', $$FOREIGN KEY (tenant_id) REFERENCES %tenants(id) ON DELETE CASCADE$$),
  ('conversations', 'conversations_user_id_fkey', $$FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE$$),
  ('messages', 'messages_conversation_id_fkey', $$FOREIGN KEY (conversation_id) REFERENCES %conversations(id) ON DELETE CASCADE$$),
  ('messages', 'messages_role_known', $$CHECK (((role)::text = ANY %user%assistant%system%$$)
) as w (rel, name, wanted)
left join pg_catalog.pg_constraint k on k.conrelid = to_regclass('public.' || w.rel) and k.conname = w.name
where k.conname is null or not k.convalidated or pg_get_constraintdef(k.oid) not like w.wanted
order by 1
