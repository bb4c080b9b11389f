-- fault
create policy "Everybody reads" on public.chats for select to authenticated using (true);
-- fix
drop policy "Everybody reads" on public.chats;
