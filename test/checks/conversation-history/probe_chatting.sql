-- fault
alter policy conversations_select on conversations using (user_id = (select auth.uid()));
-- fix
alter policy conversations_select on conversations using (
  user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null or chat_private.tenant_role(tenant_id) = 'admin');
-- fault
create policy admins_delete on conversations for delete to authenticated using (chat_private.tenant_role(tenant_id) = 'admin');
-- fix
drop policy admins_delete on conversations;
