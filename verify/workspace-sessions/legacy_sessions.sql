--! title: Legacy sessions, the largest first
--! after: 005_assign_messages
--! kind: listing
--! deep: yes

select s.id::text as session, s.workspace_id::text as workspace,
  case s.title when 'Legacy Chat' then s.title else 'as its first message' end as title,
  to_char(s.created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as created,
  coalesce(m.messages, 0) as messages
from public.chat_sessions s
left join (select c.session_id, count(*)::int as messages from public.chats c group by c.session_id) m on m.session_id = s.id
where chat_private.is_legacy_session(s.id, s.workspace_id, s.user_id)
order by messages desc, s.id
limit 10
