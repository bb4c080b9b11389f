--! title: Drop the triggers that keep both in step
--! catch-up: public.conversations: chat_private.touch_conversation(id)

-- Writes what the new application wrote and chat_sessions could not take at the time. A session that still
-- cannot be written, or that both applications have written, is recorded: a restore brings back the archived
-- content.
create table if not exists rethread_archive.sessions_behind (session_id uuid primary key, at timestamptz not null default now());
revoke all on rethread_archive.sessions_behind from public;

-- locks: none
do $$
declare
  item record;
begin
  for item in
    select b.session_id as id, bool_and(b.written_by = 'new application' and b.operation <> 'DELETE') as is_simple
    from chat_private.behind b
    where b.caught_up_at is null
    group by 1
    having bool_or(b.written_by = 'new application')
    order by 1
  loop
    begin
      perform set_config('rethread.in_step', 'on', true);
      if item.is_simple then
        perform chat_private.catch_up(item.id);
      end if;
      if not item.is_simple or not exists (select from public.chat_sessions s where s.id = item.id) then
        insert into rethread_archive.sessions_behind (session_id) values (item.id) on conflict do nothing;
      end if;
    exception
      -- whoever holds it now lets go of it: the whole is tried again
      when lock_not_available or deadlock_detected then raise;
      when others then
        insert into rethread_archive.sessions_behind (session_id) values (item.id) on conflict do nothing;
    end;
  end loop;
  perform set_config('rethread.in_step', '', true);
end
$$;

drop trigger if exists rethread_complete_session on public.chat_sessions;
drop trigger if exists rethread_follow_session on public.chat_sessions;
drop trigger if exists rethread_follow_truncation on public.chat_sessions;
drop trigger if exists rethread_guard_conversation_id on public.conversations;
drop trigger if exists rethread_follow_conversation on public.conversations;
drop trigger if exists rethread_follow_added_messages on public.messages;
drop trigger if exists rethread_follow_changed_messages on public.messages;
drop trigger if exists rethread_follow_deleted_messages on public.messages;
drop trigger if exists update_conversation_on_message on public.messages;
drop trigger if exists update_conversation_on_change on public.messages;
drop function if exists chat_private.complete_session();
drop function if exists chat_private.follow_session();
drop function if exists chat_private.follow_truncation();
drop function if exists chat_private.guard_conversation_id();
drop function if exists chat_private.follow_conversation();
drop function if exists chat_private.follow_messages();
drop function if exists chat_private.touch_conversations();
drop function if exists chat_private.catch_up(uuid);
drop function if exists chat_private.ids_held(uuid, json, timestamptz);
drop function if exists chat_private.touch_conversation(uuid);
drop function if exists chat_private.merge_messages(uuid, json, json, timestamptz);
drop function if exists chat_private.same_messages(jsonb, jsonb);
drop function if exists chat_private.same_messages(json, json);
drop function if exists chat_private.rebuild_session(uuid, uuid[]);
drop function if exists chat_private.unmarked(jsonb);
drop function if exists chat_private.rebuilt_document(uuid, json, timestamptz, uuid[]);
drop function if exists chat_private.with_values(jsonb, jsonb[], jsonb[]);
drop function if exists chat_private.messages_of(uuid);
drop function if exists chat_private.element_of(public.messages, boolean, boolean);
drop function if exists chat_private.restated_element(jsonb, text, text);
drop function if exists chat_private.restated_text(jsonb, text);
drop function if exists chat_private.appended(json, json);
drop function if exists chat_private.elements(uuid, json, timestamptz);
drop function if exists chat_private.elements_after(uuid, json, timestamptz, bigint, jsonb, timestamptz);
drop function if exists chat_private.said_at(jsonb, jsonb);
drop function if exists chat_private.read_element(jsonb);
drop function if exists chat_private.session_elements(json, text[], boolean);
drop function if exists chat_private.is_nested(json);
drop function if exists chat_private.keeps_messages(json);
drop function if exists chat_private.messages_place(json);
drop function if exists chat_private.why_unreadable(text);
drop function if exists chat_private.message_time(jsonb);
drop function if exists chat_private.iso_time(text);
drop function if exists chat_private.free_place_id(text, uuid, text, jsonb);
drop function if exists chat_private.place_id(text, uuid, text);
drop function if exists chat_private.seal(text, uuid, text);
drop function if exists chat_private.text_role(bigint);
drop function if exists chat_private.message_role(text);
drop function if exists chat_private.application_path();
drop function if exists chat_private.application_schemas();
drop function if exists chat_private.leave_quarantine(uuid);
drop function if exists chat_private.has_used_time(numeric);
drop function if exists chat_private.takes_too_long(uuid);
drop table if exists chat_private.behind;
drop table if exists chat_private.times_kept;
