-- fault
select 1;
-- fix
delete from chat_sessions s where s.tenant_id is null or s.user_id is null
  or not exists (select from tenant_users t where t.tenant_id = s.tenant_id and t.user_id = s.user_id);
