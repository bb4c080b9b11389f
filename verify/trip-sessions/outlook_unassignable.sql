--! title: Conversations that belong to no agent
--! kind: outlook
--! level: warn

select case when r.id is null then 'conversations without a request' else 'conversations whose request has no agent' end as object,
  format('%s: they are copied to the quarantine and get no session', count(*)) as detail
from public.conversations c
left join public.requests r on r.id = c.request_id
left join public.iso_agents a on a.id = r.iso_agent_id
where a.id is null
group by 1
order by 1
