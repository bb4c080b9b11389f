-- fault
alter table chats drop constraint chats_pkey cascade;
insert into chats (id, message, created_at) select md5('twin')::uuid, 'twin', '2025-01-01' from generate_series(1, 2);
-- fix
alter table chats add column row_id bigint generated always as identity primary key;
