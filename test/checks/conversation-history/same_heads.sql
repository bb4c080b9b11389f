-- fault
set local rethread.in_step = 'on';
update public.conversations set title = 'Another' where id = (select id from public.conversations order by id limit 1);
-- fix
update public.chat_sessions set title = 'Another' where id = (select id from public.conversations order by id limit 1);
-- fault
update public.chat_sessions set metadata = '{"by": "hand"}' where id = (select id from public.conversations order by id limit 1);
-- fix
update public.conversations set metadata = '{"by": "hand"}' where id = (select id from public.conversations order by id limit 1);
