// biome-ignore-all lint/suspicious/noExplicitAny: documents that a test breaks have no type
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { render } from '../../src/index.js'
import { type Database, database, newest, root, servers, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'
import { random, seed } from '../support/random.js'

interface Info {
  sessions: { table: string; id: string; history?: string; deleted?: string }
  messages?: { table: string; session: string; to?: string; content: string }
}
/** The tracks that say which table has their sessions. */
const tracks = readdirSync(join(root, 'migrations')).filter(track => {
  const file = join(root, `migrations/${track}/track.json`)
  return existsSync(file) && 'sessions' in JSON.parse(readFileSync(file, 'utf8'))
})
const infoOf = (track: string): Info =>
  JSON.parse(readFileSync(join(root, `migrations/${track}/track.json`), 'utf8'))

/** Values that are hard to keep, by the type of a column of their own. */
const hard: Record<string, string[]> = {
  numeric: ['12345678901234567890.1234567890123456789', 'NaN', '0.10', '-1e-30', 'Infinity'],
  bigint: ['9223372036854775807', '-9223372036854775808'],
  'double precision': ['0.1', '-Infinity', '1e300', '5e-324'],
  boolean: ['true', 'false'],
  json: [
    String.raw`{"b": 1, "a":2,  "b": 3, "n": 1.0, "nul": "\u0000", "big": 123456789012345678901, "half": "\ud83d"}`,
    'null',
    '"text"',
    '[ 1e400,\n "é\u202e" ]',
  ],
  jsonb: ['null', '{"x": 12345678901234567890.10, "tool_calls": [{"id": "c1"}]}', '"null"', '[]', '{}'],
  'text[]': [String.raw`{"a,b",NULL,"c\"d",""}`, '[0:1]={x,y}', '{{a,b},{c,d}}', '{}'],
  bytea: [String.raw`\x00ff5c27`, String.raw`\x`],
  timestamptz: ['infinity', '2026-03-29 02:30:00.123456+02', '0044-03-15 00:00:00+00 BC'],
  timestamp: ['2026-10-25 02:30:00.000001', '-infinity'],
  interval: ['1 year -2 days +03:04:05.678901', '-00:00:00.000001'],
  int8range: ['[1,9)', 'empty', '(,)'],
  text: [
    '',
    'null',
    ' \t\r\n\u0085\u202e\u2028\ufeff 👩‍👩‍👧 ##[error]::warning::x',
    String.raw`\x41 \\ "quoted" 'single' $1 %I`,
  ],
  'character(5)': ['ab', '  x'],
  'varchar(3)': ['äöü'],
  uuid: ['00000000-0000-0000-0000-000000000000'],
  inet: ['::1/64', '10.0.0.1'],
  mood: ['so "so"', 'ok'],
  pair: [`(1,"a ""b"", c")`, '(,)'],
}

/** A database of a track that is applied whole, whose sessions and messages have columns of every kind. */
async function chats(server = newest(), track = 'workspace-sessions', columns = hard): Promise<Database> {
  const db = await database(server, track, 120)
  const mine = await inProcess(db.url, { track })
  const consent = {
    allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS', 'WIDENS_ACCESS', 'HIDES_ROWS', 'SHOWS_ROWS'] as never[],
    rows: 1000,
  }
  expect((await said(mine.migrate({ phase: 'contract', consent }))).verdict).toBe('clean')
  await db.sql.unsafe(
    `set demo.writes = 40; ${readFileSync(join(root, `examples/${track}/new_app.sql`), 'utf8')}`,
  )
  const { sessions, messages } = infoOf(track)
  const types = Object.keys(columns)
  await db.sql.unsafe(`
    create type public.mood as enum ('ok', 'so "so"');
    create type public.pair as (a int, b text);
    ${[sessions.table, ...(messages ? [messages.table] : [])]
      .map(
        table => `alter table ${table} ${types.map((type, i) => `add column h${i} ${type.replace(/^(mood|pair)$/, 'public.$1')}`).join(', ')},
          add column "odd ""name""" int default 7, add column doubled text generated always as (h${types.indexOf('text')} || '!') stored,
          add column numbered bigint generated always as identity;`,
      )
      .join('\n')}`)
  return db
}

/** Writes hard values into each row of a table. */
async function harden(db: Database, table: string, next: () => number): Promise<void> {
  const rows = await db.sql.unsafe<{ place: string }[]>(`select ctid::text as place from ${table}`)
  for (const { place } of rows) {
    const set = Object.values(hard).map((values, i) => {
      const value = values[Math.floor(next() * (values.length + 1))]
      return {
        set: `h${i} = $${i + 1}::text::${Object.keys(hard)[i]!.replace(/^(mood|pair)$/, 'public.$1')}`,
        value: value ?? null,
      }
    })
    await db.sql.unsafe(
      `update ${table} set ${set.map(s => s.set).join(', ')} where ctid = '${place}'`,
      set.map(s => s.value) as never[],
    )
  }
}

/** Every value of every row of some tables as text. */
async function contents(db: Database, tables: string[]): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const table of tables) {
    const columns = await db.sql<{ name: string }[]>`
      select attname::text as name from pg_attribute where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attnum`
    const texts = columns.map(c => `"${c.name.replaceAll('"', '""')}"::text`)
    found[table] = await db.sql.unsafe(
      `select ${texts.map((t, i) => `${t} as "${columns[i]!.name.replaceAll('"', '""')}"`).join(', ')} from ${table} order by ${texts.join(', ')}`,
    )
  }
  return found
}

