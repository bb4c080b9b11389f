--! title: Put the messages that fit no session back

insert into public.chats
select (jsonb_populate_record(null::public.chats, q.original)).*
from rethread_archive.quarantine q
where q.migration = '009_set_aside_unassigned' and q.relation = 'public.chats'
on conflict do nothing;

delete from rethread_archive.quarantine q
where q.migration = '009_set_aside_unassigned' and q.relation = 'public.chats'
  and exists (select from public.chats c where chat_private.message_key(c) = q.key);
