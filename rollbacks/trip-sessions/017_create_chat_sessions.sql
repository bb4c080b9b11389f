--! title: Drop chat_sessions and its functions
--! ours: public.chat_sessions: id = md5('rethread:legacy:' || conversation_id)::uuid
--! superseded: exists (select from public.chat_sessions o where o.conversation_id = chat_sessions.conversation_id and o.id <> chat_sessions.id)
--! catch-up: public.chat_sessions: chat_private.catch_up_session(id)

-- Sessions to which the new application gave their own request. All others follow their conversations when a
-- restore brings them back.
create table if not exists rethread_archive.own_requests (session_id uuid primary key);
revoke all on rethread_archive.own_requests from public;
insert into rethread_archive.own_requests (session_id)
select s.id from public.chat_sessions s
join public.conversations c on c.id = s.conversation_id
where s.request_id is distinct from c.request_id
  and not exists (select from chat_private.behind b where b.conversation_id = c.id and b.operation = 'UPDATE of conversations')
on conflict do nothing;

-- Sessions that prune has deleted are not created again by a repeated migrate.
create table if not exists rethread_archive.pruned_conversations (conversation_id uuid primary key);
revoke all on rethread_archive.pruned_conversations from public;
delete from rethread_archive.pruned_conversations;
insert into rethread_archive.pruned_conversations (conversation_id) select p.conversation_id from chat_private.pruned p;

drop trigger if exists rethread_follow_conversations on public.conversations;
drop trigger if exists rethread_follow_request_of_conversation on public.conversations;
drop trigger if exists rethread_follow_requests on public.requests;
drop trigger if exists rethread_follow_added_messages on public.messages;
drop trigger if exists rethread_follow_changed_messages on public.messages;
drop trigger if exists rethread_follow_deleted_messages on public.messages;
drop trigger if exists rethread_follow_truncated_messages on public.messages;
drop trigger if exists rethread_follow_added_quotes on public.quotes;
drop trigger if exists rethread_follow_changed_quotes on public.quotes;
drop trigger if exists rethread_follow_deleted_quotes on public.quotes;
drop trigger if exists rethread_follow_added_proposals on public.proposals;
drop trigger if exists rethread_follow_changed_proposals on public.proposals;
drop trigger if exists rethread_follow_deleted_proposals on public.proposals;
drop function if exists public.create_or_update_chat_session(uuid, uuid, uuid, text, text);
drop function if exists public.set_chat_session_trip(uuid, text, text, text, uuid, text);
drop function if exists public.touch_chat_session(uuid);
drop function if exists public.complete_chat_session(uuid);
drop function if exists public.archive_idle_chat_sessions(interval);
drop table if exists public.chat_sessions;
drop function if exists chat_private.follow_conversations();
drop function if exists chat_private.follow_request_of_conversation();
drop function if exists chat_private.follow_requests();
drop function if exists chat_private.follow_messages();
drop function if exists chat_private.follow_truncation();
drop function if exists chat_private.follow_quotes();
drop function if exists chat_private.note_pruned();
drop function if exists chat_private.open_sessions(uuid[]);
drop function if exists chat_private.count_session();
drop function if exists chat_private.this_statement();
drop function if exists chat_private.wait_for_sessions(uuid, uuid, uuid);
drop function if exists chat_private.to_jsonb(anyelement);
drop function if exists chat_private.has_used_time(numeric);
drop function if exists chat_private.has_caught_up(uuid);
drop function if exists chat_private.catch_up_session(uuid);
drop function if exists chat_private.catch_up(uuid);
drop function if exists chat_private.note_behind(uuid, uuid, text, text);
drop function if exists chat_private.new_session(uuid);
drop function if exists chat_private.links_of(uuid);
drop function if exists chat_private.trip_of(jsonb);
drop function if exists chat_private.first_of(jsonb, text[]);
drop table if exists chat_private.behind;
drop table if exists chat_private.pruned;
drop view if exists chat_private.chatkit_usage;
drop table if exists chat_private.chatkit_reads;
drop function if exists chat_private.can_use_proposal(uuid);
drop function if exists chat_private.can_use_quote(uuid);
drop function if exists chat_private.can_use_conversation(uuid);
drop function if exists chat_private.can_use_request(uuid);
drop function if exists chat_private.current_agent_id();

-- locks: none
do $$
begin
  -- one that was there before may be another role's
  if not exists (select from pg_catalog.pg_depend where refobjid = to_regnamespace('chat_private') and deptype = 'n')
    and exists (select from pg_catalog.pg_namespace n where n.nspname = 'chat_private' and pg_has_role(n.nspowner, 'usage')) then
    drop schema if exists chat_private;
  end if;
end
$$;