/** Every track on the newest server, and one on the oldest: the tracks have tests of their own for that. */
const pairs = servers().flatMap(server =>
  (some('newest').includes(server) ? tracks : ['workspace-sessions']).map(track => ({
    server,
    track,
    major: server.major,
  })),
)

test.each(pairs)(
  'exported, deleted and imported, a session of $track is what it was on PostgreSQL $major',
  async ({ server, track }) => {
    await using db = await chats(server, track)
    const { sessions, messages } = infoOf(track)
    const next = random(seed)
    // what follows a message goes with its session too
    const followers = messages
      ? `create table public.reactions (id bigint generated always as identity primary key, emoji text, message_id ${await typeOf(db, messages.table, 'id')} references ${messages.table} (id) on delete cascade);
         insert into public.reactions (emoji, message_id) select '👍🏽', id from ${messages.table};`
      : ''
    await db.sql.unsafe(followers)
    const tables = [sessions.table, ...(messages ? [messages.table, 'public.reactions'] : [])]
    await db.sql`alter table ${db.sql(sessions.table)} disable trigger user`
    await harden(db, sessions.table, next)
    await db.sql`alter table ${db.sql(sessions.table)} enable trigger user`
    if (messages) {
      await db.sql`alter table ${db.sql(messages.table)} disable trigger user`
      await harden(db, messages.table, next)
      await db.sql`alter table ${db.sql(messages.table)} enable trigger user`
    }
    const project = await inProcess(db.url, { track })
    const ids = await db.sql.unsafe<{ id: string }[]>(
      `select s.${sessions.id}::text as id from ${sessions.table} s order by md5(s.${sessions.id}::text || $1) limit 2`,
      [String(seed)],
    )
    for (const { id } of ids) {
      const before = await contents(db, tables)
      const exported = await project.exportSession({ id })
      expect(exported.findings).toEqual([])
      // as a file of the command has it: the session within a report
      const file = await render(exported, 'json')
      expect(JSON.parse(file).session.tables.map((t: { table: string }) => t.table)).toContain(sessions.table)
      await db.sql.unsafe(`delete from ${sessions.table} where ${sessions.id}::text = $1`, [id])
      expect(await contents(db, tables), `seed ${seed}`).not.toEqual(before)
      const imported = await said(project.importSession({ session: file }))
      expect(imported, `seed ${seed}`).toMatchObject({ verdict: 'clean', codes: ['SESSION_PUT'] })
      expect(imported.findings[0]!.facts).toMatchObject({ derived: [] })
      expect(await contents(db, tables), `seed ${seed}`).toEqual(before)
      // and the numbers that come next are beyond those that came back
      const again = await said(project.importSession({ session: exported.session! }))
      expect(again.codes).toEqual(['SESSION_THERE'])
    }
  },
)

