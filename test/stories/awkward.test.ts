import { describe, expect, test } from 'vitest'
import { configured, rethread, undoAll } from '../support/cli.js'
import { database, some } from '../support/database.js'

/**
 * Where each awkward session of the fixture ends: its messages in order, and what stands in the quarantine.
 */
const expected: Record<string, { messages: [role: string, content: string][]; aside: string[] }> = {
  'null array': { messages: [], aside: [] },
  'empty array': { messages: [], aside: [] },
  'json null': { messages: [], aside: [] },
  scalar: { messages: [], aside: ['messages is no array but string'] },
  object: { messages: [], aside: ['messages is no array but object'] },
  'array of null': { messages: [], aside: ['it is null'] },
  'no role': { messages: [['user', 'I do']], aside: ['it has no role'] },
  'unknown role': { messages: [['user', 'go on']], aside: ["its role is 'narrator'"] },
  'tool call': {
    messages: [
      ['assistant', ''],
      ['assistant', '42'],
    ],
    aside: [],
  },
  'content parts': { messages: [['user', 'first part\n\nsecond part']], aside: [] },
  'exported tree': { messages: [['user', 'from an export']], aside: [] },
  'whole export': {
    messages: [
      ['system', ''],
      ['user', 'what is this?\n'],
      ['assistant', 'the second try'],
    ],
    aside: ['it is on a branch that the conversation has left'],
  },
  'nodes of an export': {
    messages: [
      ['user', 'asked'],
      ['assistant', 'looked up'],
    ],
    aside: [],
  },
  'epoch seconds': { messages: [['user', 's']], aside: [] },
  'epoch milliseconds': { messages: [['user', 'ms']], aside: [] },
  'unparsable time': {
    messages: [
      ['user', 'one'],
      ['assistant', 'two'],
    ],
    aside: [],
  },
  'no time': {
    messages: [
      ['user', 'one'],
      ['assistant', 'two'],
    ],
    aside: [],
  },
  'out of order': {
    messages: [
      ['user', 'first'],
      ['assistant', 'second'],
    ],
    aside: [],
  },
  'twice the same': {
    messages: [
      ['user', 'again'],
      ['user', 'again'],
    ],
    aside: [],
  },
  'more keys': { messages: [['user', 'hello']], aside: [] },
  'no title': { messages: [['user', 'untitled']], aside: [] },
  'no tenant': { messages: [], aside: ['it has no tenant'] },
  'no user': { messages: [], aside: ['it has no user'] },
  'user without membership': { messages: [['user', 'of nobody here']], aside: [] },
}

