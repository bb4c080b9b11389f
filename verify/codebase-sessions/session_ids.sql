--! title: Session ids look like chat-<milliseconds>-<random>
--! fix: Nothing, unless another application has to find the session by its id.
--! level: info
--! after: 001_create_codebase_chat_sessions
--! mutant: insert into public.codebase_chat_sessions (session_id) values ('a mutant')

select s.session_id as object, 'another application may not find it' as detail
from public.codebase_chat_sessions s
where s.session_id !~ '^chat-[0-9]+-[0-9a-z]+$'
order by 1
