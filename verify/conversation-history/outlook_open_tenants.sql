--! title: Tenants that anybody can join
--! kind: outlook
--! level: warn
--! with: tenants

-- Membership in a tenant decides who sees its conversations. `tenant_users_closed` checks the same
-- afterwards.
select 'tenant_users' as object,
  'row level security is off and authenticated may insert: anybody can join a tenant as admin and will see its conversations' as detail
where not (select c.relrowsecurity from pg_catalog.pg_class c where c.oid = 'public.tenant_users'::regclass)
  and has_table_privilege('authenticated', 'public.tenant_users', 'insert')
