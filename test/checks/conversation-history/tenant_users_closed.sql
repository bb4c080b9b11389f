-- fault
create policy joins on tenant_users for insert to authenticated with check (user_id = (select auth.uid()));
-- fix
drop policy joins on tenant_users;
-- fault
create policy circle on tenant_users for select to authenticated
  using (tenant_id in (select t.tenant_id from tenant_users t where t.user_id = (select auth.uid())));
-- fix
drop policy circle on tenant_users;
-- fault
alter table tenant_users disable row level security;