describe.each(some('oldest'))('awkward values on PostgreSQL $major', server => {
  test('conversation-history: each is migrated, or in the quarantine with reason and original', async () => {
    await using db = await database(server, 'conversation-history', 2000, true)
    const plan = await rethread(db.url, ['plan'])
    expect(
      plan.report.findings.filter(f => f.code === 'OUTLOOK').map(f => [f.subject, f.facts.detail]),
    ).toEqual([
      ['sessions of users who are not in their tenant', '1; users who would no longer see them: 1'],
      ['sessions without a tenant or a user', expect.stringMatching(/^2:/)],
    ])
    const up = await rethread(db.url, ['migrate'])
    expect(up.code).toBe(0)
    const rows = await db.sql`
      select n.name,
        coalesce((select jsonb_agg(jsonb_build_array(m.role, m.content) order by m.created_at) from messages m where m.conversation_id = md5('awkward ' || n.name)::uuid), '[]') as messages,
        coalesce((select jsonb_agg(q.reason order by q.key) from rethread_archive.quarantine q where split_part(q.key, ':', 1) = md5('awkward ' || n.name)::uuid::text), '[]') as aside
      from unnest(array(select jsonb_array_elements_text(${JSON.stringify(Object.keys(expected))}::text::jsonb))) as n (name)`
    const found = Object.fromEntries(rows.map(r => [r.name, { messages: r.messages, aside: r.aside }]))
    expect(found).toEqual(expected)
    const [more] = await db.sql`
      select
        (select metadata from messages where conversation_id = md5('awkward tool call')::uuid order by created_at limit 1) as call,
        (select metadata from messages where conversation_id = md5('awkward content parts')::uuid) -> 'original_content' -> 1 -> 'image_url' as image,
        (select metadata from messages where conversation_id = md5('awkward more keys')::uuid) as keys,
        (select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS') from messages where conversation_id = md5('awkward epoch milliseconds')::uuid) as ms,
        (select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') from messages where conversation_id = md5('awkward no time')::uuid order by created_at limit 1) as inherited,
        (select length(content) from messages where conversation_id = md5('awkward ten megabytes')::uuid) as large,
        (select title from conversations where id = md5('awkward no title')::uuid) as title,
        (select original #>> '{}' from rethread_archive.quarantine where key = md5('awkward unknown role')::uuid || ':1') as original`
    expect(more).toEqual({
      call: {
        original_content: null,
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'search', arguments: '{}' } }],
      },
      image: { url: 'https://example.com/a.png' },
      keys: { id: 'msg_1', model: 'm', usage: { tokens: 3 } },
      ms: '2025-01-01 00:00:00.123',
      inherited: '2025-03-01 00:00:00',
      large: 10_485_760,
      title: 'New Conversation',
      original: '{"role": "narrator", "content": "meanwhile"}',
    })
    const [moved] = await db.sql`
      select count(*)::int as n from conversations c join chat_sessions s using (id) where c.updated_at is distinct from s.updated_at or c.created_at is distinct from s.created_at`
    expect(moved!.n).toBe(0)
    // what came in is what was migrated and what was set aside
    const [sum] = await db.sql`
      select (select sum(case when jsonb_typeof(s.messages) = 'array' then jsonb_array_length(s.messages)
            else jsonb_array_length(jsonb_path_query_array(s.messages, '$.mapping.* ? (@.message.author.role != null)')) end)::int
          from chat_sessions s where s.tenant_id is not null and s.user_id is not null) as elements,
        (select count(*)::int from messages) as messages,
        (select count(*)::int from rethread_archive.quarantine where key ~ ':' and key !~ ':0$') as aside`
    expect(sum!.elements).toBe(sum!.messages + sum!.aside)
  })

  test('conversation-history: a json column that holds \\u0000 loses that element only, to the quarantine', async () => {
    await using db = await database(server, 'conversation-history')
    await db.sql.unsafe(`
      alter table chat_sessions alter column messages drop default;
      alter table chat_sessions alter column messages type json using messages::json;
      insert into chat_sessions (id, tenant_id, user_id, title, messages)
      values (md5('awkward zero')::uuid, md5('tenant 1')::uuid, md5('user 3')::uuid, 'zero',
        '[{"role": "user", "content": "before"}, {"role": "user", "content": "a \\u0000 b"}, {"role": "user", "content": "a \\\\u0000 as text"}]')`)
    const up = await rethread(db.url, ['migrate'])
    expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const [seen] = await db.sql`
      select (select jsonb_agg(content order by created_at) from messages where conversation_id = md5('awkward zero')::uuid) as messages,
        (select jsonb_agg(jsonb_build_array(key like '%:2', reason)) from rethread_archive.quarantine where key like md5('awkward zero')::uuid || ':%') as aside`
    expect(seen).toEqual({
      messages: ['before', 'a \\u0000 as text'],
      aside: [[true, "it holds \\u0000, which PostgreSQL can't store"]],
    })
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('conversation-history: an edit by either application reaches the other, and keeps what neither understands', async () => {
    await using db = await database(server, 'conversation-history')
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql`insert into messages (conversation_id, role, content) values (md5('awkward no role')::uuid, 'user', 'new')`
    const array = async () =>
      (await db.sql`select messages from chat_sessions where id = md5('awkward no role')::uuid`)[0]!.messages
    expect((await array()).map((e: { content: string }) => e.content)).toEqual([
      'who says so?',
      'I do',
      'new',
    ])
    await db.sql`update chat_sessions set messages = jsonb_set(messages, '{1,content}', '"I did"') || '[{"role": "user", "content": "old"}]' where id = md5('awkward no role')::uuid`
    const said =
      await db.sql`select content from messages where conversation_id = md5('awkward no role')::uuid order by created_at`
    expect(said.map(r => r.content).sort()).toEqual(['I did', 'new', 'old'])
    await db.sql`delete from messages where content = 'I did'`
    expect((await array()).map((e: { content: string }) => e.content)).toEqual(['who says so?', 'new', 'old'])
  })

  test('conversation-history: an exported tree stays one: edits, deletions and new messages reach its nodes, and come back as they were', async () => {
    await using db = await database(server, 'conversation-history')
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const session = "md5('awkward whole export')::uuid"
    const tree = async () =>
      (await db.sql.unsafe(`select messages from chat_sessions where id = ${session}`))[0]!.messages
    const before = await tree()
    await db.sql.unsafe(`
      update messages set content = 'the third try' where conversation_id = ${session} and content = 'the second try';
      delete from messages where conversation_id = ${session} and role = 'system';
      insert into messages (conversation_id, role, content, created_at) values (${session}, 'user', 'and now?', now()), (${session}, 'assistant', 'now it ends', now() + interval '1 second')`)
    const { mapping, current_node } = await tree()
    expect([mapping['answer-2'].message.content.parts, mapping.rules.message, mapping['answer-1']]).toEqual([
      ['the third try'],
      null,
      before.mapping['answer-1'],
    ])
    const last = mapping[current_node]
    expect([last.message.content.parts, mapping[last.parent].parent, mapping['answer-2'].children]).toEqual([
      ['now it ends'],
      'answer-2',
      [last.parent],
    ])
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    const said = () =>
      db.sql.unsafe(
        `select id, role, content, created_at::text from messages where conversation_id = ${session} order by created_at`,
      )
    const live = [...(await said())]
    for (const command of [['rollback', ...undoAll(db.name)], ['migrate'], ['restore', 'latest']])
      expect([command[0], (await rethread(db.url, command)).code]).toEqual([command[0], 0])
    expect([...(await said())]).toEqual(live)
  })

  test('conversation-history: the others keep their times where a message that gave them is deleted', async () => {
    await using db = await database(server, 'conversation-history')
    const says = (content: string, timestamp: string) =>
      `'{"role": "user", "author": {"role": "user"}, "content": "${content}", "timestamp": ${timestamp}}'::jsonb`
    // the first says no time, so it has that of the session, and the others no earlier one
    const documents = {
      'no time': `jsonb_build_array(A, B, C)`,
      'no title': `jsonb_build_object('messages', jsonb_build_array(A, B, C))`,
      'whole export': `jsonb_build_object('current_node', 'c', 'mapping', jsonb_build_object(
        'a', jsonb_build_object('id', 'a', 'parent', null, 'message', A),
        'b', jsonb_build_object('id', 'b', 'parent', 'a', 'message', B), 'c', jsonb_build_object('id', 'c', 'parent', 'b', 'message', C)))`,
      object: `jsonb_build_object('history', jsonb_build_object('currentId', 'c', 'messages', jsonb_build_object(
        'a', A || '{"id": "a"}', 'b', B || '{"id": "b", "parentId": "a"}', 'c', C || '{"id": "c", "parentId": "b"}')))`,
      'more keys': `jsonb_build_array(A || jsonb_build_object('children', jsonb_build_array(B || jsonb_build_object('children', jsonb_build_array(C)))))`,
    }
    for (const [name, document] of Object.entries(documents))
      await db.sql.unsafe(
        `update chat_sessions set messages = ${document
          .replace('A', says('first', 'null'))
          .replace('B', says('second', '"2025-01-01T00:00:00Z"'))
          .replace('C', says('third', '"2025-01-02T00:00:00Z"'))} where id = md5('awkward ${name}')::uuid`,
      )
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const of = Object.keys(documents).map(name => `md5('awkward ${name}')::uuid`)
    const said = async () => [
      ...(await db.sql.unsafe(`
        select conversation_id, id, content, created_at::text from messages where conversation_id in (${of})
        order by conversation_id, created_at`)),
    ]
    const first = await said()
    expect(first.map(m => [m.content, m.created_at.slice(0, 10)])).toEqual(
      of.flatMap(() => ['first', 'second', 'third'].map(content => [content, '2025-03-01'])),
    )
    await db.sql.unsafe(`delete from messages where content = 'first' and conversation_id in (${of})`)
    for (const command of [['rollback', ...undoAll(db.name)], ['migrate']])
      expect([command[0], (await rethread(db.url, command)).code]).toEqual([command[0], 0])
    expect(await said()).toEqual(first.filter(m => m.content !== 'first'))
  })

  test('conversation-history: a deletion in the midst of an array leaves every other message its id', async () => {
    await using db = await database(server, 'conversation-history')
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const session = "md5('session 5')::uuid"
    const said = () =>
      db.sql.unsafe(`select id, content from messages where conversation_id = ${session} order by created_at`)
    const first = await said()
    await db.sql.unsafe(`
      delete from messages where id = '${first[2]!.id}';
      update chat_sessions set messages = messages || '[{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]' where id = ${session};
      delete from messages where id = '${first[5]!.id}'`)
    const live = [...(await said())]
    expect(live.slice(0, 18)).toEqual([...first].filter((_, n) => n !== 2 && n !== 5))
    expect(
      live
        .slice(18)
        .map(r => r.content)
        .sort(),
    ).toEqual(['one', 'two'])
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
    for (const command of [['rollback', ...undoAll(db.name)], ['migrate']])
      expect([command[0], (await rethread(db.url, command)).code]).toEqual([command[0], 0])
    expect([...(await said())].map(r => r.id).sort()).toEqual(live.map(r => r.id).sort())
  })

  test('helper-chats: a message brings its session up to date, history clobbers nothing, settings hold', async () => {
    await using db = await database(server, 'helper-chats')
    const folder = configured({
      settings: {
        helpers: 'planner, writer',
        max_message_length: '500',
        max_sessions_per_user: '2',
        hide_thread_id: 'on',
      },
    })
    const up = await rethread(db.url, ['migrate', '--track', 'helper-chats'], { cwd: folder })
    expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const [{ id, user }] = (await db.sql`
      insert into chat_sessions (user_id, helper, thread_id) select id, 'planner', 't1' from auth.users order by id limit 1 returning id, user_id as user`) as unknown as [
      { id: string; user: string },
    ]
    await db.sql`insert into chat_messages (session_id, role, content, created_at) values (${id}, 'user', 'Plan   a trip', '2025-06-01 10:00+00')`
    await db.sql`insert into chat_messages (session_id, role, content, created_at) values (${id}, 'assistant', 'From long ago', '2020-01-01 10:00+00')`
    const [session] =
      await db.sql`select title, last_message_preview as preview, last_message_at::text as at from chat_sessions where id = ${id}`
    expect(session).toEqual({ title: 'Plan a trip', preview: 'Plan   a trip', at: '2025-06-01 10:00:00+00' })
    await expect(
      db.sql`insert into chat_sessions (user_id, helper) values (${user}, 'barber')`,
    ).rejects.toThrow(/helper_known/)
    await expect(
      db.sql`insert into chat_sessions (user_id, helper, thread_id) values (${user}, 'writer', 't1')`,
    ).rejects.toThrow(/thread_id/)
    await expect(
      db.sql`insert into chat_messages (session_id, role, content) values (${id}, 'user', ${'x'.repeat(501)})`,
    ).rejects.toThrow(/content_length/)
    await db.sql`insert into chat_sessions (user_id, helper) values (${user}, 'writer')`
    await expect(
      db.sql`insert into chat_sessions (user_id, helper) values (${user}, 'writer')`,
    ).rejects.toThrow(/at most 2/)
    await db.sql.begin(async tx => {
      await tx`set local role authenticated`
      await expect(tx.savepoint(sp => sp`select thread_id from chat_sessions`)).rejects.toThrow(
        /permission denied/,
      )
      expect((await tx`select title from chat_sessions`).length).toBe(0)
    })
    expect((await rethread(db.url, ['verify', '--track', 'helper-chats'])).code).toBe(0)
  })

  test('codebase-sessions: upsert under row security, clearing, an ownerless session is nobody’s', async () => {
    await using db = await database(server, 'codebase-sessions')
    expect((await rethread(db.url, ['migrate', '--track', 'codebase-sessions'])).code).toBe(0)
    await db.sql`insert into codebase_chat_sessions (session_id) values ('chat-1-nobody')`
    const [{ id }] = (await db.sql`select id from auth.users order by id limit 1`) as unknown as [
      { id: string },
    ]
    await db.sql.begin(async tx => {
      await tx`select set_config('request.jwt.claims', ${JSON.stringify({ sub: id, role: 'authenticated' })}, true)`
      await tx`set local role authenticated`
      for (const text of ['one', 'two'])
        await tx`
          insert into codebase_chat_sessions (session_id, user_id, conversation_history, last_activity)
          values ('chat-2-mine', ${id}, ${tx.json([{ role: 'user', content: text, timestamp: 1 }])}, '2020-01-01')
          on conflict (session_id) do update set conversation_history = excluded.conversation_history`
      const [moved] = await tx`select last_activity > '2021-01-01' as moved from codebase_chat_sessions`
      expect(moved!.moved).toBe(true)
      await tx`update codebase_chat_sessions set last_activity = '2020-01-01' where session_id = 'chat-2-mine'`
      await tx`update codebase_chat_sessions set context_cache = '{"a": 1}' where session_id = 'chat-2-mine'`
      const [still] = await tx`select last_activity = '2020-01-01' as still from codebase_chat_sessions`
      expect(still!.still).toBe(true)
      await tx`update codebase_chat_sessions set conversation_history = '[]' where session_id = 'chat-2-mine'`
      expect(
        (
          await tx`update codebase_chat_sessions set user_id = ${id} where session_id = 'chat-1-nobody' returning 1`
        ).length,
      ).toBe(0)
      await expect(
        tx.savepoint(
          sp =>
            sp`insert into codebase_chat_sessions (session_id, user_id) values ('chat-1-nobody', ${id}) on conflict (session_id) do update set user_id = excluded.user_id`,
        ),
      ).rejects.toThrow(/row-level security/)
      await tx`reset role`
      await tx`set local role anon`
      await expect(tx.savepoint(sp => sp`select from codebase_chat_sessions`)).rejects.toThrow(
        /permission denied/,
      )
    })
  })

  test('trip-sessions: two conversations of one request both get a session, what has no agent is counted', async () => {
    await using db = await database(server, 'trip-sessions')
    const up = await rethread(db.url, ['migrate', '--track', 'trip-sessions'])
    expect([up.code, up.report.backfill[0]!.quarantined]).toEqual([0, 2])
    const [twice] =
      await db.sql`select count(*)::int as n from chat_sessions where request_id = md5('request 7')::uuid`
    expect(twice!.n).toBe(2)
    const reasons = await db.sql`select reason from rethread_archive.quarantine order by 1`
    expect(reasons.map(r => r.reason)).toEqual([
      'it has no request to take its agent from',
      'its request has no agent',
    ])
    const [counts] = await db.sql`
      select count(*) filter (where s.message_count <> (select count(*) from messages m where m.conversation_id = s.conversation_id))::int as wrong from chat_sessions s`
    expect(counts!.wrong).toBe(0)
  })
})
