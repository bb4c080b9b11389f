import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { structureOf } from '../../src/plan/element_shapes.js'
import { type Database, database, open, root, servers, some } from '../support/database.js'
import { documentCases, elementCases } from '../support/elements.js'
import { inProcess, said } from '../support/in_process.js'

/** The shapes in which applications and exports write messages, and what becomes of each. */

const migrations = ['001_create_conversations', '002_keep_both_in_step'].map(name =>
  readFileSync(join(root, `migrations/conversation-history/${name}.sql`), 'utf8'),
)

describe.each(servers())('shapes of messages on PostgreSQL $major', server => {
  test('an element of each shape is the message that it says, or is set aside with the reason', async () => {
    await using db = await database(server, 'conversation-history', 200)
    for (const text of migrations) await db.sql.unsafe(text)
    const names = Object.keys(elementCases)
    const elements = JSON.stringify(Object.values(elementCases).map(c => c.element))
    const rows = await db.sql`
      select r.shape, e.reason, e.role, e.content, e.created_at
      from jsonb_array_elements(${elements}::text::jsonb) with ordinality as x (element, n)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(x.element), '1999-01-01Z') e
      cross join lateral chat_private.read_element(x.element) r
      order by x.n`
    const found = Object.fromEntries(
      rows.map(({ shape, reason, role, content, created_at: at }, i) => [
        names[i],
        {
          shape,
          ...(reason === null ? { becomes: [role, content] } : { becomes: null, reason }),
          at: at.toISOString(),
        },
      ]),
    )
    const expected = Object.fromEntries(
      Object.entries(elementCases).map(([name, { element: _, at = '1999-01-01Z', ...rest }]) => [
        name,
        { ...rest, at: new Date(at).toISOString() },
      ]),
    )
    expect(found).toEqual(expected)
    // an edit of the new application is written where the old one reads, so that it reads the edit
    const wrong = await db.sql`
      select x.element, t.role, t.content, r.role as role_now, r.content as content_now
      from jsonb_array_elements(${elements}::text::jsonb) x (element)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(x.element), '1999-01-01Z') e
      cross join (values ('assistant', null), (null, 'edited'), ('user', 'edited'), (null, null)) w (role, content)
      cross join lateral (select coalesce(w.role, e.role) as role, coalesce(w.content, e.content) as content) t
      cross join lateral chat_private.restated_element(x.element, t.role, t.content) s (element)
      cross join lateral chat_private.elements(gen_random_uuid(), json_build_array(s.element), '1999-01-01Z') r
      where e.reason is null and ((r.role, r.content, r.reason) is distinct from (t.role, t.content, null)
        or (w.role, w.content) is not distinct from (null, null) and s.element <> x.element
        or s.element::text like '%"Line 2."%' and t.content = 'edited')`
    expect([...wrong]).toEqual([])
  })

  test('a document gives its messages in the order in which they were said', async () => {
    await using db = await database(server, 'conversation-history', 200)
    for (const text of migrations) await db.sql.unsafe(text)
    const rows = await db.sql`
      select d.name, coalesce(jsonb_agg(e.content order by e.created_at) filter (where e.reason is null), '[]') as messages,
        jsonb_agg(e.reason order by e.n) filter (where e.reason is not null) as aside
      from jsonb_each(${JSON.stringify(documentCases)}::text::jsonb) d (name, value)
      cross join lateral chat_private.elements(gen_random_uuid(), (d.value -> 'document')::json, '1999-01-01Z') e
      group by 1`
    const found = Object.fromEntries(rows.map(r => [r.name, { messages: r.messages, aside: r.aside ?? [] }]))
    const expected = Object.fromEntries(
      Object.entries(documentCases).map(([name, { messages, aside = [] }]) => [name, { messages, aside }]),
    )
    expect(found).toEqual(expected)
  })

  test('what is removed from a document while the trigger is behind goes when it catches up', async () => {
    await using db = await database(server, 'conversation-history', 200)
    for (const text of migrations) await db.sql.unsafe(text)
    const names = [
      'Open WebUI: a history by key',
      'LibreChat: messages that hold',
      'questions and their answers',
    ]
    const kinds = Object.keys(documentCases).filter(name => names.some(n => name.startsWith(n)))
    const writes = [
      "messages #- '{history,messages,w3}'",
      "messages #- '{messages,0,children,0}'",
      "messages #- '{1,completion}'",
    ]
    const sessions: string[] = []
    for (const kind of kinds) sessions.push(await addSession(db, kind, documentCases[kind]!.document))
    const texts = async (id: string) =>
      (
        await db.sql`select content from public.messages where conversation_id = ${id} order by created_at`
      ).map(r => r.content)
    const written = await Promise.all(sessions.map(texts))
    // somebody holds the messages for longer than the trigger waits
    const holder = await db.sql.reserve()
    await holder.unsafe('begin; lock table public.messages in exclusive mode')
    const sql = open(db.url, 1)
    for (const [i, id] of sessions.entries())
      await sql.unsafe(`update public.chat_sessions set messages = ${writes[i]} where id = '${id}'`)
    await sql.end()
    await holder.unsafe('commit')
    holder.release()
    expect(await Promise.all(sessions.map(texts))).toEqual(written)
    await db.sql`update chat_private.behind b set caught_up_at = now() where chat_private.catch_up(b.session_id)`
    const read = await Promise.all(
      sessions.map(async id =>
        (
          await db.sql`
            select e.content from public.chat_sessions s, chat_private.elements(s.id, s.messages::json, s.created_at) e
            where s.id = ${id} and e.reason is null order by e.created_at`
        ).map(r => r.content),
      ),
    )
    const left = await Promise.all(sessions.map(texts))
    expect(left).toEqual(read)
    expect(left.map((now, i) => written[i]!.filter(t => !now.includes(t)))).toEqual([
      ['Line 4, since today.'],
      ['Line 6.', 'Thanks'],
      ['Line 22.'],
    ])
  })
})

