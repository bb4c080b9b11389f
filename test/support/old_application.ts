import type { Dice } from './variation.js'

/**
 * What the old application of each track does, at random. Statements read no clock and make no random values,
 * so that the same ones on another database come to the same.
 */

/** A phase of the migration, as far as it binds the old application. */
export type When = 'before' | 'during' | 'contracted'

/** Makes one statement; `n` makes its ids its own. */
type Statement = (d: Dice, n: number, insert: Insert, when: When) => string | null

/** An INSERT with the columns that the variation wants besides. */
export type Insert = (table: string, columns: Record<string, string>, end?: string) => string

const text = (d: Dice, n: number): string =>
  d.one([
    `'said ${n}'`,
    `'said ${n}'`,
    `'said ${n}'`,
    `'it''s \\ %s "${n}" 🙂'`,
    `repeat('long ${n} ', ${d.upTo(30)})`,
    `'7 ${n}'`,
    `'13 and more'`,
    `''`,
  ])
const time = (d: Dice, n: number): string =>
  `timestamptz '2025-03-01 00:00+00' + ${n} * interval '1 minute' + ${d.upTo(9)} * interval '1 ms'`
/** A row of a table, always the same one. */
const some = (table: string, d: Dice, where = 'true'): string =>
  `(select id from ${table} where ${where} order by md5(id::text || '${d.upTo(99)}') limit 1)`
const id = (what: string, n: number): string => `md5('${what} of vary ${n}')::uuid`
const workspace = (d: Dice): string =>
  d.chance(0.7)
    ? some('public.workspaces', d, 'owner_id is not null')
    : d.one(['null', `md5('no such workspace')::uuid`, some('public.workspaces', d)])

const message = (d: Dice, n: number): string =>
  d.one([
    `jsonb_build_object('role', 'user', 'content', ${text(d, n)})`,
    `jsonb_build_object('role', 'assistant', 'content', ${text(d, n)}, 'timestamp', '2025-03-01T00:00:00Z', 'n', ${n})`,
    `jsonb_build_object('role', 'user', 'content', 'said ${n}')`,
    `jsonb_build_object('role', 'narrator', 'content', 'odd ${n}')`,
    `jsonb_build_object('content', 'no role ${n}')`,
    `'null'::jsonb`,
    `'"a text"'::jsonb`,
  ])

/** Rows of a table that are there now. */
const several = (table: string, d: Dice): string =>
  `id = any (array(select x.id from ${table} x where md5(x.id::text) < '${d.one(['1', '3', '8'])}'))`

/** A row that may be there already, as other libraries write it. */
const upsert = (
  d: Dice,
  insert: Insert,
  table: string,
  columns: Record<string, string>,
  set: string[],
): string =>
  d.one([
    insert(
      table,
      columns,
      `on conflict (id) do update set ${set.map(c => `${c} = excluded.${c}`).join(', ')}`,
    ),
    insert(table, columns, 'on conflict do nothing'),
    `merge into public.${table} o using (select ${Object.entries(columns)
      .map(([c, value]) => `${value} as ${c}`)
      .join(', ')}) n on n.id = o.id when matched then update set ${set.map(c => `${c} = n.${c}`).join(', ')}
      when not matched then ${insert(table, Object.fromEntries(Object.keys(columns).map(c => [c, `n.${c}`]))).replace(/into \S+/, '')}`,
    `with gone as (delete from public.${table} where id = ${columns.id} returning id) ${insert(table, { ...columns, id: `coalesce((select max(id::text)::uuid from gone), ${columns.id})` })}`,
  ])
/** A row by COPY, whose columns need no expression. */
const copied = (table: string, columns: Record<string, string>): string =>
  `copy public.${table} (${Object.keys(columns).join(', ')}) from program $$echo "${Object.values(columns).join(',')}"$$ with (format csv, quote '''')`

