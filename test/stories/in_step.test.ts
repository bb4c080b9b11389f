import { describe, expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import { rethread } from '../support/cli.js'
import { type Database, database, inTurn, open, servers, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'
import { random as randomFrom, seed } from '../support/random.js'

/**
 * conversation-history while both applications run: who may change what, what fails, and what two
 * writers do to each other.
 */

const track = ['--track', 'conversation-history']

const migrated = async (db: Database, ...flags: string[]): Promise<void> => {
  const up = await rethread(db.url, ['migrate', ...track, ...flags])
  expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
}

/** Sends statements as a user of the API, under the policies. */
const as = (db: Database, user: string, statements: string): Promise<unknown> =>
  db.sql.begin(async tx => {
    await tx.unsafe(`set local role authenticated`)
    await tx`select set_config('request.jwt.claims', ${JSON.stringify({ sub: user, role: 'authenticated' })}, true)`
    return tx.unsafe(statements)
  })

/** Two users of different tenants, each with the session of theirs that has the most messages. */
const twoTenants = async (db: Database) => {
  const [row] = await db.sql`
    select a.user_id as attacker, a.id as own, a.tenant_id as tenant, v.user_id as victim, v.id as target
    from public.chat_sessions a join public.chat_sessions v on v.tenant_id <> a.tenant_id
    where a.title like 'Chat %' and v.title like 'Chat %' order by a.id, v.id limit 1`
  return row as Record<'attacker' | 'own' | 'tenant' | 'victim' | 'target', string>
}

const contents = async (db: Database, session: string): Promise<string[]> =>
  (
    await db.sql<{ content: string }[]>`
      select content from public.messages where conversation_id = ${session} order by created_at, id`
  ).map(r => r.content)

const elements = async (db: Database, session: string): Promise<string[]> =>
  (
    await db.sql<{ content: string }[]>`
      select e ->> 'content' as content from public.chat_sessions s, jsonb_array_elements(s.messages) with ordinality as x (e, n)
      where s.id = ${session} order by n`
  ).map(r => r.content)

const behind = async (db: Database): Promise<number> =>
  (
    await db.sql<
      { n: number }[]
    >`select count(*)::int as n from chat_private.behind where caught_up_at is null`
  )[0]!.n

describe.each(servers())('both applications on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a user who writes another message’s id into an array of their own changes nothing of anybody else', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db)
    const { attacker, own, target } = await twoTenants(db)
    const before = await contents(db, target)
    const [stolen] =
      await db.sql`select id from public.messages where conversation_id = ${target} order by created_at limit 1`
    await as(
      db,
      attacker,
      `update public.chat_sessions set messages = messages || jsonb_build_array(jsonb_build_object(
         'role', 'assistant', 'content', 'not yours', 'rethread_id', '${stolen!.id}', 'rethread_seal', repeat('0', 32))) where id = '${own}'`,
    )
    expect(await contents(db, target)).toEqual(before)
    expect((await contents(db, own)).at(-1)).toBe('not yours')
    const verified = await rethread(db.url, [
      'verify',
      ...track,
      '--only',
      'accounted,same_content,no_orphans,behind',
    ])
    expect(verified.code).toBe(0)
  })

  test('ids that were written into arrays before the migration take no message of anybody away', async () => {
    await using db = await database(server, 'conversation-history')
    const { own, target } = await twoTenants(db)
    await db.sql`
      update public.chat_sessions set messages = (
        select jsonb_agg(jsonb_build_object('role', 'user', 'content', 'stolen ' || k, 'rethread_id', md5('rethread:message:' || ${target} || ':' || k)::uuid))
        from generate_series(1, 20) k) where id = ${own}`
    const expected = await elements(db, target)
    await migrated(db)
    expect(await contents(db, target)).toEqual(expected)
    expect((await contents(db, own)).length).toBe(20)
  })

  test('a conversation with the id of somebody else’s session is refused before the backfill, as it is after it', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db, '--phase', 'expand')
    const { attacker, tenant, target } = await twoTenants(db)
    const claim = `insert into public.conversations (id, tenant_id, user_id, title) values ('${target}', '${tenant}', '${attacker}', 'mine now')`
    await expect(as(db, attacker, claim)).rejects.toMatchObject({ code: '23505' })
    const expected = await elements(db, target)
    await migrated(db)
    expect(await contents(db, target)).toEqual(expected)
    await expect(as(db, attacker, claim)).rejects.toMatchObject({ code: '23505' })
  })

  test('TRUNCATE by the old application empties the other side; sessions that no trigger saw go are found, and stop the contract phase', async () => {
    await using db = await database(server, 'conversation-history', 50)
    await migrated(db)
    const { own, target } = await twoTenants(db)
    // as a worker of logical replication does it, or a restore beside the application
    await db.sql.begin(async tx => {
      await tx`set local session_replication_role = replica`
      await tx`delete from public.chat_sessions where id in (${own}, ${target})`
    })
    const verified = await rethread(db.url, ['verify', ...track, '--only', 'behind'])
    expect([verified.code, verified.report.checks[0]!.found.map(f => f.object)]).toEqual([
      1,
      [own, target].sort(),
    ])
    const stopped = await rethread(db.url, [
      ...['migrate', ...track, '--phase', 'contract'],
      ...['--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS=100'],
    ])
    expect([stopped.code, stopped.report.findings.find(f => f.code === 'GATE')?.message]).toEqual([
      1,
      expect.stringContaining('behind'),
    ])
    // either way out of it
    const expected = await contents(db, own)
    await db.sql`select chat_private.catch_up(${own})`
    await db.sql`delete from public.conversations where id = ${target}`
    expect((await rethread(db.url, ['verify', ...track, '--only', 'behind'])).code).toBe(0)
    expect([await elements(db, own), await contents(db, own)]).toEqual([expected, expected])

    // what the new application has opened and the old table could not take is not the old one's to delete
    await db.sql.unsafe(`
      create function public.closed() returns trigger language plpgsql as $$ begin raise exception 'closed today'; end $$;
      create trigger closed before insert on public.chat_sessions for each row execute function public.closed();
      insert into public.conversations (id, tenant_id, user_id, title)
      select md5('waits')::uuid, tenant_id, user_id, 'waits' from public.chat_sessions where id = '${own}';
      drop trigger closed on public.chat_sessions; drop function public.closed();
      truncate public.chat_sessions;`)
    expect((await db.sql`select title from public.conversations`).map(r => r.title)).toEqual(['waits'])
    expect((await db.sql`select from public.messages`).length).toBe(0)
    await migrated(db)
    expect((await rethread(db.url, ['verify', ...track, '--only', 'behind'])).code).toBe(0)

    // one that can't be followed at once is followed later
    const holder = await db.sql.reserve()
    await holder.unsafe('begin; lock table public.messages in exclusive mode')
    const sql = open(db.url, 1)
    await sql`truncate public.chat_sessions`
    await sql.end()
    await holder.unsafe('rollback')
    holder.release()
    expect(await behind(db)).toBe(1)
    await migrated(db)
    expect((await db.sql`select from public.conversations`).length).toBe(0)
  })

  test('an application for which a backslash is not itself is followed at once', async () => {
    await using db = await database(server, 'conversation-history', 50)
    await migrated(db)
    const { own } = await twoTenants(db)
    const sql = open(db.url, 1)
    await sql`set standard_conforming_strings = off`
    await sql`
      update public.chat_sessions set messages = messages || '[{"role": "user", "content": [{"type": "text", "text": "said now"}], "createdAt": "2025-03-01T10:00:00Z"}]'
      where id = ${own}`
    await sql`insert into public.messages (conversation_id, role, content) values (${own}, 'user', 'and again')`
    await sql.end()
    expect([(await contents(db, own)).includes('said now'), await behind(db)]).toEqual([true, 0])
    expect((await elements(db, own)).at(-1)).toBe('and again')
  })

  test('a copied chat is a chat of its own, and an element that was doubled is two messages', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db)
    const { own } = await twoTenants(db)
    await db.sql`insert into public.messages (conversation_id, role, content) values (${own}, 'user', 'from the new one'), (${own}, 'assistant', 'an answer')`
    const original = await contents(db, own)
    const [copy] = await db.sql`
      insert into public.chat_sessions (tenant_id, user_id, title, messages)
      select tenant_id, user_id, 'copy', messages from public.chat_sessions where id = ${own} returning id`
    expect((await contents(db, copy!.id)).sort()).toEqual([...original].sort())
    await db.sql`update public.chat_sessions set messages = jsonb_set(messages, array[(jsonb_array_length(messages) - 1)::text, 'content'], '"edited in the copy"') where id = ${copy!.id}`
    expect(await contents(db, own)).toEqual(original)
    expect(await contents(db, copy!.id)).toContain('edited in the copy')
    await db.sql`update public.chat_sessions set messages = messages || (messages -> -1) where id = ${own}`
    expect((await contents(db, own)).filter(c => c === original.at(-1)).length).toBe(2)
    expect(await behind(db)).toBe(0)
  })

  test('a stale array of the old application takes nothing away that the new one wrote meanwhile', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db)
    const { own } = await twoTenants(db)
    const [{ messages }] =
      (await db.sql`select messages from public.chat_sessions where id = ${own}`) as unknown as [
        { messages: object[] },
      ]
    await db.sql`insert into public.messages (conversation_id, role, content) values (${own}, 'assistant', 'meanwhile')`
    const stale = [...messages, { role: 'user', content: 'from the old one' }]
    await db.sql`update public.chat_sessions set messages = ${JSON.stringify(stale)}::text::jsonb where id = ${own}`
    for (const seen of [await contents(db, own), await elements(db, own)])
      expect(seen).toEqual(expect.arrayContaining(['meanwhile', 'from the old one']))
    // a minute later its absence is a deletion
    await db.sql`update public.messages set created_at = now() - interval '2 minutes' where content = 'meanwhile'`
    await db.sql`
      update public.chat_sessions set messages = (
        select jsonb_agg(e order by n) from jsonb_array_elements(messages) with ordinality as x (e, n) where e ->> 'content' <> 'meanwhile')
      where id = ${own}`
    expect(await contents(db, own)).not.toContain('meanwhile')
    expect(await contents(db, own)).toContain('from the old one')
  })

  test('a time of the old application that goes back does so on the other side, but not behind a message', async () => {
    await using db = await database(server, 'conversation-history', 100)
    await migrated(db, '--phase', 'expand')
    const { own, tenant, attacker } = await twoTenants(db)
    await migrated(db)
    const times = async () => {
      const [row] = await db.sql<{ old: Date; new: Date }[]>`
        select s.updated_at as old, c.updated_at as new from public.chat_sessions s join public.conversations c using (id) where id = ${own}`
      return [row!.old.toISOString(), row!.new.toISOString()]
    }
    const set = (at: string) => db.sql`
      insert into public.chat_sessions (id, tenant_id, user_id, title, messages, updated_at) values (${own}, ${tenant}, ${attacker}, 't', '[]', ${at})
      on conflict (id) do update set title = excluded.title, updated_at = excluded.updated_at`
    await set('2031-01-01T00:00:00.000Z')
    await set('2030-01-01T00:00:00.000Z')
    expect(await times()).toEqual(['2030-01-01T00:00:00.000Z', '2030-01-01T00:00:00.000Z'])
    await db.sql`insert into public.messages (conversation_id, role, content, created_at) values (${own}, 'user', 'late', '2032-01-01')`
    await set('2030-06-01T00:00:00.000Z')
    expect((await times())[1]).toBe('2032-01-01T00:00:00.000Z')
  })

  test('a message that moves to another conversation leaves the array of the one and joins that of the other', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db)
    const [pair] = await db.sql`
      select a.id as one, b.id as other from public.conversations a join public.conversations b on b.user_id = a.user_id and b.id <> a.id
      where a.title like 'Chat %' and b.title like 'Chat %' order by a.id, b.id limit 1`
    const { one, other } = pair as unknown as Record<'one' | 'other', string>
    const [moved] = await db.sql`
      update public.messages set conversation_id = ${other}
      where id = (select id from public.messages where conversation_id = ${one} order by created_at limit 1) returning content`
    expect(await elements(db, one)).not.toContain(moved!.content)
    expect(await elements(db, other)).toContain(moved!.content)
    await db.sql`update public.chat_sessions set messages = messages || '[{"role": "user", "content": "goes on"}]' where id = ${one}`
    expect(await contents(db, other)).toContain(moved!.content)
    expect(await contents(db, one)).not.toContain(moved!.content)
  })

  test('two writers of one conversation lose nothing, double nothing, and meet no deadlock', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db)
    const sessions = (
      await db.sql<
        { id: string }[]
      >`select id from public.chat_sessions where title like 'Chat %' order by id limit 3`
    ).map(r => r.id)
    const random = randomFrom(seed)
    const pick = () => sessions[Math.floor(random() * sessions.length)]!
    const errors: Record<string, number> = {}
    const written: { session: string; content: string }[] = []
    const writers = 3
    const each = 120
    const kinds = [
      // the old application, in the database and in its own memory
      async (sql: Database['sql'], session: string, content: string) => {
        await sql`update public.chat_sessions set messages = messages || ${JSON.stringify([{ role: 'user', content }])}::text::jsonb where id = ${session}`
        written.push({ session, content })
      },
      // the new one
      async (sql: Database['sql'], session: string, content: string) => {
        await sql`insert into public.messages (conversation_id, role, content) values (${session}, 'assistant', ${content})`
        written.push({ session, content })
      },
      async (sql: Database['sql'], session: string) => {
        await sql`update public.messages set metadata = coalesce(metadata, '{}') || '{"seen": true}'
          where id = (select id from public.messages where conversation_id = ${session} order by created_at limit 1)`
      },
      async (sql: Database['sql'], session: string) => {
        await sql`update public.conversations set updated_at = now() where id = ${session}`
      },
      async (sql: Database['sql'], session: string) => {
        await sql`update public.chat_sessions set updated_at = now() where id = ${session}`
      },
    ]
    await Promise.all(
      Array.from({ length: writers * 2 }, async (_, w) => {
        const sql = open(db.url, 1)
        for (let i = 0; i < each; i++) {
          const kind = kinds[Math.floor(random() * kinds.length)]!
          await kind(sql, pick(), `writer ${w}, statement ${i}`).catch(error => {
            const code = String((error as { code?: string }).code)
            errors[code] = (errors[code] ?? 0) + 1
          })
        }
        await sql.end()
      }),
    )
    expect(errors).toEqual({})
    // what could not be written together is written now
    const caught = await rethread(db.url, ['migrate', ...track])
    // the findings say why, where it is not
    expect([caught.code, caught.code === 0 ? [] : caught.report.findings]).toEqual([0, []])
    await db.sql`with once as (select distinct session_id from chat_private.behind) select chat_private.catch_up(session_id) from once`
    for (const session of sessions) {
      const here = await contents(db, session)
      const there = await elements(db, session)
      const mine = written.filter(w => w.session === session).map(w => w.content)
      for (const seen of [here, there]) {
        expect(mine.filter(c => !seen.includes(c))).toEqual([])
        expect(new Set(seen).size).toBe(seen.length)
      }
      expect([...here].sort()).toEqual([...there].sort())
    }
  }, 240_000)

  test('whatever a session is behind with, the next migrate brings it up to date', async () => {
    await using db = await database(server, 'conversation-history', 400)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    expect((await project.migrate()).verdict).toBe('clean')
    const [a, b, c, d, e] = (
      await db.sql<
        { id: string }[]
      >`select id from public.chat_sessions where title like 'Chat %' order by id limit 5`
    ).map(r => r.id) as [string, string, string, string, string]
    // what one side wrote while somebody held the other
    const append = (session: string, content: string) =>
      `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "${content}"}]' where id = '${session}';`
    const insert = (session: string, content: string) =>
      `insert into public.messages (conversation_id, role, content) values ('${session}', 'user', '${content}');`
    await db.sql.unsafe(`
      set rethread.in_step = 'on';
      ${append(a, 'old in a')} ${insert(b, 'new in b')} ${append(c, 'old in c')} ${insert(c, 'new in c')}
      update public.messages set content = 'edited in d' where id = (select id from public.messages where conversation_id = '${d}' order by created_at limit 1);
      update public.chat_sessions set messages = messages - 0 where id = '${e}';
      reset rethread.in_step;
      insert into chat_private.behind (session_id, written_by, operation, sqlstate) values
        ('${a}', 'old application', 'UPDATE', '55P03'), ('${b}', 'new application', 'INSERT of messages', '55P03'),
        ('${c}', 'old application', 'UPDATE', '55P03'), ('${c}', 'new application', 'INSERT of messages', '55P03'),
        ('${d}', 'new application', 'UPDATE of messages', '55P03'), ('${e}', 'old application', 'UPDATE', '55P03'),
        ('${a}', 'old application', 'touch', '55P03')`)
    const caught = await said(project.migrate())
    await project.close()
    expect([caught.verdict, caught.codes.filter(code => code === 'ROWS_FAILED')]).toEqual(['clean', []])
    expect(await behind(db)).toBe(0)
    for (const session of [a, b, c, d, e])
      expect([...(await contents(db, session))].sort()).toEqual([...(await elements(db, session))].sort())
    const written = await Promise.all([a, b, c, d].map(session => contents(db, session)))
    expect(written.map(seen => seen.filter(content => / in [abcd]$/.test(content)).sort())).toEqual([
      ['old in a'],
      ['new in b'],
      ['new in c', 'old in c'],
      ['edited in d'],
    ])
    expect((await contents(db, e)).length).toBe(19)
    // elements that are added to the end, each alone, become what they become when the whole array is read
    const added = [
      { role: 'user', content: 'no time' },
      { role: 'user', content: 'early', timestamp: '2001-01-01T00:00:00Z' },
      { role: 'assistant', content: 'late', created_at: '2031-01-01T00:00:00Z' },
      { role: 'user', content: 'after the late one', rethread_id: a },
      { role: 'nobody we know', content: 'set aside' },
      { message: { role: 'user', content: 'wrapped', timestamp: 4_000_000_000 } },
      'a text alone',
      { question: 'two messages in one', answer: 'so they are' },
    ]
    await db.sql.unsafe(`
      delete from public.messages where id = (select id from public.messages where conversation_id = '${b}' order by created_at limit 1);
      update public.chat_sessions set messages = messages || '[{"role": "user", "content": "a bare place"}]' where id = '${d}'`)
    for (const session of [b, d, e]) {
      const before = (await elements(db, session)).length
      for (const element of added) {
        await db.sql.unsafe(
          `update public.chat_sessions set messages = messages || $1::jsonb where id = $2`,
          [JSON.stringify([element]), session],
        )
        const differing = await db.sql`
          select x.n, x.id, x.content, m.content as has, x.created_at::text as at, m.created_at::text as has_at
          from public.chat_sessions s cross join lateral chat_private.elements(s.id, s.messages::json, s.created_at) x
          left join public.messages m on m.id = x.id and m.conversation_id = s.id
          where s.id = ${session} and x.reason is null and x.n > ${before}
            and (m.role, m.content, m.metadata, m.created_at) is distinct from (x.role::varchar, x.content, x.metadata, x.created_at)`
        expect(differing).toEqual([])
      }
    }
  })

  test('no value that the old columns admit makes a statement of the old application fail', async () => {
    await using db = await database(server, 'conversation-history')
    await migrated(db, '--phase', 'expand')
    const random = randomFrom(seed)
    const one = <T>(list: T[]): T => list[Math.floor(random() * list.length)]!
    const times = [
      '2025-01-01T00:00:00Z',
      '2025-02-30',
      '2025-01-01 00:00 Mars/Olympus',
      '2025-01-01T00:00:00+99:99',
      '9999-99-99',
      1e15,
      1e300,
      -5,
      '',
      null,
      {},
      [],
      true,
      '0001-01-01 BC',
      '2025-01-01T24:00:01',
    ]
    const texts = [
      'hello',
      '',
      ' ',
      'x'.repeat(5000),
      '🙂',
      '\\u0041',
      'quote \' and " and \\',
      'line\nend',
      null,
      7,
      true,
      {},
      [],
      [{ type: 'text', text: 'part' }],
      [null],
      [[]],
      { parts: [1, null, 'a'] },
    ]
    const roles = ['user', 'assistant', 'narrator', '', null, 3, {}, [], 'x'.repeat(300), 'USER']
    const element = (): unknown =>
      random() < 0.15
        ? one<unknown>([null, 1, 'text', [], {}, true])
        : {
            ...(random() < 0.8 ? { role: one(roles) } : {}),
            ...(random() < 0.8 ? { content: one(texts) } : {}),
            ...(random() < 0.5 ? { timestamp: one(times) } : {}),
            ...(random() < 0.2
              ? {
                  [one([
                    'parts',
                    'text',
                    'message',
                    'value',
                    'data',
                    'kwargs',
                    'author',
                    'id',
                    'from',
                    'sender',
                    'type',
                  ])]: one(texts),
                }
              : {}),
            ...(random() < 0.2
              ? {
                  rethread_id: one<unknown>(['no uuid', null, 5, '00000000-0000-0000-0000-000000000000']),
                  rethread_seal: one<unknown>(['x', null, 7]),
                  rethread_at: one(times),
                }
              : {}),
          }
    const value = (): unknown =>
      random() < 0.1
        ? one<unknown>([
            null,
            'text',
            5,
            {},
            { mapping: {} },
            { mapping: 5 },
            { mapping: { a: null }, current_node: 7 },
          ])
        : Array.from({ length: Math.floor(random() * 5) }, element)
    const titles = [null, '', 'title', 'x'.repeat(255), 'long '.repeat(500), '🙂'.repeat(300)]
    const [someone] =
      await db.sql`select tenant_id, user_id from public.tenant_users order by user_id limit 1`
    for (let i = 0; i < 400; i++) {
      const [row] = await db.sql`
        insert into public.chat_sessions (tenant_id, user_id, title, messages, metadata)
        values (${one([someone!.tenant_id, null])}, ${one([someone!.user_id, null])}, ${one(titles)}, ${JSON.stringify(value())}::text::jsonb, ${JSON.stringify(one<unknown>([{}, [], null, 'text']))}::text::jsonb)
        returning id`
      await db.sql`update public.chat_sessions set messages = ${JSON.stringify(value())}::text::jsonb, title = ${one(titles)}, tenant_id = ${someone!.tenant_id}, user_id = ${someone!.user_id} where id = ${row!.id}`
      if (random() < 0.3) await db.sql`delete from public.chat_sessions where id = ${row!.id}`
    }
    await migrated(db)
    expect(await behind(db)).toBe(0)
    const verified = await rethread(db.url, [
      'verify',
      ...track,
      '--only',
      'accounted,same_content,no_orphans,behind',
    ])
    expect(verified.report.checks.filter(c => c.outcome !== 'pass')).toEqual([])
  })

  test('what one side writes while a row of the other is locked or refuses it is made good: title, metadata, owner, texts', async () => {
    await using db = await database(server, 'conversation-history', 300)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    expect((await project.migrate()).verdict).toBe('clean')
    const [titled, edited, shortened, moved, renamed] = (
      await db.sql<
        { id: string }[]
      >`select id from public.chat_sessions where title like 'Chat %' order by id limit 5`
    ).map(r => r.id) as [string, string, string, string, string]
    const write = (set: string, session: string) =>
      db.sql.unsafe(`update public.chat_sessions set ${set} where id = '${session}'`)
    /** While somebody holds the row of the other side and changes nothing. */
    const held = (rows: string, set: string, session: string) =>
      db.sql.begin(async tx => {
        await tx.unsafe(`select from public.${rows} = '${session}' for update`)
        await write(set, session)
      })
    await held('conversations where id', `title = 'while it was held', metadata = '{"held": true}'`, titled)
    const message = 'messages where conversation_id'
    await held(message, `messages = jsonb_set(messages, '{0,content}', '"edited while it was held"')`, edited)
    await held(message, 'messages = messages - 1', shortened)
    /** While a trigger of the application refuses every update of the other side. */
    const refused = async (table: string, statement: string) => {
      await db.sql.unsafe(`
        create or replace function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
        create trigger refuse before update on public.${table} for each row execute function public.refuse()`)
      await db.sql.unsafe(statement)
      await db.sql.unsafe(`drop trigger refuse on public.${table}; drop function public.refuse()`)
    }
    const other = `(select t.id from public.tenants t where t.id <> tenant_id order by 1 limit 1)`
    await refused(
      'conversations',
      `update public.chat_sessions set title = 'moved', tenant_id = ${other} where id = '${moved}'`,
    )
    await refused(
      'chat_sessions',
      `update public.conversations set title = 'renamed' where id = '${renamed}'`,
    )
    // what the old application writes next brings the session up to date, and says nothing about the title
    await write(`messages = messages || '[{"role": "user", "content": "said next"}]'`, renamed)
    const heads = async () => {
      const rows = await db.sql<{ id: string; title: string; same: boolean }[]>`
        select c.id, c.title, (c.title, c.metadata, c.tenant_id, c.user_id) is not distinct from (s.title, s.metadata, s.tenant_id, s.user_id) as same
        from public.conversations c join public.chat_sessions s using (id)
        where c.id in ${db.sql([titled, moved, renamed])}`
      return [titled, moved, renamed].map(id => {
        const row = rows.find(r => r.id === id)!
        return [row.title.replace(/ \d+$/, ''), row.same]
      })
    }
    expect(await heads()).toEqual([
      ['Chat', false],
      ['Chat', false],
      ['renamed', true],
    ])
    const found = (await project.verify({ only: ['behind', 'same_heads', 'accounted'] })).checks
    expect(found.map(c => [c.check, c.found.length > 0])).toEqual([
      ['accounted', true],
      ['behind', true],
      ['same_heads', true],
    ])
    const caught = await said(project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } }))
    expect([caught.verdict, caught.codes]).toEqual(['clean', expect.arrayContaining(['BACKFILL_REOPENED'])])
    expect(await heads()).toEqual([
      ['while it was held', true],
      ['moved', true],
      ['renamed', true],
    ])
    expect(await behind(db)).toBe(0)
    for (const session of [edited, shortened, renamed])
      expect(await contents(db, session)).toEqual(await elements(db, session))
    expect((await contents(db, edited))[0]).toBe('edited while it was held')
    // what no trigger saw is found, and the old application is not ended over it
    await db.sql.unsafe(`
      set session_replication_role = replica;
      update public.chat_sessions set title = 'loaded' where id = '${titled}';
      update public.chat_sessions set messages = jsonb_set(messages, '{0,content}', '"loaded"') where id = '${edited}';
      reset session_replication_role`)
    const ending = await said(
      project.migrate({ phase: 'contract', consent: { allow: ['ENDS_OLD_APP', 'IGNORES_DRIFT'] } }),
    )
    await project.close()
    expect(ending.findings.filter(f => f.code === 'GATE').map(f => f.facts)).toEqual([
      { check: 'accounted', rows: 1 },
      { check: 'same_heads', rows: 1 },
    ])
  })

  test('of an edit that waits and a later write to another message of the same session, neither undoes the other', async () => {
    await using db = await database(server, 'conversation-history', 300)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    expect((await project.migrate()).verdict).toBe('clean')
    const sessions = await db.sql<{ id: string }[]>`
      select s.id from public.chat_sessions s join public.messages m on m.conversation_id = s.id
      where s.title like 'Chat %' group by 1 having count(*) > 3 order by 1 limit 4`
    const [edited, deleted, waiting, removed] = sessions.map(s => s.id) as [string, string, string, string]
    const nth = (session: string, n: number) =>
      `(select id from public.messages where conversation_id = '${session}' order by created_at, id offset ${n} limit 1)`
    /** The old application edits the first message while somebody holds it. */
    const oldEdit = (session: string) =>
      db.sql.begin(async tx => {
        await tx.unsafe(`select from public.messages where id = ${nth(session, 0)} for update`)
        await db.sql.unsafe(
          `update public.chat_sessions set messages = jsonb_set(messages, '{0,content}', '"old edit"') where id = '${session}'`,
        )
      })
    /** The new application writes while somebody holds the session. */
    const newWrite = (session: string, statement: string) =>
      db.sql.begin(async tx => {
        await tx.unsafe(`select from public.chat_sessions where id = '${session}' for update`)
        await db.sql.unsafe(statement)
      })
    const before = await Promise.all([edited, deleted, waiting, removed].map(s => contents(db, s)))
    const edit = (session: string) =>
      `update public.messages set content = 'new edit' where id = ${nth(session, 1)}`
    const remove = (session: string) => `delete from public.messages where id = ${nth(session, 1)}`
    for (const session of [edited, deleted, waiting, removed]) await oldEdit(session)
    expect(await behind(db)).toBe(4)
    // at once, and while both sides wait
    await db.sql.unsafe(edit(edited))
    await db.sql.unsafe(remove(deleted))
    await newWrite(waiting, edit(waiting))
    await newWrite(removed, remove(removed))
    expect(await behind(db)).toBe(4)
    expect((await project.migrate()).verdict).toBe('clean')
    await project.close()
    expect(await behind(db)).toBe(0)
    for (const [i, session] of [edited, deleted, waiting, removed].entries()) {
      const rest = before[i]!.slice(2)
      const expected = [edited, waiting].includes(session)
        ? ['old edit', 'new edit', ...rest]
        : ['old edit', ...rest]
      expect(await contents(db, session)).toEqual(expected)
      expect(await elements(db, session)).toEqual(expected)
    }
  })

  test('what the new application edits and deletes before the backfill has come to a session takes nothing else away', async () => {
    await using db = await database(server, 'conversation-history', 300)
    const sessions = (
      await db.sql<{ id: string }[]>`
        select id from public.chat_sessions where title like 'Chat %' and jsonb_array_length(messages) > 3 order by 1 limit 3`
    ).map(s => s.id) as [string, string, string]
    const [edited, deleted, documented] = sessions
    const before = await Promise.all(sessions.map(s => elements(db, s)))
    await db.sql`
      update public.chat_sessions set messages = jsonb_build_object('messages', messages) where id = ${documented}`
    const project = await inProcess(db.url, { track: 'conversation-history' })
    await project.migrate({ to: '003_move_conversations' })
    for (const session of sessions) {
      await db.sql`insert into public.messages (conversation_id, role, content) values (${session}, 'user', 'first'), (${session}, 'user', 'second')`
      await db.sql`update public.messages set content = 'edited' where conversation_id = ${session} and content = 'first'`
    }
    await db.sql`delete from public.messages where conversation_id = ${deleted} and content = 'second'`
    // an array that the old application has read before all that
    await db.sql`update public.chat_sessions set messages = (select jsonb_agg(e order by n) from jsonb_array_elements(messages) with ordinality as x (e, n) where n <= ${before[0]!.length}) where id = ${edited}`
    expect((await project.migrate()).verdict).toBe('clean')
    await project.close()
    const added = [['edited', 'second'], ['edited'], ['edited', 'second']]
    const now = await Promise.all(sessions.map(s => contents(db, s)))
    expect(now.map(c => [...c].sort())).toEqual(before.map((b, i) => [...b, ...added[i]!].sort()))
    for (const session of [edited, deleted])
      expect(await elements(db, session)).toEqual(await contents(db, session))
  })

  test('a session that was set aside and is repaired has its conversation and all its messages at once', async () => {
    await using db = await database(server, 'conversation-history', 50)
    const { own, tenant, target } = await twoTenants(db)
    const expected = await elements(db, own)
    await db.sql`alter table public.chat_sessions alter column tenant_id drop not null`
    await db.sql`update public.chat_sessions set tenant_id = null where id in (${own}, ${target})`
    const project = await inProcess(db.url, { track: track[1] })
    expect((await said(project.migrate())).verdict).toBe('clean')
    expect(await contents(db, own)).toEqual([])
    await db.sql`update public.chat_sessions set tenant_id = ${tenant} where id = ${own}`
    expect(await contents(db, own)).toEqual(expected)
    // with a message that is new
    const both = await elements(db, target)
    await db.sql`update public.chat_sessions set tenant_id = ${tenant}, messages = messages || '[{"role": "user", "content": "said next"}]' where id = ${target}`
    expect(await contents(db, target)).toEqual([...both, 'said next'])
    const { checks } = await project.verify({ only: ['accounted', 'same_content', 'behind'] })
    expect(checks.map(c => [c.check, c.outcome])).toEqual([
      ['accounted', 'pass'],
      ['behind', 'pass'],
      ['same_content', 'pass'],
    ])
    expect((await said(project.status())).codes).not.toContain('BACKFILL_REOPENED')
    await project.close()
  })

  test('a fault while the other side is written is noted, gates the end of the old application, and is made good', async () => {
    await using db = await database(server, 'conversation-history', 300)
    // a fault that stays is not waited for
    const project = await inProcess(db.url, { track: track[1], config: { retryFailedSeconds: 0 } })
    expect((await said(project.migrate())).verdict).toBe('clean')
    const { own } = await twoTenants(db)
    await db.sql.unsafe(`
      create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'no more messages'; end $$;
      create trigger refuse before insert on public.messages for each row execute function public.refuse()`)
    const write = `update public.chat_sessions set messages = messages || '[{"role": "user", "content": "while it was broken"}]' where id = '${own}'`
    await db.sql.unsafe(write)
    expect(await behind(db)).toBe(1)
    const verified = await said(project.verify({ only: ['behind'] }))
    expect([verified.verdict, verified.checks[0]!.found[0]!.object]).toEqual(['attention', own])
    // the rows to do again meet the trigger that is new: it needs consent before the backfill may fire it
    const ending = {
      phase: 'contract' as const,
      consent: { allow: ['ENDS_OLD_APP', 'FIRES_TRIGGERS', 'IGNORES_DRIFT'] as HazardCode[] },
    }
    const failed = await said(project.migrate(ending))
    expect([failed.verdict, failed.codes]).toEqual(['attention', expect.arrayContaining(['ROWS_FAILED'])])
    const repaired = async () => {
      await db.sql`alter table public.messages disable trigger refuse`
      await db.sql`update public.chat_sessions set title = 'touched' where id = ${own}`
      expect([await behind(db), (await contents(db, own)).at(-1)]).toEqual([0, 'while it was broken'])
    }
    await repaired()
    expect((await said(project.migrate({ consent: ending.consent }))).verdict).toBe('clean')
    // the same again when the run has begun: nothing is to do by the plan, and the gate finds it
    await db.sql.unsafe(`
      create function public.write() returns trigger language plpgsql as $f$ begin
        alter table public.messages enable trigger refuse;
        ${write};
        return null; end $f$;
      create trigger write after insert on rethread.runs for each row execute function public.write()`)
    const gated = await said(project.migrate(ending))
    expect([gated.verdict, gated.codes, gated.steps.map(s => s.outcome)]).toEqual([
      'attention',
      expect.arrayContaining(['GATE', 'BACKFILL_REOPENED']),
      ['not-run'],
    ])
    const gates = gated.findings.filter(f => f.code === 'GATE')
    expect(gates.map(f => f.facts)).toContainEqual({ check: 'behind', rows: 1 })
    expect(gates.some(f => f.message.includes('behind'))).toBe(true)
    await db.sql`drop trigger write on rethread.runs`
    await repaired()
    const ended = await said(project.migrate(ending))
    expect([ended.verdict, ended.codes]).toEqual(['clean', expect.not.arrayContaining(['GATE'])])
  })

  test('text is found wherever applications keep it; where it is not found the element is set aside, never blank', async () => {
    await using db = await database(server, 'conversation-history')
    const shapes: [element: unknown, role: string | null, content: string][] = [
      [{ role: 'user', content: 'plain' }, 'user', 'plain'],
      [{ role: 'user', content: [{ type: 'text', text: 'part of OpenAI' }] }, 'user', 'part of OpenAI'],
      [{ id: 'm1', role: 'user', parts: [{ type: 'text', text: 'AI SDK 5' }] }, 'user', 'AI SDK 5'],
      [
        { id: 'm2', role: 'assistant', content: '', parts: [{ type: 'text', text: 'AI SDK 4' }] },
        'assistant',
        'AI SDK 4',
      ],
      [{ role: 'model', parts: [{ text: 'Gemini' }] }, 'assistant', 'Gemini'],
      [
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm' },
            { type: 'text', text: 'Anthropic' },
          ],
        },
        'assistant',
        'Anthropic',
      ],
      [
        { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'search', input: { q: 'x' } }] },
        'assistant',
        '',
      ],
      [
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: 'found' }] },
        'user',
        'found',
      ],
      [{ type: 'human', data: { content: 'LangChain' } }, 'user', 'LangChain'],
      [
        {
          lc: 1,
          type: 'constructor',
          id: ['langchain_core', 'messages', 'AIMessage'],
          kwargs: { content: 'LangChain, serialized' },
        },
        'assistant',
        'LangChain, serialized',
      ],
      [{ from: 'gpt', value: 'ShareGPT' }, 'assistant', 'ShareGPT'],
      [{ sender: 'GPT-4', text: 'LibreChat', isCreatedByUser: false }, 'assistant', 'LibreChat'],
      [{ role: 'prompter', text: 'Open-Assistant' }, 'user', 'Open-Assistant'],
      [{ sender: 'user', text: 'a widget' }, 'user', 'a widget'],
      [{ role: 'assistant', message: 'a bot' }, 'assistant', 'a bot'],
      [{ role: 'assistant', content: null, tool_calls: [{ id: 'c' }] }, 'assistant', ''],
      [{ role: 'user', utterance: 'in no known place' }, null, ''],
    ]
    const [someone] =
      await db.sql`select tenant_id, user_id from public.tenant_users order by user_id limit 1`
    const [session] = await db.sql`
      insert into public.chat_sessions (tenant_id, user_id, title, messages)
      values (${someone!.tenant_id}, ${someone!.user_id}, 'shapes', ${JSON.stringify(shapes.map(s => s[0]))}::text::jsonb) returning id, messages`
    await migrated(db)
    const rows =
      await db.sql`select role, content from public.messages where conversation_id = ${session!.id} order by created_at`
    expect(rows.map(r => [r.role, r.content])).toEqual(shapes.filter(s => s[1]).map(s => [s[1], s[2]]))
    const aside =
      await db.sql`select reason from rethread_archive.quarantine where key like ${`${session!.id}:%`}`
    expect(aside.map(r => r.reason)).toEqual(['its text is in no place that is known'])
    // an edit of the new application reaches the place where the old one reads; the way back
    // leaves all others as they were
    await db.sql`update public.messages set content = 'edited' where conversation_id = ${session!.id} and content = 'AI SDK 5'`
    const [after] = await db.sql`select messages from public.chat_sessions where id = ${session!.id}`
    expect(after!.messages[2].parts).toEqual([{ type: 'text', text: 'edited' }])
    expect(after!.messages.filter((_: unknown, i: number) => i !== 2)).toEqual(
      session!.messages.filter((_: unknown, i: number) => i !== 2),
    )
  })
})

