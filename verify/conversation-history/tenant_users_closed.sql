--! title: Nobody can add themselves to a tenant, and no policy of tenant_users reads tenant_users
--! fix: Drop or change the policy that is named: let only an administrator of the tenant, or the service
--!   role, add members.
--! mutant: create policy mutant on public.tenant_users for insert to authenticated with check (user_id = auth.uid())
--! with: tenants

select 'tenant_users' as object, 'row level security is off: whoever may write can join any tenant' as detail
where not (select c.relrowsecurity from pg_catalog.pg_class c where c.oid = 'public.tenant_users'::regclass)
  and has_table_privilege('authenticated', 'public.tenant_users', 'insert')
union all
select p.polname::text, 'lets a user write a membership for themselves, in any tenant and in any role'
from pg_catalog.pg_policy p
cross join lateral (select coalesce(pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid), 'true') as condition) l
where p.polrelid = 'public.tenant_users'::regclass and p.polpermissive and p.polcmd in ('a', 'w', '*')
  and l.condition !~ 'admin|tenant_role' and l.condition <> 'false'
  -- a role that bypasses policies gets no access from one
  and exists (select from unnest(p.polroles) o where o = 0 or not (select r.rolbypassrls or r.rolsuper from pg_catalog.pg_roles r where r.oid = o))
union all
-- 42P17: a policy that reads its own table makes every query of the table fail
select distinct p.polname::text, 'asks tenant_users in a policy of tenant_users: infinite recursion (42P17)'
from pg_catalog.pg_policy p
join pg_catalog.pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
  and d.refclassid = 'pg_class'::regclass and d.refobjid = p.polrelid
where p.polrelid = 'public.tenant_users'::regclass
  and coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') ~* 'from (public\.)?tenant_users'
order by 1