const chats: Statement[] = [
  // without the triggers of the way there, a message needs a session
  (d, n, insert, when) =>
    when === 'contracted'
      ? null
      : insert('chats', {
          id: id('chat', n),
          workspace_id: workspace(d),
          user_id: d.chance(0.8) ? some('auth.users', d) : 'null',
          role: d.one([`'user'`, `'assistant'`, 'null', `'tool'`]),
          message: text(d, n),
          created_at: time(d, n),
        }),
  (d, n) => `update public.chats set message = ${text(d, n)} where id = ${some('public.chats', d)}`,
  (d, _n, _i, when) =>
    when === 'contracted'
      ? null
      : `update public.chats set workspace_id = ${workspace(d)} where id = ${some('public.chats', d)}`,
  d => `update public.chats set user_id = ${some('auth.users', d)} where id = ${some('public.chats', d)}`,
  (d, n) => `update public.chats set created_at = ${time(d, n)} where id = ${some('public.chats', d)}`,
  d => `delete from public.chats where id = ${some('public.chats', d)}`,
  (d, n, insert, when) =>
    when === 'contracted'
      ? null
      : upsert(
          d,
          insert,
          'chats',
          {
            id: d.one([id('chat', n), some('public.chats', d)]),
            workspace_id: workspace(d),
            user_id: some('auth.users', d),
            role: `'user'`,
            message: text(d, n),
            created_at: time(d, n),
          },
          d.one([['message'], ['message', 'workspace_id'], ['created_at', 'user_id']]),
        ),
  (d, n, _i, when) =>
    when === 'contracted'
      ? null
      : copied('chats', {
          id: `'${'0'.repeat(8)}-0000-4000-8000-${String(n).padStart(12, '0')}'`,
          workspace_id: some('public.workspaces', d, 'owner_id is not null'),
          user_id: some('auth.users', d),
          role: 'user',
          message: `copied ${n}`,
          created_at: `2025-03-02 00:00+00`,
        }),
  (d, n, _i, when) =>
    d.one([
      `update public.chats set message = 'all ${n}' where ${several('public.chats', d)}`,
      `update public.chats set created_at = created_at + interval '1 second' where ${several('public.chats', d)}`,
      `delete from public.chats where ${several('public.chats', d)}`,
      ...(when === 'contracted'
        ? []
        : [`update public.chats set workspace_id = ${workspace(d)} where ${several('public.chats', d)}`]),
      // what is taken out would come back with the rollback
      ...(when !== 'contracted' && d.chance(0.1) ? ['truncate public.chats'] : []),
    ]),
  (d, n, insert) =>
    insert('workspaces', {
      id: id('workspace', n),
      name: text(d, n),
      owner_id: some('auth.users', d),
      updated_at: time(d, n),
    }),
  (d, n) => `update public.workspaces set name = ${text(d, n)} where id = ${some('public.workspaces', d)}`,
  d =>
    `update public.workspaces set owner_id = ${some('auth.users', d)} where id = ${some('public.workspaces', d)}`,
  (d, _n, _i, when) =>
    when === 'contracted' ? null : `delete from public.workspaces where id = ${some('public.workspaces', d)}`,
  (_d, n) =>
    `insert into auth.users (id, email, created_at) values (${id('user', n)}, 'v${n}@example.com', '2025-01-01')`,
]

const arrays: Statement[] = [
  (d, n, insert, when) =>
    when === 'contracted'
      ? null
      : insert('chat_sessions', {
          id: id('session', n),
          tenant_id: d.chance(0.8) ? some('public.tenants', d) : 'null',
          user_id: d.chance(0.8) ? some('auth.users', d) : 'null',
          title: d.chance(0.2) ? 'null' : text(d, n),
          messages: d.one([`jsonb_build_array(${message(d, n)})`, `'[]'`, 'null', `'{}'`, `'null'`]),
          metadata: d.one([`'{}'`, 'null', `'{"a": 1}'`]),
          created_at: time(d, n),
          updated_at: time(d, n),
        }),
  ...[0, 1, 2].map(
    (): Statement => (d, n) =>
      `update public.chat_sessions set messages = messages || jsonb_build_array(${message(d, n)}) where id = ${some('public.chat_sessions', d)} and jsonb_typeof(messages) = 'array'`,
  ),
  d =>
    `update public.chat_sessions set messages = messages - ${d.upTo(5)} where id = ${some('public.chat_sessions', d)} and jsonb_typeof(messages) = 'array'`,
  (d, n) =>
    `update public.chat_sessions set messages = jsonb_set(messages, '{${d.upTo(4)},content}', to_jsonb(${text(d, n)}::text)) where id = ${some('public.chat_sessions', d)} and jsonb_typeof(messages) = 'array' and jsonb_typeof(messages -> 0) = 'object'`,
  (d, n) =>
    `update public.chat_sessions set title = ${text(d, n)} where id = ${some('public.chat_sessions', d)}`,
  d =>
    `update public.chat_sessions set metadata = '{"k": ${d.upTo(9)}}' where id = ${some('public.chat_sessions', d)}`,
  d => `delete from public.chat_sessions where id = ${some('public.chat_sessions', d)}`,
  (d, n, insert) =>
    upsert(
      d,
      insert,
      'chat_sessions',
      {
        id: d.one([id('session', n), some('public.chat_sessions', d)]),
        tenant_id: some('public.tenants', d),
        user_id: some('auth.users', d),
        title: text(d, n),
        messages: d.one([`jsonb_build_array(${message(d, n)}, ${message(d, n)})`, `'[]'::jsonb`]),
        created_at: time(d, n),
        updated_at: time(d, n),
      },
      d.one([['messages'], ['title', 'updated_at'], ['messages', 'title', 'tenant_id']]),
    ),
  (d, n) =>
    copied('chat_sessions', {
      id: `'${'0'.repeat(8)}-0000-4000-8000-${String(n).padStart(12, '0')}'`,
      tenant_id: some('public.tenants', d),
      user_id: some('auth.users', d),
      title: `copied ${n}`,
      messages: '[]',
      created_at: `2025-03-02 00:00+00`,
      updated_at: `2025-03-02 00:00+00`,
    }),
  (d, n) =>
    d.one([
      `update public.chat_sessions set title = 'all ${n}' where ${several('public.chat_sessions', d)}`,
      `update public.chat_sessions set messages = messages || jsonb_build_array(${message(d, n)}) where jsonb_typeof(messages) = 'array' and ${several('public.chat_sessions', d)}`,
      `update public.chat_sessions set messages = '[]' where ${several('public.chat_sessions', d)}`,
      `delete from public.chat_sessions where ${several('public.chat_sessions', d)}`,
      ...(d.chance(0.1) ? ['truncate public.chat_sessions'] : []),
    ]),
  (d, n) => `update public.tenants set name = ${text(d, n)} where id = ${some('public.tenants', d)}`,
  (d, n, insert) => insert('tenants', { id: id('tenant', n), name: text(d, n) }),
]

