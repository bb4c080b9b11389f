import { describe, expect } from 'vitest'
import { contract, rethread, undoAll } from '../support/cli.js'
import { type Database, database, inTurn, open, picture, servers } from '../support/database.js'
import { random as randomFrom, seed } from '../support/random.js'

/**
 * trip-sessions while both applications run: every conversation has its session, counters and links follow
 * the rows, and nobody attaches anything to what is somebody else's.
 */

const track = ['--track', 'trip-sessions']

const migrated = async (db: Database, ...flags: string[]): Promise<void> => {
  const up = await rethread(db.url, ['migrate', ...track, ...flags])
  expect([up.code, up.report.findings.filter(f => f.level === 'error' || f.level === 'refused')]).toEqual([
    0,
    [],
  ])
}

const clean = async (db: Database, checks: string): Promise<void> => {
  const verified = await rethread(db.url, ['verify', ...track, '--only', checks])
  expect([verified.code, verified.report.checks.flatMap(c => c.found)]).toEqual([0, []])
}

/** Sends statements as an agent of the API, under the policies. */
const as = (db: Database, agent: string, statements: string): Promise<Record<string, unknown>[]> =>
  db.sql.begin(async tx => {
    await tx.unsafe('set local role authenticated')
    await tx`select set_config('request.jwt.claims', ${JSON.stringify({ sub: agent, role: 'authenticated' })}, true)`
    return tx.unsafe(statements)
  }) as never

/** A charter desk whose tables hold more, and name things otherwise, than those of the example. */
const otherDesk = `
  create table iso_agents (id uuid primary key default gen_random_uuid(), clerk_user_id varchar(80) not null unique, email text not null);
  create table requests (id uuid primary key default gen_random_uuid(), iso_agent_id uuid not null references iso_agents,
    departure_airport text not null, arrival_airport text not null, trip_id text, avinode_rfp_id text, selected_quote_id uuid);
  create table quotes (id uuid primary key default gen_random_uuid(), request_id uuid not null references requests, avinode_rfq_id text, status text not null default 'new');
  create table proposals (id uuid primary key default gen_random_uuid(), request_id uuid references requests, quote_id uuid references quotes, created_at timestamptz not null default clock_timestamp());
  create table conversations (id uuid primary key default gen_random_uuid(), request_id uuid references requests, subject text);
  create table messages (id uuid primary key default gen_random_uuid(), conversation_id uuid not null references conversations on delete cascade,
    sender_type text not null, content text, created_at timestamptz default now());
  insert into iso_agents (id, clerk_user_id, email) select md5('agent ' || n)::uuid, 'clerk_' || n, n || '@desk.test' from generate_series(1, 4) n;
  insert into requests (id, iso_agent_id, departure_airport, arrival_airport, trip_id, avinode_rfp_id)
    select md5('request ' || n)::uuid, md5('agent ' || (n % 4 + 1))::uuid, 'EDDF', 'KTEB', 'trip-' || n, 'rfp-' || n from generate_series(1, 12) n;
  insert into conversations (id, request_id, subject) select md5('talk ' || n)::uuid, md5('request ' || n)::uuid, 'Trip ' || n from generate_series(1, 12) n;
  insert into messages (conversation_id, sender_type, content, created_at)
    select md5('talk ' || (n % 12 + 1))::uuid, case n % 5 when 1 then 'iso_agent' else 'ai_assistant' end, 'message ' || n, timestamptz '2025-03-01' + n * interval '1 hour' from generate_series(1, 60) n;
  insert into quotes (id, request_id, avinode_rfq_id) select md5('quote ' || n)::uuid, md5('request ' || (n % 6 + 1))::uuid, 'rfq-' || (n % 6 + 1) from generate_series(1, 12) n;
  insert into proposals (id, request_id, quote_id) select md5('proposal ' || n)::uuid, md5('request ' || n)::uuid, md5('quote ' || (n + 5))::uuid from generate_series(1, 3) n;
  update quotes set status = 'accepted' where id = md5('quote 4')::uuid;
  update requests set selected_quote_id = md5('quote 10')::uuid where id = md5('request 5')::uuid`