test('what does not fit is refused with its place, and changes nothing', async () => {
  await using db = await chats()
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  const [{ id }] = (await db.sql`
    select s.id from chat_sessions s where (select count(*) from chats c where c.session_id = s.id) > 2 order by s.id limit 1`) as unknown as [
    { id: string },
  ]
  const { session } = await project.exportSession({ id })
  const file = () => JSON.parse(session!)
  const before = await contents(db, ['public.chat_sessions', 'public.chats', 'auth.users'])
  const refused = async (text: string) => {
    const report = await said(project.importSession({ session: text }))
    expect(await contents(db, ['public.chat_sessions', 'public.chats', 'auth.users'])).toEqual(before)
    return [report.verdict, ...report.findings.map(f => `${f.code} ${f.message}`)]
  }
  const changed = async (change: (f: any) => void) => {
    const f = file()
    change(f)
    return refused(JSON.stringify(f))
  }
  const at = (table: string) => file().tables.findIndex((t: any) => t.table === table)
  const [sessions, chatsAt] = [at('public.chat_sessions'), at('public.chats')]

  // not a session
  for (const [text, reason] of [
    ['', 'not JSON: it ends early'],
    ['[1, 2', 'not JSON'],
    [`${'['.repeat(100_000)}`, 'not JSON'],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'it is not an object'],
    ['{"tables": []}', 'it holds no session'],
    ['null', 'it is not an object'],
    ['{"session": 7}', 'session: it is not an object'],
    [session!.replace('"tables":', '"tables": [], "tables":'), 'tables: it is there twice'],
    [session!.replace('"id":', '"__proto__": {"x": 1}, "id":'), '`__proto__` is not known here'],
  ] as const) {
    const [verdict, message] = await refused(text)
    expect([verdict, message], text.slice(0, 60)).toEqual(['failed', expect.stringContaining(reason)])
  }
  // values with their place
  const place = `tables[${chatsAt}].rows[2]`
  for (const [change, reason] of [
    [(r: any) => delete r.message, `${place}.message: it is missing`],
    [(r: any) => (r.more = 1), `${place}: \`more\` is not known here`],
    [(r: any) => (r.message = 'a\0b'), `${place}.message: it has a NUL`],
    [(r: any) => (r.message = 'a\ud83d'), `${place}.message: it has half of a surrogate pair`],
    [(r: any) => (r.message = { text: 1 }), `${place}.message: a value of type text is a text`],
    [(r: any) => (r.created_at = 'soon'), `${place}.created_at: invalid input syntax for type timestamp`],
    [(r: any) => (r.h1 = '1e99'), `${place}.h1: `],
  ] as const) {
    const [verdict, message] = await changed(f => {
      // of a session that is not there, so that its values are read
      change(f.tables[chatsAt].rows[2])
    })
    expect([verdict, message]).toEqual(['failed', expect.stringContaining(reason)])
  }
  // another track, other columns, another session, names that are SQL
  for (const [change, code, reason] of [
    [(f: any) => (f.track = 'helper-chats'), 'SESSION_FROM_ELSEWHERE', 'it is of track helper-chats'],
    [(f: any) => (f.id = 'x'), 'SESSION_FROM_ELSEWHERE', 'must have one row'],
    [
      (f: any) => (f.tables[chatsAt].columns.message = 'varchar(9)'),
      'SESSION_FROM_ELSEWHERE',
      'public.chats.message is text, in the file varchar(9)',
    ],
    [
      (f: any) => {
        delete f.tables[chatsAt].columns.message
        for (const r of f.tables[chatsAt].rows) delete r.message
      },
      'SESSION_FROM_ELSEWHERE',
      'the file has no column message of public.chats',
    ],
    [
      (f: any) => {
        const name = 'id" from auth.users; drop table public.chats; --'
        f.tables[chatsAt].columns[name] = 'text'
        for (const r of f.tables[chatsAt].rows) r[name] = 'x'
      },
      'SESSION_FROM_ELSEWHERE',
      'public.chats has no column id" from auth.users; drop table public.chats; --',
    ],
    [
      (f: any) => (f.tables[chatsAt].table = 'auth.users; delete from chats'),
      'SESSION_FROM_ELSEWHERE',
      'has no rows of sessions here',
    ],
    [
      (f: any) => f.tables.push(f.tables[sessions]),
      'SESSION_FROM_ELSEWHERE',
      'public.chat_sessions is there twice',
    ],
    // the session is there
    [
      (f: any) => (f.tables[sessions].rows[0].title = 'Another'),
      'SESSION_EXISTS',
      'public.chat_sessions: 1 row differs in title',
    ],
    [
      (f: any) => f.tables[chatsAt].rows.pop(),
      'SESSION_EXISTS',
      'public.chats: 1 row is there that the file does not have',
    ],
  ] as const) {
    const [verdict, message] = await changed(change)
    expect([verdict, message]).toEqual(['refused', expect.stringMatching(new RegExp(`^${code} `))])
    expect(message).toContain(reason)
  }
  // a copy under ids of its own: of an owner who is not there, with a text that is too long
  const copy = (f: any) => {
    const ids = new Map<string, string>()
    for (const t of f.tables)
      for (const r of t.rows)
        for (const name of ['id', 'session_id'])
          if (r[name]) {
            if (!ids.has(r[name])) ids.set(r[name], crypto.randomUUID())
            r[name] = ids.get(r[name])
          }
    f.id = f.tables[sessions].rows[0].id
    f.tables = [f.tables[sessions], f.tables[chatsAt]]
    for (const t of f.tables) for (const r of t.rows) r.numbered += 100_000
  }
  const nobody = '00000000-0000-0000-0000-00000000dead'
  for (const [change, reason] of [
    [
      (f: any) => (f.tables[0].rows[0].user_id = nobody),
      `The rows could not be put into \`public.chat_sessions\`: 1 row has user_id = ${nobody}, and auth.users has no such id`,
    ],
    [(f: any) => (f.tables[0].rows[0].workspace_id = nobody), `workspace_id = ${nobody}`],
    [(f: any) => (f.tables[1].rows[0].session_id = nobody), 'violates'],
  ] as const) {
    const [verdict, message] = await changed(f => {
      copy(f)
      change(f)
    })
    expect([verdict, message]).toEqual(['refused', expect.stringMatching(/^SESSION_NOT_PUT /)])
    expect(message).toContain(reason)
  }
  const varchar = Object.keys(hard).indexOf('varchar(3)')
  expect(
    await changed(f => {
      copy(f)
      f.tables[1].rows[1][`h${varchar}`] = 'abcd'
    }),
  ).toEqual(['failed', expect.stringContaining(`tables[1].rows[1].h${varchar}: value too long`)])
  // as it is, the copy is a session like any other
  const f = file()
  copy(f)
  expect(await said(project.importSession({ session: JSON.stringify(f) }))).toMatchObject({
    verdict: 'clean',
    codes: ['SESSION_PUT'],
  })
  const numbers =
    await db.sql`insert into chat_sessions (workspace_id, user_id) select workspace_id, user_id from chat_sessions limit 1 returning numbered > 100000 as beyond`
  expect(numbers[0]!.beyond).toBe(true)
})