const trips: Statement[] = [
  (d, n, insert) =>
    insert('requests', {
      id: id('request', n),
      iso_agent_id: d.chance(0.8) ? some('public.iso_agents', d) : 'null',
      departure_airport: `'EDDF'`,
      arrival_airport: `'KTEB'`,
      created_at: time(d, n),
    }),
  (d, n, insert) =>
    insert('conversations', {
      id: id('conversation', n),
      request_id: d.chance(0.8) ? some('public.requests', d) : 'null',
      subject: text(d, n),
      created_at: time(d, n),
    }),
  ...[0, 1, 2].map(
    (): Statement => (d, n, insert) =>
      insert('messages', {
        id: id(`message`, n),
        conversation_id: some('public.conversations', d),
        sender_type: d.one([`'agent'`, `'desk'`, 'null']),
        content: text(d, n),
        created_at: time(d, n),
      }),
  ),
  (d, n) => `update public.messages set content = ${text(d, n)} where id = ${some('public.messages', d)}`,
  (d, n) => `update public.messages set created_at = ${time(d, n)} where id = ${some('public.messages', d)}`,
  d => `delete from public.messages where id = ${some('public.messages', d)}`,
  (d, n, insert) =>
    upsert(
      d,
      insert,
      'messages',
      {
        id: d.one([id('message', n), some('public.messages', d)]),
        conversation_id: some('public.conversations', d),
        sender_type: `'agent'`,
        content: text(d, n),
        created_at: time(d, n),
      },
      d.one([['content'], ['conversation_id', 'created_at'], ['conversation_id', 'content']]),
    ),
  (d, n) =>
    copied('messages', {
      id: `'${'0'.repeat(8)}-0000-4000-8000-${String(n).padStart(12, '0')}'`,
      conversation_id: some('public.conversations', d),
      sender_type: 'agent',
      content: `copied ${n}`,
      created_at: `2025-03-02 00:00+00`,
    }),
  (d, n) =>
    d.one([
      `update public.messages set content = 'all ${n}' where ${several('public.messages', d)}`,
      `update public.messages set conversation_id = ${some('public.conversations', d)} where ${several('public.messages', d)}`,
      `update public.conversations set request_id = ${some('public.requests', d)} where ${several('public.conversations', d)}`,
      `update public.requests set iso_agent_id = ${some('public.iso_agents', d)} where ${several('public.requests', d)}`,
      `delete from public.messages where ${several('public.messages', d)}`,
      // no foreign key of the track points at it: the server would refuse that
      ...(d.chance(0.2) ? ['truncate public.messages'] : []),
    ]),
  d => `delete from public.conversations where id = ${some('public.conversations', d)}`,
  d =>
    `update public.conversations set request_id = ${some('public.requests', d)} where id = ${some('public.conversations', d)}`,
  d =>
    `update public.requests set iso_agent_id = ${d.one([some('public.iso_agents', d), 'null'])} where id = ${some('public.requests', d)}`,
  d => `delete from public.requests where id = ${some('public.requests', d)}`,
  (d, n, insert) =>
    insert('quotes', { id: id('quote', n), request_id: some('public.requests', d), amount: `${n}` }),
  (d, n, insert, when) =>
    when === 'contracted'
      ? null
      : insert('chatkit_sessions', {
          id: id('chatkit', n),
          iso_agent_id: some('public.iso_agents', d),
          chatkit_session_id: `'ck of vary ${n}'`,
          updated_at: time(d, n),
        }),
  (d, _n, _i, when) =>
    when === 'contracted'
      ? null
      : `update public.chatkit_sessions set state = '{"a": 1}' where id = ${some('public.chatkit_sessions', d)}`,
]

