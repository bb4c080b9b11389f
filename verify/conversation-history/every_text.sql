--! title: Every text of the old sessions is in a message, in its metadata or in the quarantine
--! fix: Look up the text in the old session, and add it to a message; please report the shape of the element.
--! deep: yes
--! after: 005_set_aside_elements
--! until: 007_set_sessions_aside
--! mutant: set local rethread.in_step = 'on'; delete from public.messages where id = (
--!   select m.id from public.messages m where length(m.content) > 0 order by m.created_at limit 1)

-- This check does not know elements and their shapes, so it would find a text inside another message, or on
-- an abandoned branch. Documents with an unreadable part are skipped: their elements are quarantined
-- unchanged. So are documents with a deleted message, which have empty nodes.
select x.id as object, format('texts that are in no message: %s', count(*)) as detail
from (
  select s.id::text as id, md5(l.leaf #>> '{}') as hash
  from public.chat_sessions s
  join public.conversations c on c.id = s.id
  cross join lateral (
    select case when strpos(s.messages::text, 'rethread_gone') = 0 and chat_private.why_unreadable(s.messages::text) is null then s.messages::jsonb end as j
    offset 0
  ) d
  cross join lateral (
    select jsonb_path_query(d.j,
      'strict $.** ? (@.type() == "object").keyvalue() ? (@.key like_regex "^(content|parts|text|message|msg|value|body|refusal|chatInput)$").value', silent => true)
    union all
    -- a question and its answer in the same element
    select jsonb_path_query(d.j,
      '$ ? (@.type() == "array")[*] ? (@.type() == "object" && !exists(@.role)).keyvalue() ? (@.key like_regex "^(question|answer|prompt|completion|query|response|instruction|input|output|user|assistant|human|ai|bot)$").value')
  ) as k (holder)
  cross join lateral jsonb_path_query(k.holder, '$[*] ? (@.type() == "string" && @ like_regex "\\S")') as l (leaf)
  except
  (
    select m.conversation_id::text, md5(m.content) from public.messages m
    union all
    select m.conversation_id::text, md5(l.leaf #>> '{}')
    from public.messages m
    cross join lateral jsonb_path_query(m.metadata, 'strict $.** ? (@.type() == "string")', silent => true) as l (leaf)
    union all
    select split_part(q.key, ':', 1), md5(l.leaf #>> '{}')
    from rethread_archive.quarantine q
    cross join lateral jsonb_path_query(
      case when chat_private.why_unreadable(q.original #>> '{}') is null and q.key like '%:%' then (q.original #>> '{}')::jsonb end,
      'strict $.** ? (@.type() == "string")', silent => true) as l (leaf)
    where q.track = 'conversation-history' and q.relation = 'public.chat_sessions'
  )
) x
group by x.id
order by 1
