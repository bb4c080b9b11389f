import { describe, expect, test } from 'vitest'
import { rethread } from '../support/cli.js'
import { type Database, database, inTurn, open, servers, some } from '../support/database.js'
import { random, seed } from '../support/random.js'

/**
 * Documents of all sorts in which the old application of conversation-history keeps its messages, while the
 * new one writes to them: nothing is lost, both say the same, and the cost follows the number of messages.
 */

const track = ['--track', 'conversation-history']
const checks = 'accounted,behind,same_content,same_text'

async function migrated(db: Database): Promise<string> {
  const up = await rethread(db.url, ['migrate', ...track])
  expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
  const [row] = await db.sql`select md5('session 1')::uuid::text as id`
  return row!.id
}

const isInStep = async (db: Database): Promise<void> => {
  const { report } = await rethread(db.url, ['verify', ...track, '--only', checks])
  expect(report.checks.map(c => [c.check, c.outcome, c.found])).toEqual(
    checks.split(',').map(c => [c, 'pass', []]),
  )
}

const contents = async (db: Database, id: string): Promise<string[]> =>
  (
    await db.sql<{ content: string }[]>`
      select content from public.messages where conversation_id = ${id} order by created_at, id`
  ).map(m => m.content)

/** What both applications say of a session: the elements that are messages, and the messages. */
const elements = async (db: Database, id: string): Promise<string[]> =>
  (
    await db.sql<{ content: string }[]>`
      select e.content from public.chat_sessions s, chat_private.elements(s.id, s.messages::json, s.created_at) e
      where s.id = ${id} and e.reason is null order by e.n`
  ).map(e => e.content)

const node = (parent: string | null, content: string) => ({ parentId: parent, role: 'user', content })

describe.each(servers())('documents on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('what the new application adds to a document follows what was said before, whatever the document names as its last message', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const id = await migrated(db)
    for (const [document, said] of [
      // names a node that is not there: the last one is the current one
      [
        {
          history: {
            currentId: 'missing',
            messages: { a: node(null, 'first'), b: { ...node('a', 'second'), childrenIds: {} } },
          },
        },
        ['first', 'second'],
      ],
      [{ mapping: { a: { message: { author: { role: 'user' }, content: 'first' } } } }, ['first']],
      // the current node is no object that could have an answer
      [{ messages: { a: node(null, 'first'), b: ['odd'] }, currentId: 'b' }, []],
      // the first message is none that is understood, and keeps its place
      [{ prompt: { role: 'narrator', text: 'once' } }, []],
      [{ prompt: { text: 'who says so?', replies: [{ role: 'assistant', text: 'nobody' }] } }, ['nobody']],
    ] as const) {
      await db.sql`delete from public.messages where conversation_id = ${id}`
      await db.sql`update public.chat_sessions set messages = ${JSON.stringify(document)}::text::jsonb where id = ${id}`
      expect(await contents(db, id)).toEqual(said)
      for (const statement of [
        `insert into public.messages (conversation_id, role, content) values ('${id}', 'user', 'a question')`,
        `insert into public.messages (conversation_id, role, content) values ('${id}', 'assistant', 'an answer')`,
        `update public.messages set content = 'an edited answer' where conversation_id = '${id}' and content = 'an answer'`,
      ])
        await db.sql.unsafe(statement)
      const all = [...said, 'a question', 'an edited answer']
      expect([await contents(db, id), await elements(db, id)]).toEqual([all, all])
      const [{ kept }] = (await db.sql`
        select messages::text ~ 'once|who says|odd' as kept from public.chat_sessions where id = ${id}`) as unknown as [
        { kept: boolean },
      ]
      expect(kept).toBe(/once|who says|odd/.test(JSON.stringify(document)))
    }
    await isInStep(db)
  })

  test('what is in no known form is kept where the new application’s messages take its place', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const id = await migrated(db)
    const odd = ['{"odd": "the first"}', '"only a text"', '{"odd": "the last"}']
    for (const document of odd) {
      await db.sql.unsafe(`update public.chat_sessions set messages = '${document}' where id = '${id}'`)
      await db.sql`insert into public.messages (conversation_id, role, content) values (${id}, 'user', ${`after ${document}`})`
    }
    const kept = await db.sql<{ original: string }[]>`
      select original #>> '{}' as original from rethread_archive.quarantine where key like ${`${id}:0%`} order by id`
    expect(kept.map(q => q.original)).toEqual(odd)
    expect(await elements(db, id)).toEqual(odd.map(document => `after ${document}`))
  })
})

