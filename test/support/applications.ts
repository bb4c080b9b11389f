/**
 * How a test speaks for the two applications of each track: what the new one writes before a rollback, what
 * the old one does between the rollback and the restore, and what must be there afterwards.
 */

/** What each key (a conversation, a session) says, in order. */
export type Said = Record<string, string[]>

/** The two applications of one track. */
export interface Applications {
  /** What the new application writes, before the rollback, and what the test remembers of it. */
  fresh: string
  /** What must be there after the restore, read where the new application reads it. */
  said: string
  /** After the changes and before the restore: what `said` must be. */
  expected: string
  /** Archived rows that cannot come back, by their table, counted before the restore. */
  conflicts?: string
  /** One change of the old application; told to `said`, where the test keeps a model of its own. */
  change(next: () => number, said: Said, n: number): string | null
  /** True where `change` keeps `said` up to date, which `expected` must then be. */
  modelled: boolean
}

const one = <T>(next: () => number, from: readonly T[]): T => from[Math.floor(next() * from.length)]!

/** A row of a table that the next random number points at, as a subquery. */
const any = (next: () => number, from: string, column = 'id'): string =>
  `(select ${column} from (select x.${column}, row_number() over (order by x.id) as n, count(*) over () as most from ${from} x) x where n = 1 + floor(${next()} * most))`

/** Arrays of messages in the rows of chats: each change is a change of an array. */
const conversations: Applications = {
  modelled: true,
  fresh: `
    insert into public.messages (conversation_id, role, content, created_at)
    select c.id, 'user', 'fresh ' || k || ' in ' || c.id, clock_timestamp() + k * interval '1 ms'
    from (select id from public.conversations order by id limit 12) c, generate_series(1, 3) k order by c.id, k;
    update public.messages set content = content || ', edited' where id in (select id from public.messages order by md5(id::text) limit 40);
    delete from public.messages where id in (select id from public.messages order by md5(id::text || 'x') limit 10);`,
  said: `
    select c.id as key, (select coalesce(json_agg(m.content order by m.created_at, m.id), '[]') from public.messages m where m.conversation_id = c.id) as said
    from public.conversations c`,
  expected: `
    select s.id as key, (select coalesce(json_agg(e ->> 'content' order by n), '[]') from jsonb_array_elements(s.messages) with ordinality x (e, n)) as said
    from public.chat_sessions s join public.tenants t on t.id = s.tenant_id join auth.users u on u.id = s.user_id
    where jsonb_typeof(s.messages) = 'array' and not exists (
      select from jsonb_array_elements(s.messages) e where jsonb_typeof(e) <> 'object' or jsonb_typeof(e -> 'content') is distinct from 'string'
        or e ->> 'role' is null or e ->> 'role' not in ('user', 'assistant'))`,
  change(next, said, n) {
    const key = one(next, Object.keys(said))
    const now = said[key]!
    const where = `where id = '${key}'`
    const kind = one(next, ['remove', 'remove', 'edit', 'append', 'insert', 'clear', 'drop'])
    const at = Math.floor(next() * now.length)
    const element = `'{"role": "user", "content": "old ${n}"}'::jsonb`
    if (kind === 'append' || now.length === 0) {
      now.push(`old ${n}`)
      return `update public.chat_sessions set messages = messages || ${element} ${where}`
    }
    if (kind === 'insert') {
      now.splice(at, 0, `old ${n}`)
      return `update public.chat_sessions set messages = jsonb_insert(messages, '{${at}}', ${element}) ${where}`
    }
    if (kind === 'edit') {
      now[at] = `edited ${n}`
      return `update public.chat_sessions set messages = jsonb_set(messages, '{${at},content}', '"edited ${n}"') ${where}`
    }
    if (kind === 'clear' && next() < 0.4) {
      now.length = 0
      return `update public.chat_sessions set messages = '[]' ${where}`
    }
    if (kind === 'drop' && next() < 0.4) {
      delete said[key]
      return `delete from public.chat_sessions ${where}`
    }
    now.splice(at, 1)
    return `update public.chat_sessions set messages = messages - ${at} ${where}`
  },
}

