--! title: Sessions that cannot become conversations
--! kind: outlook
--! level: warn
--! without: tenants

select 'sessions without a user' as object, format('%s: they are copied to the quarantine and stay in chat_sessions', count(*)) as detail
from public.chat_sessions s
where s.user_id is null
having count(*) > 0
order by 1