describe.each(some('newest'))('large documents on PostgreSQL $major', server => {
  const messages = process.env.RETHREAD_SOAK ? 4000 : 1200
  const tree = `select jsonb_build_object('current_node', 'n${messages}', 'mapping', jsonb_object_agg('n' || n, jsonb_build_object(
    'parent', 'n' || n - 1, 'message', jsonb_build_object('author', jsonb_build_object('role', 'user'), 'content', 'said ' || n)))) from generate_series(1, ${messages}) n`
  const list = `select jsonb_build_object('chat_messages', jsonb_agg(jsonb_build_object('sender', 'human', 'text', 'said ' || n))) from generate_series(1, ${messages}) n`

  test('thousands of messages that are added, edited or deleted at once cost no more than their number', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const id = await migrated(db)
    await using app = Object.assign(open(db.url, 1), { [Symbol.asyncDispose]: () => app.end() })
    await app.unsafe(`set statement_timeout = '${process.env.RETHREAD_SOAK ? 20 : 4}s'`)
    for (const document of [tree, list]) {
      await db.sql`delete from public.messages where conversation_id = ${id}`
      for (const statement of [
        `update public.chat_sessions set messages = (${document}) where id = '${id}'`,
        `insert into public.messages (conversation_id, role, content, created_at)
         select '${id}', 'user', 'new ' || n, clock_timestamp() + n * interval '1 ms' from generate_series(1, ${messages}) n`,
        `update public.messages set content = content || ', edited' where conversation_id = '${id}'`,
        `delete from public.messages where conversation_id = '${id}' and content like '%7, edited'`,
      ])
        await app.unsafe(statement)
      const all = await contents(db, id)
      expect([all.length, all[0], all.at(-1)]).toEqual([
        2 * messages * 0.9,
        'said 1, edited',
        `new ${messages}, edited`,
      ])
      expect(await elements(db, id)).toEqual(all)
    }
    await isInStep(db)
  }, 120_000)

  test('values are written into a document as jsonb_set would write them, in one pass over it', async () => {
    await using db = await database(server, 'conversation-history', 20)
    await migrated(db)
    const next = random(seed)
    const up = (n: number) => Math.floor(next() * n)
    const one = <T>(of: T[]) => of[up(of.length)]!
    const chance = (share: number) => next() < share
    const made = (depth: number): unknown =>
      depth === 0 || chance(0.2)
        ? one([1, -0.5, null, true, 'ü "q" \\ \n', [], {}, 1e300])
        : chance(0.5)
          ? Array.from({ length: up(5) }, () => made(depth - 1))
          : Object.fromEntries(['a', 'b"', 'ü', '0'].slice(up(3)).map(key => [key, made(depth - 1)]))
    /** A value above another one is only added to. */
    const chosen = (value: unknown, at: string[] = []): { at: string[]; value: unknown }[] => {
      const below =
        value !== null && typeof value === 'object'
          ? Object.entries(value).flatMap(([key, v]) => chosen(v, [...at, key]))
          : []
      if (!chance(0.4) || (Array.isArray(value) && below.length > 0)) return below
      return [{ at, value: below.length > 0 ? { new: up(9) } : made(2) }, ...below]
    }
    for (let round = 0; round < 40; round++) {
      const document = made(6)
      const edits = chosen(document)
      const [row] = await db.sql.unsafe<{ same: boolean }[]>(
        `with edit as (
           select e.n, array(select jsonb_array_elements_text(e.value -> 'at')) as at, e.value -> 'value' as value
           from jsonb_array_elements($2::text::jsonb) with ordinality as e (value, n))
         select n.now = s.now as same from
           (select chat_private.with_values($1::text::jsonb, coalesce(array_agg(to_jsonb(at)), '{}'), coalesce(array_agg(value), '{}')) as now from edit) n,
           (with recursive step (k, now) as (
             select 0::bigint, $1::text::jsonb
             union all
             select s.k + 1, case when e.at = '{}' then x.merged else jsonb_set(s.now, e.at, x.merged) end
             from step s join edit e on e.n = s.k + 1
             cross join lateral (select case when jsonb_typeof(s.now #> e.at) = 'object' and jsonb_typeof(e.value) = 'object'
               then (s.now #> e.at) || e.value else e.value end as merged) x)
            select now from step order by k desc limit 1) s`,
        [JSON.stringify(document), JSON.stringify(edits)],
      )
      expect([seed, document, edits, row!.same]).toEqual([seed, document, edits, true])
    }
    // one change after the other takes minutes
    await db.sql.begin(async tx => {
      await tx`set local statement_timeout = '10s'`
      const [all] = await tx`
        with list as (select jsonb_agg(jsonb_build_object('text', repeat('said ', 20))) as j from generate_series(1, 20000))
        select jsonb_array_length(jsonb_path_query_array(
          chat_private.with_values(jsonb_build_object('prompt', jsonb_build_object('replies', l.j)),
            array(select jsonb_build_array('prompt', 'replies', (n - 1)::text) from generate_series(1, 20000) n),
            array(select jsonb_build_object('n', n) from generate_series(1, 20000) n)),
          '$.prompt.replies[*] ? (exists(@.n) && exists(@.text))')) as n
        from list l`
      expect(all!.n).toBe(20000)
    })
  }, 60_000)

  test('answers that are nested deeper than is read stand side by side', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const id = await migrated(db)
    await db.sql`update public.chat_sessions set messages = '{"prompt": {"role": "prompter", "text": "first"}}' where id = ${id}`
    for (const [from, to] of [
      [1, 600],
      [601, 603],
    ])
      await db.sql.unsafe(
        `insert into public.messages (conversation_id, role, content, created_at)
         select '${id}', 'user', 'new ' || n, clock_timestamp() + n * interval '1 ms' from generate_series(${from}, ${to}) n`,
      )
    const all = ['first', ...Array.from({ length: 603 }, (_, n) => `new ${n + 1}`)]
    expect([await contents(db, id), await elements(db, id)]).toEqual([all, all])
    await isInStep(db)
  }, 60_000)

  test('a session for which time has run out three times costs the application no more, and the backfill brings it up to date', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const id = await migrated(db)
    await db.sql`
      insert into chat_private.behind (session_id, tenant_id, user_id, written_by, operation, sqlstate)
      select c.id, c.tenant_id, c.user_id, 'old application', 'UPDATE', '57014' from public.conversations c, generate_series(1, 3) where c.id = ${id}`
    const append = (content: string) =>
      db.sql`update public.chat_sessions set messages = messages || ${JSON.stringify([{ role: 'user', content }])}::text::jsonb where id = ${id}`
    await append('by the old one')
    await db.sql`insert into public.messages (conversation_id, role, content) values (${id}, 'user', 'by the new one')`
    expect((await contents(db, id)).filter(c => c.startsWith('by'))).toEqual(['by the new one'])
    expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
    expect((await contents(db, id)).filter(c => c.startsWith('by')).sort()).toEqual([
      'by the new one',
      'by the old one',
    ])
    await isInStep(db)
    await append('in time again')
    expect(await contents(db, id)).toContain('in time again')
  })
})
