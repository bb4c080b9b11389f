-- with: contract
-- fault
delete from messages where id = (select id from messages order by id limit 1);
