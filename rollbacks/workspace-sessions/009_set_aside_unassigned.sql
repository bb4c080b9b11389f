--! title: Put the messages that fit no session back

-- As they were: with their ids, and no trigger of the application fires. Those that can't be put back whole
-- stay in the quarantine.
-- locks: public.chats SHARE ROW EXCLUSIVE
select rethread_archive.put_back('009_set_aside_unassigned', 'public.chats');

delete from rethread_archive.quarantine q
where q.migration = '009_set_aside_unassigned' and q.relation = 'public.chats'
  and rethread_archive.is_back(q.relation, q.original);
