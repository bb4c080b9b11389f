import { describe, expect, test } from 'vitest'
import { type Database, database, some } from '../support/database.js'
import { inProcess } from '../support/in_process.js'

/**
 * Several rows by one statement: a conversation with its first messages in a WITH, in either order, many rows
 * at once, ON CONFLICT, MERGE and COPY. What a track counts or copies of them is right at once, and nothing
 * is left for later.
 */

/** Statements of the applications of a track, and what must be true after them. */
interface Told {
  statements: string[]
  /** A file of COPY, with the statement that takes it. */
  copied: [string, string]
  checks: string[]
  /** A table that the triggers write, and a statement that makes them write it. */
  written: string[]
  /** What brings up to date what no run does. */
  later?: string
}

const whole = process.env.RETHREAD_SOAK !== undefined

const uuid = (n: number | string) => `md5('new ${n}')::uuid`

const tracks: Record<string, Told> = {
  'trip-sessions': {
    statements: [
      ...['subject', 'subject'].map(
        (
          _,
          k,
        ) => `with c as (insert into public.conversations (id, request_id) select ${uuid(k)}, id from public.requests where iso_agent_id is not null order by id limit 1 returning id)
          insert into public.messages (conversation_id, content) select ${k === 0 ? 'id' : uuid(k)}, 'first' from c, generate_series(1, 2)`,
      ),
      `with m as (insert into public.messages (conversation_id, content) values (${uuid(2)}, 'a'), (${uuid(2)}, 'b'))
       insert into public.conversations (id, request_id) select ${uuid(2)}, id from public.requests where iso_agent_id is not null order by id limit 1`,
      `with c as (insert into public.conversations (id, request_id) select ${uuid(3)}, id from public.requests where iso_agent_id is not null order by id limit 1 returning 1)
       insert into public.messages (conversation_id, content) values (${uuid(3)}, 'a'), (${uuid(3)}, 'b')`,
      `with s as (insert into public.chat_sessions (conversation_id, request_id, iso_agent_id) select c.id, r.id, r.iso_agent_id
         from public.conversations c join public.requests r on r.id = c.request_id where r.iso_agent_id is not null order by c.id limit 3 returning conversation_id)
       insert into public.messages (conversation_id, content) select conversation_id, 'with a session' from s, generate_series(1, 2)`,
      `insert into public.messages (conversation_id, content) select c.id, 'many' from public.conversations c, generate_series(1, 3)`,
      `with q as (insert into public.quotes (request_id, amount) select id, 1 from public.requests where iso_agent_id is not null returning request_id)
       insert into public.conversations (request_id) select request_id from q`,
      `insert into public.messages as m (id, conversation_id, content) select id, conversation_id, 'again' from public.messages order by id limit 5
       on conflict (id) do update set content = excluded.content`,
      `merge into public.messages m using (select c.id, x.id as message from public.conversations c left join lateral (
         select id from public.messages x where x.conversation_id = c.id order by id limit 1) x on true) s on m.id = s.message
       when matched then delete when not matched then insert (conversation_id, content) values (s.id, 'merged')`,
    ],
    copied: [
      'copy public.messages (conversation_id, content) from stdin',
      `select id || E'\\tcopied' as line from public.conversations`,
    ],
    checks: ['behind', 'counters_true', 'every_conversation', 'copied_links', 'true_links'],
    written: ['public.chat_sessions'],
  },
  'conversation-history': {
    statements: [
      `with c as (insert into public.conversations (id, tenant_id, user_id, title) select ${uuid(0)}, tenant_id, user_id, 'T' from public.conversations order by id limit 1 returning id)
       insert into public.messages (conversation_id, role, content) select id, 'user', 'first' from c`,
      `with c as (insert into public.conversations (id, tenant_id, user_id, title) select ${uuid(1)}, tenant_id, user_id, 'T' from public.conversations order by id limit 1 returning id)
       insert into public.messages (conversation_id, role, content) values (${uuid(1)}, 'user', 'first'), (${uuid(1)}, 'assistant', 'second')`,
      `with m as (insert into public.messages (conversation_id, role, content) values (${uuid(2)}, 'user', 'first'), (${uuid(2)}, 'assistant', 'second'))
       insert into public.conversations (id, tenant_id, user_id, title) select ${uuid(2)}, tenant_id, user_id, 'T' from public.conversations order by id limit 1`,
      `insert into public.messages (conversation_id, role, content) select id, 'user', 'many' from public.conversations, generate_series(1, 2)`,
      `insert into public.messages (id, conversation_id, role, content) select id, conversation_id, role, 'again' from public.messages order by id limit 5
       on conflict (id) do update set content = excluded.content`,
      `merge into public.messages m using (select c.id, x.id as message from public.conversations c left join lateral (
         select id from public.messages x where x.conversation_id = c.id order by id limit 1) x on true) s on m.id = s.message
       when matched then delete when not matched then insert (conversation_id, role, content) values (s.id, 'user', 'merged')`,
      `insert into public.chat_sessions (id, tenant_id, user_id, title, messages) select ${uuid('x')}, tenant_id, user_id, 'T', '[{"role": "user", "content": "a"}]' from public.chat_sessions order by id limit 1
       on conflict (id) do update set messages = '[]'`,
    ],
    copied: [
      'copy public.messages (conversation_id, role, content) from stdin',
      `select id || E'\\tuser\\tcopied' as line from public.conversations`,
    ],
    checks: ['behind', 'accounted', 'same_content', 'no_orphans', 'conversations_current'],
    written: ['public.chat_sessions', 'public.conversations', 'public.messages'],
  },
  'helper-chats': {
    statements: [
      `with s as (insert into public.chat_sessions (id, user_id, helper) select ${uuid(0)}, id, 'h' from auth.users order by id limit 1 returning id)
       insert into public.chat_messages (session_id, role, content) select id, 'user', 'first' from s`,
      `with s as (insert into public.chat_sessions (id, user_id, helper) select ${uuid(1)}, id, 'h' from auth.users order by id limit 1 returning id)
       insert into public.chat_messages (session_id, role, content) values (${uuid(1)}, 'user', 'first'), (${uuid(1)}, 'assistant', 'second')`,
      `with m as (insert into public.chat_messages (session_id, role, content) values (${uuid(2)}, 'user', 'first'), (${uuid(2)}, 'assistant', 'second'))
       insert into public.chat_sessions (id, user_id, helper) select ${uuid(2)}, id, 'h' from auth.users order by id limit 1`,
      `insert into public.chat_messages (session_id, role, content) select id, 'user', 'many' from public.chat_sessions, generate_series(1, 3)`,
      `insert into public.chat_messages (id, session_id, role, content) select id, session_id, role, 'again' from public.chat_messages order by id limit 5
       on conflict (id) do update set content = excluded.content`,
      `merge into public.chat_messages m using (select c.id, x.id as message from public.chat_sessions c left join lateral (
         select id from public.chat_messages x where x.session_id = c.id order by id limit 1) x on true) s on m.id = s.message
       when matched then delete when not matched then insert (session_id, role, content) values (s.id, 'user', 'merged')`,
    ],
    copied: [
      'copy public.chat_messages (session_id, role, content) from stdin',
      `select id || E'\\tuser\\tcopied' as line from public.chat_sessions`,
    ],
    checks: ['behind', 'sessions_current', 'no_orphans'],
    written: ['public.chat_sessions'],
  },
  'workspace-sessions': {
    statements: [
      `with w as (insert into public.workspaces (id, owner_id, name) select ${uuid(0)}, id, 'W' from auth.users order by id limit 1 returning id, owner_id)
       insert into public.chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'first' from w, generate_series(1, 2)`,
      `with s as (insert into public.chat_sessions (workspace_id, user_id, title) select id, owner_id, 'S' from public.workspaces where owner_id is not null order by id limit 3 returning *)
       insert into public.chats (workspace_id, user_id, role, message, session_id) select workspace_id, user_id, 'user', 'in a session', id from s, generate_series(1, 2)`,
      `insert into public.chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'many' from public.workspaces where owner_id is not null`,
      `insert into public.chats (id, workspace_id, user_id, role, message) select id, workspace_id, user_id, role, 'again' from public.chats where workspace_id is not null and session_id is not null order by id limit 5
       on conflict (id) do update set message = excluded.message`,
      `merge into public.chats m using (select w.id, w.owner_id, x.id as message from public.workspaces w left join lateral (
         select id from public.chats x where x.workspace_id = w.id order by id limit 1) x on true where w.owner_id is not null) s on m.id = s.message
       when matched then delete when not matched then insert (workspace_id, user_id, role, message) values (s.id, s.owner_id, 'user', 'merged')`,
    ],
    copied: [
      'copy public.chats (workspace_id, user_id, role, message) from stdin',
      `select id || E'\\t' || owner_id || E'\\tuser\\tcopied' as line from public.workspaces where owner_id is not null`,
    ],
    checks: ['behind', 'sessions_current', 'orphaned_messages', 'same_workspace', 'foreign_keys_true'],
    written: ['public.chat_sessions'],
    later: 'select chat_private.catch_up(session_id) from chat_private.behind where session_id is not null',
  },
}