/** One merged conversation in each workspace; sessions that the new application opened keep theirs. */
const workspaces: Applications = {
  modelled: true,
  fresh: `
    with room as (select id, owner_id from workspaces where owner_id is not null order by id limit 8),
    made as (insert into chat_sessions (workspace_id, user_id, title) select id, owner_id, 'Fresh' from room returning *)
    insert into chats (workspace_id, user_id, role, message, session_id, created_at)
    select workspace_id, user_id, 'user', 'fresh ' || k, id, clock_timestamp() + k * interval '1 ms' from made, generate_series(1, 6) k;
    update chat_sessions set title = 'Renamed' where id in (select id from chat_sessions where title = 'Legacy Chat' order by id limit 4);
    create table rethread_test.fresh as
    select c.id, c.session_id::text as session_id from chats c join chat_sessions s on s.id = c.session_id where s.title = 'Fresh';`,
  said: `
    select coalesce(case when s.title = 'Fresh' then 'fresh ' || s.id end, c.workspace_id::text) as key, json_agg(c.message order by c.created_at nulls first, c.id) as said
    from chats c join chat_sessions s on s.id = c.session_id and s.workspace_id = c.workspace_id group by 1`,
  expected: `
    select coalesce('fresh ' || f.session_id, c.workspace_id::text) as key, json_agg(c.message order by c.created_at nulls first, c.id) as said
    from chats c join workspaces w on w.id = c.workspace_id and w.owner_id is not null left join rethread_test.fresh f on f.id = c.id
    group by 1`,
  change(next, said, n) {
    const key = one(next, Object.keys(said))
    const now = said[key]!
    const kind = one(next, ['remove', 'remove', 'edit', 'append'])
    const at = Math.floor(next() * now.length)
    const mine = `c.id = (select id from (
      select c.id, row_number() over (order by c.created_at nulls first, c.id) as n from chats c left join rethread_test.fresh f on f.id = c.id
      join workspaces w on w.id = c.workspace_id and w.owner_id is not null
      where coalesce('fresh ' || f.session_id, c.workspace_id::text) = '${key}') x where n = ${at + 1})`
    if (kind === 'append') {
      // the old application knows no sessions: what it writes goes to the legacy session of the workspace
      const to = one(
        next,
        Object.keys(said).filter(k => !k.startsWith('fresh')),
      )
      said[to]!.push(`old ${n}`)
      return `insert into chats (workspace_id, user_id, role, message, created_at)
        select id, owner_id, 'user', 'old ${n}', clock_timestamp() + interval '1 day' + interval '${n} s' from workspaces where id = '${to}'`
    }
    if (now.length < 2) return null
    if (kind === 'edit') {
      now[at] = `edited ${n}`
      return `update chats c set message = 'edited ${n}' where ${mine}`
    }
    now.splice(at, 1)
    return `delete from chats c where ${mine}`
  },
}

