-- fault
alter policy conversations_delete on public.conversations using (true);
alter policy conversations_select on public.conversations using (true);
-- fix
alter policy conversations_delete on public.conversations using (user_id = (select auth.uid()));
alter policy conversations_select on public.conversations using (user_id = (select auth.uid()));
-- fault
alter table public.conversations alter title set default 'Untitled';
-- fix
alter table public.conversations alter title set default 'New Conversation';