/** What checks find; a check that could not look is found too. */
async function wrong(db: Database, track: string, only: string[]): Promise<string[]> {
  const report = await (await inProcess(db.url, { track })).verify({ only })
  expect(report.checks.map(c => c.check).sort()).toEqual([...only].sort())
  return report.checks.flatMap(c =>
    c.outcome === 'pass' ? [] : [`${c.check} ${c.outcome}: ${JSON.stringify(c.found)}`],
  )
}

async function copy(db: Database, [statement, lines]: [string, string]): Promise<void> {
  const rows = await db.sql.unsafe<{ line: string }[]>(lines)
  await db.sql.begin(async tx => {
    const into = await tx.unsafe(statement).writable()
    for (const { line } of rows) into.write(`${line}\n`)
    into.end()
    await new Promise((done, failed) => into.once('finish', done).once('error', failed))
  })
}

describe.each(some('newest'))('many rows by one statement, on PostgreSQL $major', server => {
  test.each(Object.entries(tracks))('%s: every one is counted once', async (track, told) => {
    await using db = await database(server, track, 60)
    const project = await inProcess(db.url, { track })
    expect((await project.migrate()).findings.filter(f => f.level === 'error')).toEqual([])
    const before = await wrong(db, track, told.checks)
    for (const statement of told.statements) {
      await db.sql.unsafe(statement)
      // one by one takes a minute, and only says which
      if (whole) expect([statement, await wrong(db, track, told.checks)]).toEqual([statement, before])
    }
    await copy(db, told.copied)
    expect(await wrong(db, track, told.checks)).toEqual(before)
    // a trigger of the application that raises stops ours, and not the statement of the application
    for (const table of told.written)
      await db.sql.unsafe(`
        create or replace function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not by others' using errcode = 'P0999'; end $$;
        create trigger refuse before insert or update on ${table} for each row when (pg_trigger_depth() > 0) execute function public.refuse()`)
    for (const statement of told.statements) await db.sql.unsafe(statement.replaceAll(`'new `, `'newer `))
    await copy(db, told.copied)
    for (const table of told.written) await db.sql.unsafe(`drop trigger refuse on ${table}`)
    if (told.later) await db.sql.unsafe(told.later)
    const up = await project.migrate()
    expect(up.findings.filter(f => f.level === 'error')).toEqual([])
    expect(await wrong(db, track, told.checks)).toEqual(before)
  })

  test('conversation-history: a key that is checked at the end of the transaction takes conversations all the same', async () => {
    await using db = await database(server, 'conversation-history', 20)
    await db.sql.unsafe(`alter table public.chat_sessions drop constraint chat_sessions_pkey cascade;
      alter table public.chat_sessions add primary key (id) deferrable initially deferred`)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    expect((await project.migrate()).findings.filter(f => f.level === 'error')).toEqual([])
    await db.sql.unsafe(tracks['conversation-history']!.statements[0]!)
    const [kept] =
      await db.sql`select jsonb_array_length(messages) as n from public.chat_sessions where id = md5('new 0')::uuid`
    expect(kept).toEqual({ n: 1 })
    expect([...(await db.sql`select operation, sqlstate from chat_private.behind`)]).toEqual([])
  })
})
