import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configured, contract, rethread, undoAll } from '../support/cli.js'
import { type Database, database, open, picture, root, some } from '../support/database.js'

/** workspace-sessions with a new legacy session after each pause. */

const minutes = 10
const folder = () => configured({ settings: { legacy_grouping: `idle:${minutes}m` } })

type Db = Database['sql']
const id = (kind: string, n: number) => `${kind === 'u' ? 'a' : 'b'}0000000-0000-4000-8000-00000000000${n}`

interface Message {
  id: string
  room: string
  author: string | null
  role: string | null
  text: string | null
  at: number | null
}

/** Sessions as they should be, computed here: messages in the order of time, cut at each pause. */
async function expected(db: Database): Promise<Map<string, { title: string; owner: string; room: string }>> {
  const people = new Set((await db.sql`select id from auth.users`).map(r => r.id as string))
  const owners = new Map(
    (await db.sql`select id, owner_id from workspaces`).map(r => [
      r.id as string,
      r.owner_id as string | null,
    ]),
  )
  const messages = await db.sql<Message[]>`
    select id, workspace_id as room, user_id as author, role, message as text, extract(epoch from created_at)::float8 * 1000 as at
    from chats order by created_at nulls first, id`
  const open = new Map<string, Message[]>()
  const closed: Message[][] = []
  for (const m of messages) {
    const now = open.get(m.room)
    const last = now?.at(-1)?.at
    if (now && (last == null ? m.at === null : m.at! - last <= minutes * 60_000)) now.push(m)
    else {
      const next = [m]
      open.set(m.room, next)
      closed.push(next)
    }
  }
  const found = new Map<string, { title: string; owner: string; room: string }>()
  for (const session of closed) {
    const { room } = session[0]!
    if (!owners.has(room)) continue
    const known = session.find(m => m.author !== null && people.has(m.author))
    const owner = known?.author ?? owners.get(room)
    if (!owner) continue
    const first = session.find(m => m.role === 'user' && m.text !== null)
    const ids = session.map(m => m.id).sort()
    const title = first ? first.text!.trim().replace(/\s+/g, ' ').slice(0, 60) : 'Legacy Chat'
    found.set(ids.join(), { title, owner, room })
  }
  return found
}

const actual = async (db: Database): Promise<Map<string, { title: string; owner: string; room: string }>> =>
  new Map(
    (
      await db.sql`
        select s.title, s.user_id as owner, s.workspace_id as room, string_agg(c.id::text, ',' order by c.id::text) as ids
        from chat_sessions s join chats c on c.session_id = s.id group by s.id`
    ).map(r => [r.ids as string, { title: r.title, owner: r.owner, room: r.room }]),
  )

/** Times of those without a dated message are the moment that they were made. */
const sessions = async (db: Database) => [
  ...(await db.sql`
    select id, workspace_id, user_id, title, case when id::text not like 'ffffffff-ffff%' then created_at end as created_at
    from chat_sessions order by id`),
]

const placed = async (db: Database) => [
  ...(await db.sql`select id, session_id from chats where session_id is not null order by id`),
]

