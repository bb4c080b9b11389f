-- fault
grant insert on public.tenant_users to authenticated;
create policy join_in on public.tenant_users for insert to authenticated with check (user_id = (select auth.uid()));
-- fix
drop policy join_in on public.tenant_users;
-- fault
create policy in_circles on public.tenant_users for select to authenticated
  using (tenant_id in (select t.tenant_id from public.tenant_users t where t.user_id = (select auth.uid())));
create policy by_members on public.conversations for select to authenticated
  using (exists (select from public.tenant_users t where t.tenant_id = conversations.tenant_id));
-- fix
drop policy by_members on public.conversations;
drop policy in_circles on public.tenant_users;
