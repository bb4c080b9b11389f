--! title: Every session has an id of its own
--! fix: Give each of them another id (update ... set id = gen_random_uuid()), then add a primary key.
--! gate: 001_create_conversations
--! until: 007_set_sessions_aside
--! mutant: do $$ begin execute format('alter table %s drop constraint %I cascade', 'public.chat_sessions'::regclass,
--!   (select k.conname from pg_catalog.pg_constraint k where k.conrelid = 'public.chat_sessions'::regclass and k.contype = 'p')); end $$;
--!   update public.chat_sessions s set id = (select o.id from public.chat_sessions o order by o.id limit 1)
--!   where s.id = (select o.id from public.chat_sessions o order by o.id desc limit 1)

-- a conversation takes the id of its session: of several sessions only one would find its messages there
select coalesce(s.id::text, '(null)') as object, format('sessions with this id: %s', count(*)) as detail
from public.chat_sessions s
where not exists (
    select from pg_catalog.pg_index i
    join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = 'public.chat_sessions'::regclass and i.indisunique and i.indisvalid and i.indimmediate
      and i.indpred is null and i.indexprs is null and i.indnkeyatts = 1 and a.attname = 'id' and a.attnotnull
  )
group by s.id
having count(*) > 1 or s.id is null
order by 1
