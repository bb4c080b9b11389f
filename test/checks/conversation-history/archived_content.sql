-- with: contract
-- fault
delete from messages where id = (select id from messages order by created_at, id limit 1);