/** Inserts a session of somebody; its id. */
async function addSession(db: Database, title: string, messages: unknown): Promise<string> {
  const [row] = await db.sql`
    insert into public.chat_sessions (tenant_id, user_id, title, messages)
    select tenant_id, user_id, ${title}, ${JSON.stringify(messages)}::text::jsonb
    from public.tenant_users order by user_id limit 1 returning id`
  return row!.id
}

describe.each(some('newest'))('a migration of all shapes on PostgreSQL $major', server => {
  test('no message is blank whose element holds text; each side sees the other’s edits; the proof notices a reader that is wrong', async () => {
    await using db = await database(server, 'conversation-history', 200)
    await addSession(
      db,
      'strange',
      Object.values(elementCases).map(c => c.element),
    )
    const documents: Record<string, string> = {}
    for (const [name, { document }] of Object.entries(documentCases))
      documents[name] = await addSession(db, name, document)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    const doctor = await said(project.doctor())
    const { rows } = doctor.tables.find(t => t.title.startsWith('Shapes of messages'))!
    const total = (column: number) => rows.reduce((sum, r) => sum + Number(r[column]), 0)
    expect(JSON.stringify(doctor)).not.toContain('Line 2.')
    expect((await project.migrate()).verdict).toBe('clean')
    const [became] = await db.sql`
      select count(*) filter (where content ~ '\\S')::int as text, count(*) filter (where content !~ '\\S')::int as blank,
        (select count(*)::int from rethread_archive.quarantine where key ~ ':') as aside
      from public.messages`
    // doctor reads the sessions that belong to nobody too
    const [more] = await db.sql`
      select sum(jsonb_array_length(messages))::int as n from public.chat_sessions where tenant_id is null or user_id is null`
    expect([total(2), total(3), total(4)]).toEqual([became!.text + more!.n, became!.blank, became!.aside])
    const verified = await said(project.verify({ deep: true }))
    const loud = (report: typeof verified) =>
      report.checks.filter(c => c.outcome === 'found' && c.level === 'error' && counts(c)).map(c => c.check)
    expect(loud(verified)).toEqual([])

    // the new application edits one message of each document, deletes one and adds one
    for (const [name, { messages, aside = [] }] of Object.entries(documentCases)) {
      const id = documents[name]!
      await db.sql`update public.messages set content = 'edited' where conversation_id = ${id} and content = ${messages[0]!}`
      await db.sql`delete from public.messages where conversation_id = ${id} and content = ${messages[1]!}`
      await db.sql`insert into public.messages (conversation_id, role, content, created_at) values (${id}, 'user', 'new', now() + interval '1 hour')`
      const read = await db.sql`
        select e.content, e.reason from public.chat_sessions s, chat_private.elements(s.id, s.messages::json, s.created_at) e
        where s.id = ${id} order by e.created_at`
      expect([name, read.filter(r => r.reason === null).map(r => r.content)]).toEqual([
        name,
        ['edited', ...messages.slice(2), 'new'],
      ])
      expect([name, read.flatMap(r => r.reason ?? [])]).toEqual([name, aside])
    }
    expect((await db.sql`select from chat_private.behind where caught_up_at is null`).length).toBe(0)
    expect(loud(await said(project.verify({ deep: true })))).toEqual([])

    // a reader that does not find the parts any more: its messages and what they are compared with agree
    const [{ definition }] = (await db.sql`
      select pg_get_functiondef('chat_private.read_element'::regproc) as definition`) as unknown as [
      { definition: string },
    ]
    await db.sql.unsafe(definition.replace("p.part ->> 'text' when", 'null when'))
    await db.sql`delete from public.chat_sessions`
    await addSession(db, 'misread', [{ role: 'user', parts: [{ type: 'text', text: 'one' }, 'two'] }])
    expect(loud(await said(project.verify({})))).toEqual(['same_text'])
  })

  test('a structure shows keys and types, and nothing that somebody wrote', () => {
    expect(
      structureOf({
        role: 'user',
        parts: [{ text: 'secret' }, { text: 'more' }, 'word'],
        'ann@example.com': 1,
        at: null,
      }),
    ).toBe('{role: string, parts: [{text: string} | string], at: null, ...}')
  })
})