describe.each(some('newest'))('long conversations on PostgreSQL $major', server => {
  const numbered = (each: string) => `select ${each} from generate_series(1, 3000) i`
  const node = `jsonb_build_object('id', 'n' || i, 'parent', case when i > 1 then 'n' || (i - 1) else PARENT end, 'children', jsonb_build_array('n' || (i + 1)),
    'message', jsonb_build_object('id', 'n' || i, 'author', jsonb_build_object('role', 'user'),
      'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array('said ' || i))))`
  const tree = (parent: string) =>
    numbered(
      `jsonb_build_object('mapping', jsonb_object_agg('n' || i, ${node.replace('PARENT', parent)}), 'current_node', 'n3000')`,
    )

  /** One of each form: tree, nested, pairs. */
  const documents: [string, number, string][] = [
    ['an exported tree', 3000, tree('null')],
    [
      'answers within their questions',
      6000,
      numbered(`jsonb_agg(jsonb_build_object('role', 'user', 'content', 'asked ' || i,
        'children', jsonb_build_array(jsonb_build_object('role', 'assistant', 'content', 'said ' || i))))`),
    ],
    [
      'questions with their answers',
      6000,
      numbered(`jsonb_agg(jsonb_build_object('question', 'asked ' || i, 'answer', 'said ' || i))`),
    ],
  ]
  /** Further ones, for the soak. */
  const others: typeof documents = [
    ['one whose branch is a circle', 3000, tree(`'n3000'`)],
    [
      'a history by key',
      3000,
      numbered(`jsonb_build_object('history', jsonb_build_object('currentId', 'n3000', 'messages', jsonb_object_agg('n' || i,
        jsonb_build_object('id', 'n' || i, 'parentId', 'n' || (i - 1), 'role', 'user', 'content', 'said ' || i))))`),
    ],
    [
      'many answers to one question',
      3001,
      numbered(`jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'asked', 'children',
        jsonb_agg(jsonb_build_object('role', 'assistant', 'content', 'said ' || i))))`),
    ],
  ]
  test.each(process.env.RETHREAD_SOAK ? [...documents, ...others] : documents)(
    'no statement on %s of thousands of messages takes time by their square',
    async (_, messages, document) => {
      await using db = await database(server, 'conversation-history', 20)
      await migrated(db)
      const [{ id }] = (await db.sql`
        select id from public.chat_sessions where title like 'Chat %' order by id limit 1`) as unknown as [
        { id: string },
      ]
      await db.sql.unsafe(
        `update public.chat_sessions set messages = '[]' where id = '${id}'; set statement_timeout = '30s'`,
      )
      const of = `where conversation_id = '${id}'`
      const first = `(select id from public.messages ${of} order by created_at limit 1)`
      for (const statement of [
        `update public.chat_sessions set messages = (${document}) where id = '${id}'`,
        `insert into public.messages (conversation_id, role, content) select '${id}', 'user', 'new ' || n from generate_series(1, 50) n`,
        `update public.messages set content = 'edited' where id = ${first}`,
        ...(process.env.RETHREAD_SOAK ? [`update public.messages set content = content || '!' ${of}`] : []),
        `delete from public.messages where id = ${first}`,
        `update public.chat_sessions set messages = case jsonb_typeof(messages) when 'array' then messages || '[{"role": "user", "content": "last"}]'
           else messages || '{"title": "last"}' end where id = '${id}'`,
      ])
        await db.sql.unsafe(statement)
      await db.sql.unsafe('reset statement_timeout')
      const [{ n, behind }] = (await db.sql.unsafe(
        `select count(*)::int as n, (select count(*)::int from chat_private.behind) as behind from public.messages ${of}`,
      )) as unknown as [{ n: number; behind: number }]
      expect([n, behind]).toEqual([
        messages + 49 + (document.startsWith('select jsonb_build_object') ? 0 : 1),
        0,
      ])
      const { report } = await rethread(db.url, [
        'verify',
        ...track,
        '--only',
        'accounted,same_content,same_text,behind',
      ])
      expect(report.checks.map(c => [c.check, c.outcome, c.found])).toEqual(
        report.checks.map(c => [c.check, 'pass', []]),
      )
    },
    120_000,
  )
})
