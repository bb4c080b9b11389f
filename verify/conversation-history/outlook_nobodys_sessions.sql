--! title: Sessions that can't be conversations
--! kind: outlook
--! level: warn
--! without: tenants

select 'sessions without a user' as object, format('%s: they go to the quarantine and stay in chat_sessions', count(*)) as detail
from public.chat_sessions s
where s.user_id is null
having count(*) > 0
order by 1
