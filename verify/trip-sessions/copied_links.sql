--! title: The sessions of a request have its trip, RFP and RFQ ids, quotes and proposals
--! fix: Set the missing values in the session, unless the new application left them out on purpose.
--! level: warn
--! after: 018_sessions_of_conversations
--! mutant: alter table public.requests add column if not exists avinode_trip_id text;
--!   set local session_replication_role = replica;
--!   update public.requests set avinode_trip_id = 'mutant';
--!   set local session_replication_role = origin;
--!   update public.chat_sessions set avinode_trip_id = null

-- Other values are the choice of the new application; only missing ones are reported.
select s.id::text as object, 'lacks ' || concat_ws(', ',
  case when s.avinode_trip_id is null then 'the trip ' || k.trip end,
  case when s.avinode_rfp_id is null then 'the RFP ' || k.rfp end,
  case when s.avinode_rfq_id is null then 'the RFQ ' || k.rfq end,
  case when s.proposal_id is null then 'the proposal ' || k.proposal end) as detail
from public.chat_sessions s
cross join lateral chat_private.links_of(s.request_id) k
where s.avinode_trip_id is null and k.trip is not null or s.avinode_rfp_id is null and k.rfp is not null
  or s.avinode_rfq_id is null and k.rfq is not null or s.proposal_id is null and k.proposal is not null
order by 1
