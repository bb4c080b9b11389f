--! title: Sessions that their users would no longer see, or that cannot become conversations
--! kind: outlook
--! level: warn
--! with: tenants

select 'sessions of users who are not in their tenant' as object,
  format('%s; users who would no longer see them: %s', count(*), count(distinct s.user_id)) as detail
from public.chat_sessions s
where s.tenant_id is not null and s.user_id is not null
  and not exists (select from public.tenant_users t where t.tenant_id = s.tenant_id and t.user_id = s.user_id)
having count(*) > 0
union all
select 'sessions without a tenant or a user', format('%s: they are copied to the quarantine and stay in chat_sessions', count(*))
from public.chat_sessions s
where s.tenant_id is null or s.user_id is null
having count(*) > 0
order by 1