test('sessions are searched, counted and hidden as the filters, the time and the role have it', async () => {
  await using db = await chats(newest(), 'workspace-sessions', { text: [] })
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  await db.sql`update chats set message = '100% _sure_ \\o/' where id = (select id from chats where session_id is not null order by id limit 1)`
  const sessionsOf = async (request: object) => {
    const report = await said(project.sessions({ limit: 1000, ...request }))
    const counted = await said(project.countSessions(request))
    const table = report.tables[0]!
    expect(counted.tables[0]!.rows).toEqual([[table.rows.length]])
    return { ids: table.rows.map(r => r[table.columns.indexOf('id')]), codes: report.codes, report }
  }
  const all = await sessionsOf({})
  const sure = await db.sql`select session_id as id from chats where message like '100\%%'`
  for (const search of ['100% _SURE_', '% _s', '\\o/']) {
    const found = await sessionsOf({ search })
    expect([found.ids, found.codes], search).toEqual([[sure[0]!.id], ['SEARCH_SCANS']])
  }
  expect((await sessionsOf({ search: "'; drop table chats; --" })).codes).toEqual([
    'SEARCH_SCANS',
    'NO_SESSION_FOUND',
  ])
  const titled = await sessionsOf({ search: 'legacy c' })
  expect(titled.ids.length).toBeGreaterThan(0)
  expect(titled.ids.length).toBeLessThan(all.ids.length)
  // with a trigram index that is worth it, nothing is scanned
  await db.sql.unsafe(`
    create extension pg_trgm;
    insert into chats (workspace_id, user_id, role, message, session_id)
    select c.workspace_id, c.user_id, 'user', md5(n::text), c.session_id from (select * from chats where session_id is not null limit 1) c, generate_series(1, 20000) n;
    create index on chats using gin (message gin_trgm_ops);
    analyze chats;`)
  const indexed = await sessionsOf({ search: '_sure_' })
  expect([indexed.ids, indexed.codes]).toEqual([[sure[0]!.id], []])
  // time, and the mark of a deletion
  await db.sql.unsafe(`
    alter table chat_sessions disable trigger user;
    update chat_sessions set updated_at = now() - interval '3 days';
    update chat_sessions set updated_at = now() - interval '1 hour', deleted_at = now() where id = '${sure[0]!.id}';
    alter table chat_sessions enable trigger user;`)
  expect((await sessionsOf({ since: '2d' })).codes).toEqual(['NO_SESSION_FOUND'])
  expect((await sessionsOf({ since: '2d', withDeleted: true })).ids).toEqual([sure[0]!.id])
  expect((await sessionsOf({ since: '2001-01-01T00:00Z' })).ids.length).toBe(all.ids.length - 1)
  for (const since of ['soon', '7', '2026-02-30', "now'; --"])
    await expect(project.sessions({ since })).rejects.toThrow(`--since ${since}`)
  await expect(project.sessions({ search: ' ' })).rejects.toThrow('--search')
  expect((await said(project.recoverSession({ id: sure[0]!.id }))).codes).toEqual(['SESSION_PUT'])
  expect((await sessionsOf({ since: '2d' })).ids).toEqual([sure[0]!.id])
  // who is subject to row level security is shown what they may see, and that it may be less
  await db.sql.unsafe(`
    create role desk_${db.name} login; grant usage on schema public, chat_private to desk_${db.name};
    grant select on chat_sessions, chats to desk_${db.name};
    create policy desk on chat_sessions for select to desk_${db.name} using (id = '${sure[0]!.id}');`)
  const url = new URL(db.url)
  url.username = `desk_${db.name}`
  const desk = await inProcess(url.toString(), { track: 'workspace-sessions' })
  const seen = await said(desk.sessions({ withDeleted: true, filter: { user: [nobodyElse] } }))
  expect(seen.codes).toContain('SESSIONS_HIDDEN')
  const mine = await said(desk.countSessions({ withDeleted: true }))
  expect(mine.tables[0]!.rows).toEqual([[1]])
  expect((await said(desk.exportSession({ id: sure[0]!.id }))).verdict).toBe('failed')
  await db.sql.unsafe(`drop owned by desk_${db.name}; drop role desk_${db.name}`)
})