describe.each(servers())('trip-sessions on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a conversation of the old application has its session at once, with its request’s agent, and follows it', async () => {
    await using db = await database(server, 'trip-sessions', 300)
    await migrated(db)
    const session = async (name: string) =>
      (
        await db.sql`
          select iso_agent_id = md5('agent 1')::uuid as first, iso_agent_id = md5('agent 2')::uuid as second, avinode_trip_id as trip,
            message_count as messages, quotes_received_count as quotes, last_activity_at = '2030-01-02 00:00+00' as later
          from chat_sessions where conversation_id = md5(${name})::uuid`
      )[0] ?? null
    await db.sql.unsafe(`
      insert into requests (id, iso_agent_id, avinode_trip_id) values (md5('r a')::uuid, md5('agent 1')::uuid, 'atrip-a'), (md5('r b')::uuid, null, null);
      insert into conversations (id, request_id) values (md5('talk a')::uuid, md5('r a')::uuid), (md5('talk b')::uuid, md5('r b')::uuid), (md5('talk c')::uuid, null)`)
    expect([await session('talk a'), await session('talk b'), await session('talk c')]).toEqual([
      { first: true, second: false, trip: 'atrip-a', messages: 0, quotes: 0, later: false },
      null,
      null,
    ])
    // the request finds its agent, the conversation its request, the trip its number
    await db.sql`update requests set iso_agent_id = md5('agent 2')::uuid where id = md5('r b')::uuid`
    await db.sql`update conversations set request_id = md5('r a')::uuid where id = md5('talk c')::uuid`
    await db.sql`update requests set avinode_trip_id = 'atrip-z' where id = md5('r a')::uuid`
    await db.sql`insert into quotes (request_id) values (md5('r b')::uuid), (md5('r b')::uuid), (md5('r a')::uuid)`
    await db.sql`insert into messages (id, conversation_id, created_at) values (md5('m1')::uuid, md5('talk b')::uuid, '2030-01-01 00:00+00'), (md5('m2')::uuid, md5('talk b')::uuid, '2030-01-02 00:00+00')`
    expect([await session('talk a'), await session('talk b'), await session('talk c')]).toEqual([
      { first: true, second: false, trip: 'atrip-z', messages: 0, quotes: 1, later: false },
      { first: false, second: true, trip: null, messages: 2, quotes: 2, later: true },
      { first: true, second: false, trip: 'atrip-z', messages: 0, quotes: 1, later: false },
    ])
    // edits and deletions: the newest goes, a moved one is counted where it is
    await db.sql`delete from messages where id = md5('m2')::uuid`
    expect(await session('talk b')).toMatchObject({ messages: 1, later: false })
    await db.sql`update messages set created_at = '2030-01-02 00:00+00' where id = md5('m1')::uuid`
    expect(await session('talk b')).toMatchObject({ messages: 1, later: true })
    await db.sql`update messages set conversation_id = md5('talk a')::uuid where id = md5('m1')::uuid`
    expect([await session('talk a'), await session('talk b')]).toMatchObject([
      { messages: 1, later: true },
      { messages: 0, later: false },
    ])
    // a text that is edited writes no session; a message writes one, once
    const version = () =>
      db.sql`select xmin::text from chat_sessions where conversation_id = md5('talk a')::uuid`
    const before = await version()
    await db.sql`update messages set content = 'edited' where id = md5('m1')::uuid`
    expect(await version()).toEqual(before)
    const writes = async () =>
      Number(
        (
          await db.sql`
            with now as (select pg_stat_clear_snapshot())
            select n_tup_upd as n from pg_stat_user_tables cross join now where relid = 'chat_sessions'::regclass`
        )[0]!.n,
      )
    await db.sql`select pg_stat_force_next_flush()`
    const written = await writes()
    await db.sql`insert into messages (conversation_id) values (md5('talk a')::uuid)`
    await db.sql`select pg_stat_force_next_flush()`
    expect((await writes()) - written).toBe(1)
    // a request that changes hands takes its sessions along, and the counters can't be forged
    await db.sql`update requests set iso_agent_id = md5('agent 2')::uuid where id = md5('r a')::uuid`
    await as(db, 'user_2', 'update chat_sessions set message_count = 99999, quotes_received_count = 99')
    expect(await session('talk a')).toMatchObject({ second: true, messages: 2, quotes: 1 })
    await clean(db, 'counters_true,behind,copied_links,true_links,triggers')
  })

  test('ids of the trip, quotes and proposals are copied; the filter finds old sessions; sender_type is the role', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(otherDesk)
    const before = await picture(db.sql)
    await migrated(db)
    const found = await db.sql`
      select n, s.avinode_trip_id as trip, s.avinode_rfp_id as rfp, s.avinode_rfq_id as rfq, s.message_count as messages, s.quotes_received_count as quotes,
        (select 'quote ' || k from generate_series(1, 12) k where md5('quote ' || k)::uuid = s.primary_quote_id) as quote,
        (select 'proposal ' || k from generate_series(1, 3) k where md5('proposal ' || k)::uuid = s.proposal_id) as proposal
      from generate_series(1, 7) n join chat_sessions s on s.request_id = md5('request ' || n)::uuid order by n`
    const row = (n: number, quote: string | null, proposal: string | null) => ({
      n,
      trip: `trip-${n}`,
      rfp: `rfp-${n}`,
      rfq: n > 6 ? null : `rfq-${n}`,
      messages: 5,
      quotes: n > 6 ? 0 : 2,
      quote,
      proposal,
    })
    expect([...found]).toEqual(
      [
        // named by the proposal, by the request, by being accepted; of two equal ones, neither is chosen
        row(1, 'quote 6', 'proposal 1'),
        row(2, 'quote 7', 'proposal 2'),
        row(3, 'quote 8', 'proposal 3'),
        row(4, null, null),
        row(5, 'quote 4', null),
        row(6, null, null),
        row(7, null, null),
      ].map(r => (r.n === 5 ? { ...r, quote: 'quote 10' } : r)),
    )
    const listed = await rethread(db.url, ['sessions', 'list', ...track, '--trip', 'trip-7'])
    const shown = await rethread(db.url, [
      'sessions',
      'show',
      ...track,
      String(listed.report.tables[0]!.rows[0]![0]),
    ])
    expect([...new Set(shown.report.tables[1]!.rows.map(r => r[1]))].sort()).toEqual([
      'ai_assistant',
      'iso_agent',
    ])
    await db.sql`insert into proposals (request_id) values (md5('request 7')::uuid)`
    await db.sql`insert into quotes (request_id, avinode_rfq_id) values (md5('request 7')::uuid, 'rfq-7')`
    const [seventh] = await db.sql`
      select primary_quote_id is not null and proposal_id is not null as both, avinode_rfq_id as rfq from chat_sessions where request_id = md5('request 7')::uuid`
    expect(seventh).toEqual({ both: true, rfq: 'rfq-7' })
    await clean(db, 'counters_true,behind,copied_links,true_links,every_conversation')
    await db.sql`delete from proposals where request_id = md5('request 7')::uuid`
    await db.sql`delete from quotes where request_id = md5('request 7')::uuid`
    expect((await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])).code).toBe(0)
    expect(await picture(db.sql)).toEqual(before)
  })

  test('nobody attaches a session to another agent’s conversation, request, quote or proposal, nor learns whether one is there', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(otherDesk)
    await migrated(db)
    // request 4 is agent 1's, request 1 agent 2's
    const id = (name: string) => `md5('${name}')::uuid`
    const nobody = "'00000000-0000-4000-8000-00000000dead'"
    const own = `(select id from chat_sessions where conversation_id = ${id('talk 4')})`
    await db.sql`insert into conversations (id) values (md5('open')::uuid), (md5('taken')::uuid)`
    await db.sql`insert into chat_sessions (conversation_id, iso_agent_id) values (md5('taken')::uuid, md5('agent 2')::uuid)`
    const insert = (columns: Record<string, string>) =>
      `insert into chat_sessions (${Object.keys(columns)}) values (${Object.values(columns)})`
    const me = id('agent 1')
    const attacks = [
      insert({ conversation_id: id('talk 1'), iso_agent_id: me }),
      insert({ conversation_id: id('taken'), iso_agent_id: me }),
      insert({ conversation_id: id('talk 4'), iso_agent_id: me, request_id: id('request 1') }),
      insert({ conversation_id: id('talk 4'), iso_agent_id: me, primary_quote_id: id('quote 6') }),
      insert({ conversation_id: id('talk 4'), iso_agent_id: me, proposal_id: id('proposal 1') }),
      insert({ conversation_id: id('talk 4'), iso_agent_id: id('agent 2') }),
      `select create_or_update_chat_session(${id('talk 1')}, ${me})`,
      `select create_or_update_chat_session(${id('talk 1')}, ${id('agent 2')})`,
      `select create_or_update_chat_session(${id('talk 4')}, ${me}, ${id('request 1')})`,
      `select set_chat_session_trip(${own}, null, null, null, ${id('request 1')})`,
      ...[
        ['conversation_id', id('talk 1'), nobody],
        ['request_id', id('request 1'), nobody],
        ['primary_quote_id', id('quote 6'), nobody],
        ['proposal_id', id('proposal 1'), nobody],
        ['iso_agent_id', id('agent 2'), nobody],
      ].flatMap(([column, theirs, none]) => [
        `update chat_sessions set ${column} = ${theirs} where id = ${own}`,
        `update chat_sessions set ${column} = ${none} where id = ${own}`,
        `update chat_sessions set ${column} = ${theirs}`,
      ]),
    ]
    const said: Record<string, number> = {}
    const before = await picture(db.sql)
    for (const attack of attacks) {
      const message = await as(db, 'clerk_1', attack).then(
        () => `allowed: ${attack}`,
        error => `${error.code}: ${error.message}`,
      )
      said[message] = (said[message] ?? 0) + 1
    }
    // what is there and what is not is refused alike
    expect(said).toEqual({
      '42501: new row violates row-level security policy for table "chat_sessions"': attacks.length,
    })
    expect(await picture(db.sql)).toEqual(before)
    // one's own, and what nobody has
    await as(
      db,
      'clerk_1',
      insert({
        conversation_id: id('open'),
        iso_agent_id: me,
        request_id: id('request 4'),
        primary_quote_id: id('quote 3'),
      }),
    )
    await as(
      db,
      'clerk_1',
      `select create_or_update_chat_session(${id('talk 4')}, ${me}, ${id('request 4')})`,
    )
    // an id that was taken in advance takes no session away
    await db.sql`insert into requests (id, iso_agent_id, departure_airport, arrival_airport) values (md5('request x')::uuid, md5('agent 2')::uuid, 'A', 'B')`
    await as(
      db,
      'clerk_1',
      `insert into chat_sessions (id, conversation_id, iso_agent_id) values (md5('rethread:legacy:' || ${id('talk x')})::uuid, ${id('open')}, ${me})`,
    )
    await db.sql`insert into conversations (id, request_id) values (md5('talk x')::uuid, md5('request x')::uuid)`
    const [there] =
      await db.sql`select count(*)::int as n from chat_sessions where conversation_id = md5('talk x')::uuid`
    expect(there!.n).toBe(1)
  })

  test('an account that is deleted takes its sessions, and no message of anybody', async () => {
    await using db = await database(server, 'trip-sessions', 300)
    await migrated(db)
    const messages = () =>
      db.sql`select count(*)::int as n, md5(string_agg(m::text, '' order by id)) as hash from messages m`
    const before = await messages()
    await db.sql`delete from iso_agents where id = md5('agent 1')::uuid`
    expect(await messages()).toEqual(before)
    const [left] =
      await db.sql`select count(*)::int as n from chat_sessions where iso_agent_id = md5('agent 1')::uuid`
    expect(left!.n).toBe(0)
    await clean(db, 'counters_true,behind,true_links')
  })

  test('what stops a trigger never stops the application: it is noted, and counted with the next write or the backfill', async () => {
    await using db = await database(server, 'trip-sessions', 300)
    await migrated(db, '--phase', 'expand')
    const talk = "md5('conversation 3')::uuid"
    const count = async () =>
      (
        await db.sql.unsafe(`select message_count as n from chat_sessions where conversation_id = ${talk}`)
      )[0]!.n
    const notes = async () => (await db.sql`select count(*)::int as n from chat_private.behind`)[0]!.n
    // without a session there is nothing to count into: once noted, however often
    await db.sql.unsafe(
      `insert into messages (conversation_id) values (${talk}); insert into messages (conversation_id) values (${talk})`,
    )
    expect(await notes()).toBe(1)
    // one that is under way while the backfill makes the session is in neither's sight
    const writer = open(db.url, 1)
    await writer.unsafe('begin')
    await writer.unsafe(`insert into messages (conversation_id) values (md5('conversation 5')::uuid)`)
    await migrated(db)
    await writer.unsafe('commit')
    expect(await notes()).toBe(1)
    const found = await rethread(db.url, ['verify', ...track, '--only', 'behind,counters_true'])
    expect([found.code, found.report.checks.map(c => c.found.length)]).toEqual([1, [1, 1]])
    await db.sql.unsafe(`insert into messages (conversation_id) values (md5('conversation 5')::uuid)`)
    await clean(db, 'behind,counters_true')
    // somebody holds the session's row
    const n = await count()
    await writer.unsafe('begin')
    await writer.unsafe(`select from chat_sessions where conversation_id = ${talk} for update`)
    const started = Date.now()
    await db.sql.unsafe(`insert into messages (conversation_id) values (${talk})`)
    expect(Date.now() - started).toBeLessThan(2000)
    await writer.unsafe('commit')
    await writer.end()
    expect([await count(), await notes()]).toEqual([n, 1])
    await db.sql.unsafe(
      `delete from messages where id = (select id from messages where conversation_id = ${talk} order by created_at limit 1)`,
    )
    expect([await count(), await notes()]).toEqual([n, 0])
    // whatever it is
    await db.sql.unsafe('alter table chat_sessions add constraint none check (message_count < 0) not valid')
    await db.sql.unsafe(`insert into messages (conversation_id) values (${talk});
      insert into conversations (id, request_id) values (md5('unlucky')::uuid, md5('request 3')::uuid);
      insert into quotes (request_id) values (md5('request 3')::uuid);
      update requests set iso_agent_id = md5('agent 2')::uuid where id = md5('request 3')::uuid;
      update conversations set request_id = md5('request 4')::uuid where id = md5('conversation 9')::uuid;
      insert into proposals (request_id) values (md5('request 3')::uuid)`)
    const states = await db.sql`select distinct sqlstate from chat_private.behind`
    expect([await notes(), states.map(r => r.sqlstate)]).toEqual([6, ['23514']])
    await db.sql.unsafe('alter table chat_sessions drop constraint none')
    await db.sql.unsafe(`select chat_private.open_sessions(array[md5('unlucky')::uuid])`)
    await db.sql.unsafe(
      `insert into messages (conversation_id) values (${talk}), (md5('unlucky')::uuid), (md5('conversation 9')::uuid)`,
    )
    await clean(db, 'behind,counters_true,true_links')
    // TRUNCATE fires no other trigger
    await db.sql`truncate messages`
    await clean(db, 'behind,counters_true')
    await db.sql.unsafe(`insert into messages (conversation_id) values (${talk});
      alter table chat_sessions add constraint none check (message_count > 0) not valid; truncate messages`)
    expect([await count(), await notes()]).toEqual([1, 1])
    await db.sql.unsafe('alter table chat_sessions drop constraint none')
    await migrated(db)
    await clean(db, 'behind,counters_true')
  })

  test('019 waits for readers too, and takes the clean-up of the table along; the rollback brings both back', async () => {
    await using db = await database(server, 'trip-sessions', 300)
    await migrated(db)
    const reader = open(db.url, 1)
    await reader`select * from chatkit_sessions where chatkit_session_id = 'ck_1'`
    await reader.end()
    const refused = await rethread(db.url, ['migrate', ...track, ...contract])
    expect([refused.code, refused.report.findings.find(f => f.code === 'GATE')!.facts.check]).toEqual([
      1,
      'chatkit_unused',
    ])
    const verified = await rethread(db.url, ['verify', ...track, '--only', 'chatkit_unused'])
    expect(verified.report.checks[0]!.found.map(f => f.object)).toEqual(['reads of chatkit_sessions'])
    await db.sql`insert into chat_private.chatkit_reads select * from chat_private.chatkit_usage`
    // the check itself is no reader
    await clean(db, 'chatkit_unused')
    await clean(db, 'chatkit_unused')
    await migrated(db, '--phase', 'contract', '--allow', 'ENDS_OLD_APP')
    const where = async () =>
      (
        await db.sql`select pronamespace::regnamespace::text as schema from pg_proc where proname in ('touch_chatkit_sessions', 'cleanup_expired_chatkit_sessions')`
      ).map(r => r.schema)
    expect(await where()).toEqual(['rethread_archive', 'rethread_archive'])
    expect((await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])).code).toBe(0)
    expect(await where()).toEqual(['public', 'public'])
    const [gone] = await db.sql`select cleanup_expired_chatkit_sessions() as n`
    expect(gone!.n).toBe(50)
  })

  test(`random statements of both applications before, during and after the backfill (seed ${seed}): no error, and every session is right`, async () => {
    await using db = await database(server, 'trip-sessions', 400)
    await migrated(db, '--phase', 'expand')
    const errors: Record<string, number> = {}
    let sent = 0
    const writer = async (w: number, until: () => boolean) => {
      const sql = open(db.url, 1)
      const random = randomFrom(seed + w * 7919)
      for (let i = 0; !until(); i++) {
        const statement = randomStatement(random, `${w} ${i}`)
        sent++
        await sql.unsafe(statement).catch(error => {
          const what = `${error.code}: ${error.message} in ${statement}`
          errors[what] = (errors[what] ?? 0) + 1
        })
      }
      await sql.end()
    }
    let migrating = true
    const phase = async (most: number, until: () => boolean) => {
      const end = sent + most
      await Promise.all([1, 2, 3, 4].map(w => writer(w + sent, () => sent >= end && until())))
    }
    await phase(150, () => true)
    const up = migrated(db).finally(() => {
      migrating = false
    })
    await phase(150, () => !migrating)
    await up
    await phase(250, () => true)
    expect(errors).toEqual({})
    await migrated(db)
    // what a trigger had to leave is noted, and done as the backfill does it
    const [unnoted] = await db.sql`
      select count(*)::int as n from conversations c join requests r on r.id = c.request_id and r.iso_agent_id is not null
      where not exists (select from chat_sessions s where s.conversation_id = c.id)
        and not exists (select from chat_private.behind b where b.conversation_id = c.id)`
    expect(unnoted!.n).toBe(0)
    await db.sql`
      select chat_private.open_sessions(array(
        select c.id from conversations c where not exists (select from chat_sessions s where s.conversation_id = c.id)))`
    await db.sql`
      select chat_private.catch_up(s.conversation_id) from chat_sessions s
      where exists (select from chat_private.behind b where b.conversation_id = s.conversation_id or b.request_id = s.request_id)`
    await clean(db, 'counters_true,behind,copied_links,true_links')
    const [wrong] = await db.sql`
      select count(*) filter (where s.id is null)::int as without_session,
        count(*) filter (where s.current_step is null and s.last_activity_at is distinct from m.last_at and m.last_at is not null
          and s.last_activity_at is distinct from s.session_started_at)::int as wrong_time
      from conversations c join requests r on r.id = c.request_id and r.iso_agent_id is not null
      left join chat_sessions s on s.conversation_id = c.id
      left join lateral (select max(created_at) as last_at from messages m where m.conversation_id = c.id) m on true`
    expect(wrong).toEqual({ without_session: 0, wrong_time: 0 })
  }, 120_000)
})

