-- fault
grant select on conversations to anon;
-- fix
revoke select on conversations from anon;
-- fault
revoke insert on conversations from authenticated;
-- fix
grant insert on conversations to authenticated;
-- fault
revoke delete on conversations from service_role;
-- fix
grant delete on conversations to service_role;
