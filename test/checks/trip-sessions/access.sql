-- fault
alter policy chat_sessions_update on public.chat_sessions with check (true);
-- fix
alter policy chat_sessions_update on public.chat_sessions
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_conversation(conversation_id)
    and chat_private.can_use_request(request_id) and chat_private.can_use_quote(primary_quote_id) and chat_private.can_use_proposal(proposal_id));
-- fault
alter policy chat_sessions_update on public.chat_sessions
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_request(request_id));
-- fix
alter policy chat_sessions_update on public.chat_sessions
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_conversation(conversation_id)
    and chat_private.can_use_request(request_id) and chat_private.can_use_quote(primary_quote_id) and chat_private.can_use_proposal(proposal_id));
-- fault
alter policy chat_sessions_insert on public.chat_sessions
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_request(request_id));
-- fix
alter policy chat_sessions_insert on public.chat_sessions
  with check (iso_agent_id = (select chat_private.current_agent_id()) and chat_private.can_use_conversation(conversation_id)
    and chat_private.can_use_request(request_id) and chat_private.can_use_quote(primary_quote_id) and chat_private.can_use_proposal(proposal_id));
-- fault
alter table public.chat_sessions disable row level security;
-- fix
alter table public.chat_sessions enable row level security;
