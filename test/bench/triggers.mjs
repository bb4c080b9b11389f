// What keeping both applications in step costs one statement, by the number of messages in the session: the
// processor time of the backend, which does not depend on who else is at work. An early message is deleted
// first, so that every element after it has an id of its own. BENCH_SIZES.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { reached } from './markdown.mjs'

const sizes = JSON.parse(process.env.BENCH_SIZES ?? '[10, 1000, 2000, 4000, 8000, 32000]')
/** Milliseconds for a message added by the old application, for each thousand that are there. */
const goal = 300 / 8

const application = `
  create table public.tenants (id uuid primary key default gen_random_uuid(), name text);
  create table public.tenant_users (id uuid primary key default gen_random_uuid(), tenant_id uuid not null references public.tenants (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade, role text not null default 'user', unique (tenant_id, user_id));
  create table public.chat_sessions (id uuid primary key default gen_random_uuid(), tenant_id uuid, user_id uuid, title varchar(255), messages jsonb default '[]',
    metadata jsonb default '{}', created_at timestamptz default now(), updated_at timestamptz default now());
  insert into auth.users (id, email) select md5('user')::uuid, 'person@example.com';
  insert into public.tenants (id, name) select md5('tenant')::uuid, 'Tenant';
  insert into public.tenant_users (tenant_id, user_id) select md5('tenant')::uuid, md5('user')::uuid;
  insert into public.chat_sessions (id, tenant_id, user_id, title, messages)
  select md5('session ' || k)::uuid, md5('tenant')::uuid, md5('user')::uuid, 'of ' || k, (
    select jsonb_agg(jsonb_build_object('role', case n % 2 when 0 then 'user' else 'assistant' end, 'content', 'message number ' || n || repeat(' x', 40)) order by n)
    from generate_series(1, k) n)
  from unnest(array[${sizes}]) k`

export default async function triggers({ rethread, server, root, table }) {
  const db = await server()
  const sql = postgres(db.url, { max: 1, onnotice: () => {} })
  const rows = []
  try {
    await sql.unsafe(readFileSync(join(root, 'examples/supabase-shim.sql'), 'utf8'))
    await sql.unsafe(application)
    await rethread(db.url, ['migrate', '--track', 'conversation-history'], {}, 1)
    await sql.unsafe('vacuum (analyze)')
    const [{ pid }] = await sql`select pg_backend_pid() as pid`
    /** Processor time of the backend, in ms: fields of /proc/<pid>/stat in hundredths of a second. */
    const used = () => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
      return 10 * (Number(fields[11]) + Number(fields[12]))
    }
    for (const n of sizes) {
      const session = `md5('session ${n}')::uuid`
      const add = `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "more"}]' where id = ${session}`
      await sql.unsafe(
        `delete from public.messages where id = (select id from public.messages where conversation_id = ${session} order by created_at limit 1)`,
      )
      // the first statement of a kind in a session compiles the functions
      await sql.unsafe(add)
      const statements = {
        'old: adds a message': add,
        'old: leaves the messages alone': `update public.chat_sessions set updated_at = now() where id = ${session}`,
        'old: edits a message': `update public.chat_sessions set messages = jsonb_set(messages, '{3,content}', '"edited"') where id = ${session}`,
        'new: adds a message': `insert into public.messages (conversation_id, role, content) values (${session}, 'user', 'more')`,
        'new: deletes a message': `delete from public.messages where id = (select id from public.messages where conversation_id = ${session} order by created_at offset 4 limit 1)`,
      }
      const row = { messages: n }
      for (const [what, statement] of Object.entries(statements)) {
        const before = used()
        await sql.unsafe(statement)
        row[`${what}, ms`] = used() - before
      }
      const most = Math.max(50, (goal * n) / 1000)
      rows.push({
        ...row,
        'goal, old adds': Math.round(most),
        reached: reached(row['old: adds a message, ms'], most),
      })
    }
  } finally {
    await sql.end({ timeout: 1 })
    await db.stop()
  }
  table(rows)
  return rows
}