describe.each(some('newest'))('sessions that end with a pause on PostgreSQL $major', server => {
  test('the backfill makes the sessions that people had, and a rollback and a restore keep what they did in them', async () => {
    await using db = await database(server)
    const options = { cwd: folder() }
    const before = await picture(db.sql)
    const wanted = await expected(db)
    const [largest] =
      await db.sql`select workspace_id as room from chats group by 1 order by count(*) desc limit 1`
    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], options)).code).toBe(0)
    const canary = await rethread(db.url, ['backfill', '--workspace', largest!.room], options)
    expect([
      canary.code,
      (await db.sql`select count(distinct workspace_id)::int as n from chat_sessions`)[0]!.n,
    ]).toEqual([0, 1])
    const up = await rethread(db.url, ['migrate'], options)
    expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    expect(wanted.size).toBeGreaterThan(50)
    expect(await actual(db)).toEqual(wanted)
    const made = await sessions(db)
    expect(
      (await rethread(db.url, ['verify'], options)).report.findings.filter(f => f.level === 'error'),
    ).toEqual([])

    // what an id is made of does not depend on when, nor on the batches
    expect((await rethread(db.url, ['rollback', ...undoAll(db.name)], options)).code).toBe(0)
    expect(await picture(db.sql)).toEqual(before)
    expect((await rethread(db.url, ['migrate', ...contract], options)).code).toBe(0)
    expect(await sessions(db)).toEqual(made)

    // people go on in old sessions, a week later and under a name of theirs; the first message of one goes
    await db.sql.unsafe(`
      create temp table chosen as select s.* from chat_sessions s where exists (
        select from chats c where c.session_id = s.id having count(*) > 3) order by id limit 3;
      insert into chats (workspace_id, user_id, role, message, session_id, created_at)
      select workspace_id, user_id, 'user', 'A week later.', id, created_at + interval '7 days' from chosen;
      update chat_sessions set title = 'Named by a person' where id in (select id from chosen limit 2);
      delete from chats c using chosen s where c.session_id = s.id and c.created_at = s.created_at`)
    const used = { sessions: await sessions(db), placed: await placed(db) }
    expect((await rethread(db.url, ['rollback', ...undoAll(db.name)], options)).code).toBe(0)
    const back = await rethread(
      db.url,
      ['restore', 'latest', '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS'],
      options,
    )
    expect([back.code, back.report.findings.filter(f => f.code === 'RESTORE_CONFLICT')]).toEqual([0, []])
    expect({ sessions: await sessions(db), placed: await placed(db) }).toEqual(used)
  })

  test('messages of any time that there is, before and after the migration, are in sessions of their own time', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    // with such a collation the server runs no regular expression
    await db.sql`create collation public.alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`
    await db.sql`alter table chats alter column message type text collate public.alike`
    const options = { cwd: folder() }
    const times = ['4713-01-01 BC', '1969-12-31', '99999-12-31', '294276-12-31', 'infinity', '-infinity']
    const say = (when: string) =>
      db.sql.unsafe(`
        insert into chats (workspace_id, user_id, role, message, created_at)
        select md5('workspace 1')::uuid, md5('user 1')::uuid, 'user', '${when} ' || t.at, t.at::timestamptz
        from unnest(array[${times.map(t => `'${t}'`).join(', ')}]) t (at)`)
    await say('before')
    const up = await rethread(db.url, ['migrate'], options)
    expect([up.code, up.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    await say('after')
    // no pause is between two of the same time, but where a time is none
    const said = await db.sql`
      select c.created_at::text as at, count(*)::int as n, count(distinct c.session_id)::int as sessions
      from chats c where split_part(c.message, ' ', 1) in ('before', 'after') group by 1 order by min(c.created_at)`
    expect(said.map(r => [r.n, r.sessions])).toEqual(times.map(() => [2, 1]))
    expect((await rethread(db.url, ['verify', '--only', 'behind,orphaned_messages'], options)).code).toBe(0)
  })

  test('while both applications run a message goes on in the session of its time, and makes no two of them one', async () => {
    await using db = await database(server, 'workspace-sessions', 60)
    const options = { cwd: folder() }
    const [room, old, owner, other] = [id('w', 1), id('w', 2), id('u', 1), id('u', 2)]
    const begin = Date.parse('2026-03-01T10:00:00Z')
    const at = (minute: number) => new Date(begin + minute * 60_000).toISOString()
    await db.sql.unsafe(`
      insert into auth.users (id) values ('${owner}'), ('${other}');
      insert into workspaces (id, name, owner_id) values ('${room}', 'r', '${owner}'), ('${old}', 'o', '${owner}');
      insert into chats (workspace_id, user_id, role, message, created_at) values
        ('${old}', '${other}', 'assistant', 'Welcome', '${at(0)}'), ('${old}', '${owner}', 'user', E'  The\\n first ', '${at(8)}')`)
    /** The old application writes, and gets the session that its message is in. */
    const write = async (
      minute: number,
      said: string,
      role = 'user',
      where = room,
      by = other,
      sql: Db = db.sql,
    ) => {
      const [row] = await sql<{ session: string }[]>`
        insert into chats (workspace_id, user_id, role, message, created_at)
        values (${where}, ${by}, ${role}, ${said}, ${at(minute)}) returning session_id as session`
      return row!.session
    }
    const session = async (of: string) => {
      const [row] =
        await db.sql`select title, user_id as owner, created_at, updated_at from chat_sessions where id = ${of}`
      const { title, owner, created_at, updated_at } = row as {
        title: string
        owner: string
        created_at: Date
        updated_at: Date
      }
      return { title, owner, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
    }
    const told = (title: string, by: string, from: number, to: number) => ({
      title,
      owner: by,
      created_at: at(from),
      updated_at: at(to),
    })

    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], options)).code).toBe(0)
    // older messages, up to the pause before it, are of the session that the old application begins now
    const begun = await write(17, 'Later', 'user', old)
    const apart = await write(40, 'Much later', 'user', old)
    const named = await write(70, 'An hour later', 'user', old)
    await db.sql`update chat_sessions set title = 'Mine' where id = ${named}`
    expect((await rethread(db.url, ['migrate'], options)).code).toBe(0)
    expect(await session(begun)).toEqual(told('The first', other, 0, 17))
    expect([(await session(apart)).title, (await session(named)).title]).toEqual(['Much later', 'Mine'])
    expect(await db.sql`select session_id from chats where workspace_id = ${old} group by 1`).toHaveLength(3)

    const first = await write(0, 'Hello', 'assistant')
    expect(await session(first)).toEqual(told('Legacy Chat', other, 0, 0))
    expect(await write(5, '[{"type": "text", "text": "A question"}]', 'user', room, owner)).toBe(first)
    expect((await session(first)).title).toBe('A question')
    const second = await write(30, 'Next')
    expect(second).not.toBe(first)
    // old times: in reach of the first, of the second, of both
    expect([
      await write(12, 'a'),
      await write(23, 'b'),
      await write(23.5, 'c'),
      await write(22, 'd'),
    ]).toEqual([first, second, second, first])
    expect(await session(first)).toMatchObject({ title: 'A question', owner: other, created_at: at(0) })
    expect(await session(second)).toEqual(told('Next', other, 23, 30))
    // a session that somebody has put away does not go on
    await db.sql`update chat_sessions set deleted_at = now() where id = ${second}`
    const third = await write(31, 'Still here')
    expect(third).not.toBe(second)
    // two that write at once begin one session
    const beside = open(db.url, 1)
    const [one, two] = await db.sql
      .begin(async tx => {
        const mine = await write(100, 'One', 'user', room, owner, tx as never)
        const theirs = write(100.1, 'Two', 'user', room, other, beside)
        await new Promise(done => setTimeout(done, 50))
        return [mine, theirs] as const
      })
      .then(async ([mine, theirs]) => [mine, await theirs])
    await beside.end()
    expect(two).toBe(one)
    // a message that is moved gets a session of its time there
    await db.sql`update chats set workspace_id = ${old} where message = 'Next'`
    const [moved] = await db.sql`select session_id from chats where message = 'Next'`
    expect(moved!.session_id).toBe(apart)
    const verified = await rethread(db.url, ['verify'], options)
    const wrong = verified.report.checks
      .filter(c => c.level === 'error')
      .filter(c => c.outcome === 'failed' || c.found.some(f => !f.preExisting))
    expect(wrong).toEqual([])
  })

  test('the plan counts the sessions of each choice, of some workspaces where there are many messages', async () => {
    await using db = await database(server, 'workspace-sessions', 500)
    const plan = await rethread(db.url, ['plan'], { cwd: folder() })
    const table = plan.report.tables.find(t => t.title.startsWith('Legacy sessions that each'))!
    const sizes = [...(await expected(db)).keys()].map(ids => ids.split(',').length).sort((a, b) => a - b)
    const rows = new Map(table.rows.map(r => [r[0], r.slice(1)]))
    // beside these, one of a workspace of nobody, which gets no session
    sizes.unshift(1)
    const share = (part: number) => sizes[Math.ceil(sizes.length * part) - 1]
    expect(rows.get(`idle:${minutes}m (chosen)`)).toEqual([
      sizes.length,
      share(0.5),
      share(0.9),
      sizes.at(-1),
      'all messages',
    ])
    const [rooms] = await db.sql`
      select count(*)::int as n, max(n)::int as most from (
        select count(*) as n from chats c join workspaces w on w.id = c.workspace_id group by w.id) s`
    expect(rows.get('workspace')).toEqual([
      rooms!.n,
      expect.any(Number),
      expect.any(Number),
      rooms!.most,
      'all messages',
    ])
    expect([...rows.keys()]).toEqual([
      'workspace',
      'author',
      'idle:10m (chosen)',
      'idle:2d',
      'idle:30m',
      'idle:8h',
    ])
    const text = readFileSync(join(root, 'verify/workspace-sessions/legacy_groupings.sql'), 'utf8')
    const few = text.replaceAll('200000', '100')
    expect((await db.sql.unsafe(few))[0]).toMatchObject({
      grouping: 'not counted',
      counted: expect.stringMatching(/no index/),
    })
    await db.sql`create index on chats (workspace_id)`
    const sampled = await db.sql.unsafe(few)
    expect(sampled.map(r => r.counted)).toEqual(
      Array(5).fill(expect.stringMatching(/^a sample: 100 of about 5\d\d messages$/)),
    )
  })
})