/** Sessions of conversations that stay where they are: sessions carry state, links and counters. */
const trips: Applications = {
  modelled: false,
  fresh: `
    update public.chat_sessions set status = 'paused', current_step = 'asked ' || conversation_id, metadata = '{"by": "hand"}'
    where id in (select id from public.chat_sessions order by md5(id::text) limit 12);
    insert into public.conversations (id, request_id, subject)
    select md5('fresh ' || r.id)::uuid, r.id, 'Fresh' from (select * from public.requests where iso_agent_id is not null order by id limit 6) r;
    update public.chat_sessions set current_step = 'fresh' where conversation_id in (select id from public.conversations where subject = 'Fresh');
    insert into public.chat_sessions (conversation_id, request_id, iso_agent_id, status, current_step, session_ended_at)
    select s.conversation_id, s.request_id, s.iso_agent_id, 'completed', 'a second one', now() from public.chat_sessions s order by md5(s.id::text || 'x') limit 5;
    insert into public.messages (conversation_id, sender_type, content)
    select s.conversation_id, 'agent', 'new ' || k from (select * from public.chat_sessions order by md5(id::text || 'y') limit 10) s, generate_series(1, 2) k;
    update public.chat_sessions set current_step = 'talked'
    where current_step is null and conversation_id in (select conversation_id from public.messages where content like 'new %');
    create table rethread_test.sessions as
    select id, conversation_id, iso_agent_id, request_id, status, current_step, metadata from public.chat_sessions where current_step is not null;
    create table rethread_test.untouched as select conversation_id from public.chat_sessions where current_step is null;`,
  said: `
    select c.id as key, json_build_array(
        (select json_agg(m.content order by m.created_at, m.id) from public.messages m where m.conversation_id = c.id),
        (select json_agg(json_build_array(s.status, s.current_step, s.metadata, case when r.iso_agent_id is not null then s.iso_agent_id end, s.request_id, s.message_count, s.quotes_received_count)
          order by s.current_step, s.id) from public.chat_sessions s where s.conversation_id = c.id)) as said
    from public.conversations c left join public.requests r on r.id = c.request_id`,
  // what the archive has of a conversation and an agent that are still there; and what a migrate makes, where
  // there is nothing else, or where it was beside something else before
  expected: `
    select c.id as key, json_build_array(
        (select json_agg(m.content order by m.created_at, m.id) from public.messages m where m.conversation_id = c.id),
        (select json_agg(json_build_array(x.status, x.current_step, x.metadata, r.iso_agent_id, r.id,
            (select count(*) from public.messages m where m.conversation_id = c.id), (select count(*) from public.quotes q where q.request_id = r.id))
          order by x.current_step, x.id)
        from (
          select v.id, v.status, v.current_step, v.metadata
          from rethread_test.sessions v join public.iso_agents a on a.id = v.iso_agent_id where v.conversation_id = c.id
          union all
          select null, 'active', null, '{}' where r.iso_agent_id is not null and (c.id in (select conversation_id from rethread_test.untouched) or not exists (
            select from rethread_test.sessions v join public.iso_agents a on a.id = v.iso_agent_id where v.conversation_id = c.id))
        ) x)) as said
    from public.conversations c left join public.requests r on r.id = c.request_id`,
  change(next, _, n) {
    const conversation = any(next, 'public.conversations')
    const request = any(next, 'public.requests')
    return one(next, [
      `insert into public.messages (conversation_id, sender_type, content, created_at) values (${conversation}, 'agent', 'old ${n}', now() + interval '${n} s')`,
      `insert into public.messages (conversation_id, sender_type, content) values (${conversation}, 'desk', 'old ${n}')`,
      `update public.messages set content = 'edited ${n}' where id = ${any(next, 'public.messages')}`,
      `update public.messages set conversation_id = ${conversation} where id = ${any(next, 'public.messages')}`,
      `delete from public.messages where id = ${any(next, 'public.messages')}`,
      `delete from public.messages where conversation_id = ${conversation}`,
      `insert into public.quotes (request_id, amount) values (${request}, ${n})`,
      `delete from public.quotes where id = ${any(next, 'public.quotes')}`,
      `insert into public.conversations (request_id, subject) values (${request}, 'old ${n}')`,
      `delete from public.conversations where id = ${conversation}`,
      `update public.conversations set request_id = ${request} where id = ${conversation}`,
      `update public.requests set iso_agent_id = ${any(next, 'public.iso_agents')} where id = ${request}`,
      ...(n % 10 === 0
        ? [
            `delete from public.requests where id = ${request}`,
            `delete from public.iso_agents where id = ${any(next, 'public.iso_agents')}`,
          ]
        : []),
    ])
  },
}