const nobodyElse = '00000000-0000-0000-0000-000000000001'

test('a session that was pruned is recovered alone from its archive', async () => {
  await using db = await database(newest(), 'helper-chats', 60)
  const project = await inProcess(db.url, { track: 'helper-chats' })
  expect((await said(project.migrate({ phase: 'contract' }))).verdict).toBe('clean')
  await db.sql.unsafe(
    `set demo.writes = 40; ${readFileSync(join(root, 'examples/helper-chats/new_app.sql'), 'utf8')}`,
  )
  await db.sql.unsafe(
    `alter table chat_sessions disable trigger user; update chat_sessions set updated_at = now() - interval '400 days'; update chat_messages set created_at = now() - interval '400 days'; alter table chat_sessions enable trigger user`,
  )
  const tables = ['public.chat_sessions', 'public.chat_messages']
  const before = await contents(db, tables)
  const consent = { allow: ['DELETES_DATA', 'PRUNES_MOST'] as never[], confirm: db.name }
  expect(
    (await said(project.prune({ olderThanDays: 300, apply: true, delete: true, consent }))).codes,
  ).toContain('ARCHIVED')
  const ids = (before['public.chat_sessions'] as { id: string }[]).map(s => s.id)
  expect((await said(project.session({ id: ids[0]! }))).codes).toEqual(['NO_SUCH_SESSION'])
  for (const id of ids) {
    const recovered = await said(project.recoverSession({ id }))
    expect(recovered).toMatchObject({ verdict: 'clean', codes: ['SESSION_PUT'] })
    expect(JSON.parse(recovered.session!).id).toBe(id)
  }
  expect(await contents(db, tables)).toEqual(before)
  expect((await said(project.recoverSession({ id: ids[0]! }))).codes).toEqual(['SESSION_THERE'])
  expect((await said(project.recoverSession({ id: 'nobody' }))).codes).toEqual(['NO_SUCH_SESSION'])
})

