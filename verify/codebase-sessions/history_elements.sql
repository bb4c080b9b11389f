--! title: Every element of a history is an object with role, content and timestamp
--! fix: The application wrote it: correct the element in conversation_history.
--! level: warn
--! after: 001_create_codebase_chat_sessions
--! mutant: insert into public.codebase_chat_sessions (session_id, conversation_history) values ('chat-1-mutant', '[{"role": "user"}]')

select s.session_id as object, format('element %s: %s', e.n,
    case when jsonb_typeof(e.value) <> 'object' then 'is no object'
      else 'lacks ' || array_to_string(array(select k from unnest(array['role', 'content', 'timestamp']) k where not e.value ? k), ', ') end) as detail
from public.codebase_chat_sessions s
cross join lateral jsonb_array_elements(case when jsonb_typeof(s.conversation_history) = 'array' then s.conversation_history else '[]' end)
  with ordinality as e (value, n)
where jsonb_typeof(e.value) <> 'object' or not e.value ?& array['role', 'content', 'timestamp']
order by 1, 2
