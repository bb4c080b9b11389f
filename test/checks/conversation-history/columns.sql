-- fault
alter table messages alter column content drop not null;
-- fix
alter table messages alter column content set not null;
-- fault
alter table conversations drop column metadata cascade;
