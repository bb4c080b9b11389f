--! title: Counters and last activity of every session agree with its messages and quotes
--! fix: select chat_private.catch_up_session(id) of the session; compare the triggers with their migration
--!   (rethread verify --only triggers).
--! after: 018_sessions_of_conversations
--! mutant: set local session_replication_role = replica;
--!   update public.chat_sessions set message_count = message_count + 1 where id = (select id from public.chat_sessions order by id limit 1);
--!   set local session_replication_role = origin

-- A session may be updated without a message, so its last activity may be later than the newest message.
select s.id::text as object, concat_ws('; ',
  case when s.message_count <> coalesce(m.n, 0) then format('message_count is %s, and there are %s', s.message_count, coalesce(m.n, 0)) end,
  case when s.quotes_received_count <> coalesce(q.n, 0) then format('quotes_received_count is %s, and there are %s', s.quotes_received_count, coalesce(q.n, 0)) end,
  case when s.last_activity_at < m.last_at then 'its last activity is before its newest message' end) as detail
from public.chat_sessions s
left join (
  select x.conversation_id, count(*) as n, max(x.created_at) as last_at from public.messages x group by x.conversation_id
) m on m.conversation_id = s.conversation_id
left join (select x.request_id, count(*) as n from public.quotes x group by x.request_id) q on q.request_id = s.request_id
where s.message_count <> coalesce(m.n, 0) or s.quotes_received_count <> coalesce(q.n, 0) or s.last_activity_at < m.last_at
order by 1
