--! title: Let go of the triggers that keep both in step

drop trigger if exists rethread_follow_session on public.chat_sessions;
drop trigger if exists rethread_follow_conversation on public.conversations;
drop trigger if exists rethread_follow_message on public.messages;
drop function if exists chat_private.follow_session();
drop function if exists chat_private.follow_conversation();
drop function if exists chat_private.follow_message();
drop function if exists chat_private.rebuild_session(uuid);
drop function if exists chat_private.rebuilt_tree(uuid, json, timestamptz);
drop function if exists chat_private.element_of(public.messages, boolean, boolean);
drop function if exists chat_private.nested_element(jsonb, text, text);
drop function if exists chat_private.elements(uuid, json, timestamptz);
drop function if exists chat_private.tree_nodes(json);
drop function if exists chat_private.keeps_messages(json);
drop function if exists chat_private.content_text(jsonb);
drop function if exists chat_private.message_time(jsonb);
drop function if exists chat_private.message_role(text);