/** A statement as one of the two applications sends it. */
function randomStatement(random: () => number, key: string): string {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const n = (most: number) => 1 + Math.floor(random() * most)
  const talk = () => `md5('conversation ${n(12)}')::uuid`
  const request = () => `md5('request ${n(12)}')::uuid`
  const agent = () => `md5('agent ${n(5)}')::uuid`
  const time = () =>
    one([
      'now()',
      'now()',
      'clock_timestamp()',
      'null',
      "'2024-05-05 05:05+00'",
      `'2031-01-0${n(9)} 00:00+00'`,
    ])
  const some = (table: string, column: string, of: string) =>
    `(select id from ${table} where ${column} = ${of} order by md5(id::text || '${key}') limit 1)`
  return one([
    // the old application
    () =>
      `insert into conversations (id, request_id) values (md5('new ${key}')::uuid, ${one([request(), 'null'])})`,
    () => `insert into conversations (request_id) select ${request()} from generate_series(1, ${n(4)})`,
    () => `update conversations set request_id = ${request()} where id = ${talk()}`,
    () => `update requests set iso_agent_id = ${agent()} where id = ${request()}`,
    () => `update requests set avinode_trip_id = 'trip ${key}' where id = ${request()}`,
    () => `insert into messages (conversation_id, created_at) values (${talk()}, ${time()})`,
    () => `insert into messages (conversation_id, created_at) values (${talk()}, ${time()})`,
    () =>
      `insert into messages (conversation_id, created_at) values (${talk()}, ${time()}), (${talk()}, ${time()}), (${talk()}, ${time()})`,
    () =>
      `begin; insert into messages (conversation_id) values (${talk()}); select pg_sleep(0.005); insert into messages (conversation_id) values (${talk()}); commit`,
    () => `begin; insert into messages (conversation_id) values (${talk()}); rollback`,
    () => `update messages set content = 'edited' where conversation_id = ${talk()}`,
    () =>
      `update messages set created_at = ${time()} where id = ${some('messages', 'conversation_id', talk())}`,
    () =>
      `update messages set conversation_id = ${talk()} where id = ${some('messages', 'conversation_id', talk())}`,
    () => `delete from messages where id = ${some('messages', 'conversation_id', talk())}`,
    () => `insert into quotes (request_id) values (${request()}), (${request()})`,
    () => `update quotes set request_id = ${request()} where id = ${some('quotes', 'request_id', request())}`,
    () => `delete from quotes where id = ${some('quotes', 'request_id', request())}`,
    () => `insert into proposals (request_id) values (${request()})`,
    // the new one
    () =>
      `with c as materialized (
          select c.id, c.request_id, r.iso_agent_id from conversations c join requests r on r.id = c.request_id where c.id = ${talk()} for share of c, r)
        select create_or_update_chat_session(c.id, c.iso_agent_id, c.request_id, 'active', 'step') from c where c.iso_agent_id is not null`,
    () =>
      `insert into chat_sessions (conversation_id, request_id, iso_agent_id, current_step)
        select c.id, r.id, r.iso_agent_id, 'second' from conversations c join requests r on r.id = c.request_id
        where c.id = ${talk()} and r.iso_agent_id is not null for share of c, r`,
    () =>
      `update chat_sessions set last_activity_at = now(), current_step = 'touched' where id = ${some('chat_sessions', 'conversation_id', talk())}`,
    () =>
      `update chat_sessions set message_count = ${n(99)}, quotes_received_count = 0 where id = ${some('chat_sessions', 'conversation_id', talk())}`,
  ])()
}
