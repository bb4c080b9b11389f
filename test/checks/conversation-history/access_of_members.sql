-- fault
create policy everybody on public.conversations for select to authenticated using (true);
-- fix
drop policy everybody on public.conversations;
-- fault
alter policy conversations_insert on public.conversations with check (true);
-- fix
alter policy conversations_insert on public.conversations
  with check (user_id = (select auth.uid()) and chat_private.tenant_role(tenant_id) is not null);
-- fault
grant insert on public.tenant_users to authenticated;
create policy join_in on public.tenant_users for insert to authenticated with check (user_id = (select auth.uid()));
-- fix
drop policy join_in on public.tenant_users;
