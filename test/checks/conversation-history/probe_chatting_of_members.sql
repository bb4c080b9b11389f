-- fault
alter policy conversations_delete on public.conversations using (true);
alter policy conversations_select on public.conversations using (true);
-- fix
alter policy conversations_delete on public.conversations
  using (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null);
alter policy conversations_select on public.conversations using (
  user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null or chat_private.tenant_role(tenant_id) = 'admin');
-- fault
alter table public.conversations alter title set default 'Untitled';
-- fix
alter table public.conversations alter title set default 'New Conversation';