/** Chats that the old application knows nothing of: it deletes who and what they belong to. */
const helpers: Applications = {
  modelled: false,
  fresh: `
    insert into public.chat_sessions (id, user_id, project_id, helper, title)
    select md5('session ' || k || p.id)::uuid, p.user_id, case when k < 3 then p.id end, 'planner', 'New Chat' from public.projects p, generate_series(1, 3) k where p.user_id is not null;
    insert into public.chat_messages (session_id, role, content, created_at)
    select s.id, case k % 2 when 1 then 'user' else 'assistant' end, 'said ' || k || ' in ' || s.id, now() + k * interval '1 s' from public.chat_sessions s, generate_series(1, 4) k;
    update public.chat_messages set content = 'edited' where id in (select id from public.chat_messages order by md5(id::text) limit 9);
    delete from public.chat_messages where id in (select id from public.chat_messages order by md5(id::text || 'x') limit 9);
    create table rethread_test.sessions as select * from public.chat_sessions;
    create table rethread_test.messages as select * from public.chat_messages;`,
  said: `
    select s.id as key, json_build_array(to_jsonb(s), (select json_agg(to_jsonb(m) order by m.created_at, m.id) from public.chat_messages m where m.session_id = s.id)) as said
    from public.chat_sessions s`,
  expected: `
    select s.id as key, json_build_array(to_jsonb(s), (select json_agg(to_jsonb(m) order by m.created_at, m.id) from rethread_test.messages m where m.session_id = s.id)) as said
    from rethread_test.sessions s join auth.users u on u.id = s.user_id where s.project_id is null or exists (select from public.projects p where p.id = s.project_id)`,
  conflicts: `
    with gone as (
      select s.id from rethread_test.sessions s left join auth.users u on u.id = s.user_id left join public.projects p on p.id = s.project_id
      where u.id is null or s.project_id is not null and p.id is null)
    select 'public.chat_sessions' as name, count(*)::int as rows from gone
    union all select 'public.chat_messages', count(*)::int from rethread_test.messages m join gone g on g.id = m.session_id`,
  change: (next, _, n) =>
    one(next, [
      `insert into public.projects (user_id, name) values (${any(next, 'auth.users')}, 'old ${n}')`,
      `update public.projects set name = 'renamed ${n}' where id = ${any(next, 'public.projects')}`,
      `update public.projects set user_id = ${any(next, 'auth.users')} where id = ${any(next, 'public.projects')}`,
      ...(n % 8 === 0
        ? [
            `delete from public.projects where id = ${any(next, 'public.projects')}`,
            `delete from auth.users where id = ${any(next, 'auth.users')}`,
          ]
        : []),
    ]),
}

/** The sessions of an assistant, each with its history in one column. */
const codebases: Applications = {
  modelled: false,
  fresh: `
    insert into public.codebase_chat_sessions (session_id, user_id, repo, conversation_history, last_activity, updated_at)
    select 'chat-' || n, case when n % 7 > 0 then md5('user ' || (n % 10 + 1))::uuid end, 'org/repo-' || n % 5, '[{"role": "user", "content": "a question"}]',
      now() - n * interval '1 day', now() - n * interval '1 day' from generate_series(1, 60) n;
    update public.codebase_chat_sessions set conversation_history = conversation_history || '{"role": "assistant", "content": "an answer"}' where session_id like 'chat-%5';
    update public.codebase_chat_sessions set conversation_history = '[]' where session_id like 'chat-%6';
    create table rethread_test.sessions as select * from public.codebase_chat_sessions;`,
  said: `select s.session_id as key, json_build_array(to_jsonb(s)) as said from public.codebase_chat_sessions s`,
  expected: `
    select s.session_id as key, json_build_array(to_jsonb(s)) as said from rethread_test.sessions s
    where s.user_id is null or exists (select from auth.users u where u.id = s.user_id)`,
  conflicts: `
    select 'public.codebase_chat_sessions' as name, count(*)::int as rows from rethread_test.sessions s
    where s.user_id is not null and not exists (select from auth.users u where u.id = s.user_id)`,
  change: (next, _, n) =>
    one(next, [
      `insert into public.repositories (name) values ('org/old-${n}')`,
      `insert into auth.users (id, email) values (gen_random_uuid(), 'old${n}@example.com')`,
      `delete from public.repositories where id = ${any(next, 'public.repositories')}`,
      ...(n % 10 === 0 ? [`delete from auth.users where id = ${any(next, 'auth.users')}`] : []),
    ]),
}

/** By the name of the track. */
export const applications: Record<string, Applications> = {
  'conversation-history': conversations,
  'workspace-sessions': workspaces,
  'trip-sessions': trips,
  'helper-chats': helpers,
  'codebase-sessions': codebases,
}
