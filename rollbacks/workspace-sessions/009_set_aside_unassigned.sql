--! title: Put back the messages that fit no session

-- Puts messages back as they were, with their ids, and without firing triggers of the application. Those that
-- cannot be put back completely stay in the quarantine.
-- locks: public.chats SHARE ROW EXCLUSIVE
select rethread_archive.put_back('009_set_aside_unassigned', 'public.chats');

delete from rethread_archive.quarantine q
where q.migration = '009_set_aside_unassigned' and q.relation = 'public.chats'
  and rethread_archive.is_back(q.relation, q.original, q.exact);
