-- fault
alter table tenant_users disable row level security;
-- fix
alter table tenant_users enable row level security;