const projects: Statement[] = [
  (d, n, insert) =>
    insert('projects', {
      id: id('project', n),
      user_id: d.one([some('auth.users', d), 'null']),
      name: text(d, n),
      created_at: time(d, n),
    }),
  (d, n) => `update public.projects set name = ${text(d, n)} where id = ${some('public.projects', d)}`,
  d =>
    `update public.projects set user_id = ${some('auth.users', d)} where id = ${some('public.projects', d)}`,
  d => `delete from public.projects where id = ${some('public.projects', d)}`,
  d => `delete from auth.users where id = ${some('auth.users', d)}`,
]

const repositories: Statement[] = [
  (_d, n, insert) => insert('repositories', { id: id('repository', n), name: `'org/vary-${n}'` }),
  (d, n) =>
    `update public.repositories set name = 'org/renamed-${n}' where id = ${some('public.repositories', d)}`,
  d => `delete from public.repositories where id = ${some('public.repositories', d)}`,
  d => `delete from auth.users where id = ${some('auth.users', d)}`,
]

const applications: Record<string, Statement[]> = {
  'workspace-sessions': chats,
  'conversation-history': arrays,
  'trip-sessions': trips,
  'helper-chats': projects,
  'codebase-sessions': repositories,
}

/** What applications put around a statement: it must come to the same. */
function within(d: Dice, sql: string, n: number): string {
  if (d.chance(0.7)) return sql
  return d.one([
    `savepoint before; ${sql}; rollback to before; ${sql}`,
    `savepoint one; ${sql}; release one; savepoint two; select 1; rollback to two`,
    `do $do$ begin begin ${sql}; raise exception 'not yet'; exception when raise_exception then null; end; ${sql}; end $do$`,
    `set transaction isolation level ${d.one(['serializable', 'repeatable read'])}; ${sql}`,
    `set local role service_role; ${sql}`,
    `set constraints all immediate; ${sql}`,
    `set local search_path = ''; set local datestyle = 'German'; set local timezone = 'Asia/Kathmandu'; ${sql}`,
    `${sql}; prepare transaction 'vary_${n}_${d.upTo(1e9)}'`,
  ])
}

/** One statement of the old application of a track. */
export function oldStatement(track: string, d: Dice, n: number, when: When, insert: Insert): string {
  if (track === 'conversation-history' && when === 'contracted') return arrays.at(-1)!(d, n, insert, when)!
  for (;;) {
    const made = d.one(applications[track]!)(d, n, insert, when)
    if (made) return made.startsWith('copy ') ? made : within(d, made, n)
  }
}

/**
 * Messages that are neither migrated nor set aside with a reason, nor noted as failed or for the next run,
 * once the backfills have ended: no command may be clean where this is not empty.
 */
export const unaccounted: Record<string, string> = {
  'workspace-sessions': `
    select c.id::text as id from public.chats c
    where c.session_id is null and not exists (
      -- without a primary key, a row's key is its content
      select from rethread_archive.quarantine q where q.relation = 'public.chats' and (q.key like '%' || c.id || '%' or q.original ->> 'id' = c.id::text) and q.reason is not null)`,
  'conversation-history': `
    select s.id::text as id from public.chat_sessions s
    cross join lateral (select count(*) as n from public.messages m where m.conversation_id = s.id) m
    cross join lateral (
      select count(*) as n, coalesce(bool_or(q.key in (s.id::text, s.id || ':0') or q.original ->> 'id' = s.id::text), false) as whole
      from rethread_archive.quarantine q
      where q.relation = 'public.chat_sessions' and q.reason is not null
        -- without a primary key, a row's key is its content
        and (starts_with(q.key, s.id::text) or q.original ->> 'id' = s.id::text)) q
    where jsonb_typeof(s.messages) = 'array' and not q.whole and (
      jsonb_array_length(s.messages) > m.n + q.n
      or exists (
        select from jsonb_array_elements(s.messages) e
        where jsonb_typeof(e) = 'object' and e ->> 'role' in ('user', 'assistant') and jsonb_typeof(e -> 'content') = 'string'
          and not exists (select from public.messages m where m.conversation_id = s.id and m.content = e ->> 'content')))`,
  'trip-sessions': `
    select c.id::text as id from public.conversations c
    where not exists (select from public.chat_sessions s where s.conversation_id = c.id)
      and not exists (select from rethread_archive.quarantine q where q.relation = 'public.conversations' and q.key = c.id::text and q.reason is not null)`,
}