const typeOf = async (db: Database, table: string, column: string): Promise<string> => {
  const [row] = await db.sql<{ type: string }[]>`
    select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = ${table}::regclass and attname = ${column}`
  return row!.type
}

test('a search that would take too long, and a session that is too large for a file, are refused by name', async () => {
  await using db = await chats()
  // 2 GiB of text, which are a few bytes each on the disk
  await db.sql.unsafe(`
    alter table public.chats disable trigger user;
    update public.chats set message = repeat('x', 102400) where id = (select id from public.chats where session_id is not null limit 1);
    create temporary table long as select * from public.chats where octet_length(message) = 102400;
    alter table long drop column id, drop column doubled, drop column numbered`)
  const columns = await db.sql<{ name: string }[]>`
    select quote_ident(attname) as name from pg_attribute where attrelid = 'long'::regclass and attnum > 0 and not attisdropped`
  const list = columns.map(c => c.name).join(', ')
  await db.sql.unsafe(
    `insert into public.chats (${list}) select ${list} from long, generate_series(1, 20000)`,
  )
  const project = await inProcess(db.url, { track: 'workspace-sessions' })
  const slow = await said(project.sessions({ search: 'y', within: 1 }))
  expect([slow.verdict, slow.codes]).toEqual(['failed', ['SEARCH_TOO_SLOW']])
  expect(slow.findings[0]!.fix).toContain('--within 4, or make an index')

  await db.sql`delete from public.chats where ctid in (select ctid from public.chats where octet_length(message) = 102400 offset 2700)`
  const [{ id }] = (await db.sql`
    select session_id::text as id from public.chats where octet_length(message) = 102400 limit 1`) as unknown as [
    { id: string },
  ]
  const large = await said(project.exportSession({ id }))
  expect([large.verdict, large.codes, large.session]).toEqual(['failed', ['SESSION_TOO_LARGE'], undefined])
})
