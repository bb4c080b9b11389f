import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { type HazardCode, openProject, type Report } from '../../src/index.js'
import { type Ran, rethread, undoAll } from '../support/cli.js'
import { database, newest, open, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { said } from '../support/in_process.js'

/** How often the runs ended with each code, and what they said was wrong. */
const outcomes = (ran: Ran[]) => ({
  codes: [...new Set(ran.map(r => r.code))].sort(),
  errors: [...new Set(ran.flatMap(r => r.report.findings.filter(f => f.level === 'error').map(f => f.code)))],
})

test.concurrent.each(some('newest'))(
  'PostgreSQL $major: migrations and rollbacks started at once take turns, and the last one holds',
  async server => {
    await using db = await database(server, 'workspace-sessions', 100)
    const [before] = await db.sql`select count(*)::int as n, sum(hashtext(chats::text)) as hash from chats`
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const verbs = [0, 1, 2, 3, 4, 5].map(i => (i % 2 ? ['migrate'] : ['rollback', ...undoAll(db.name)]))
    const ran = await Promise.all(verbs.map(verb => rethread(db.url, verb)))
    // whose plan no longer holds when the lease is theirs is refused, and has changed nothing
    const { codes, errors } = outcomes(ran)
    expect([errors, codes[0], codes.filter(code => code !== 0 && code !== 3)]).toEqual([[], 0, []])
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    const doubled = await db.sql`
      select migration from (select distinct on (track, migration) * from rethread.ledger order by track, migration, id desc) l
      where outcome <> 'done' or direction <> 'up'`
    expect(doubled).toEqual([])
    const triggers = await db.sql`select tgname from pg_trigger where tgname like 'rethread_capture%'`
    expect(triggers).toEqual([])
    await db.sql`alter table chats drop column session_id cascade`
    const [after] = await db.sql`select count(*)::int as n, sum(hashtext(chats::text)) as hash from chats`
    expect(after).toEqual(before)
  },
)

test.concurrent.each(some('newest'))(
  'PostgreSQL $major: a prepared transaction that is left open is named by whatever it keeps waiting, with what ends it',
  async server => {
    await using db = await database(server, 'workspace-sessions', 100)
    const [able] = await db.sql`select current_setting('max_prepared_transactions')::int > 0 as able`
    if (!able!.able) return
    const gid = `it's ${db.name}`
    const quoted = `'it''s ${db.name}'`
    const write = {
      insert: `insert into chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'prepared' from workspaces where owner_id is not null order by id limit 1`,
      update: 'update chats set message = message where workspace_id is not null',
    }
    // one connection, because a transaction is begun and left
    const application = open(db.url, 1)
    const prepare = (statement: string) =>
      application.unsafe(`begin; ${statement}; prepare transaction ${quoted}`).simple()
    const end = async (how: 'commit' | 'rollback') => {
      await application.unsafe(`${how} prepared ${quoted}`)
    }
    const waited = new Set<string | null>()
    const project = await openProject({
      databaseUrl: db.url,
      track: 'workspace-sessions',
      config: { lockBudgetSeconds: 1 },
      onEvent: event => {
        if (event.type !== 'index' || event.prepared === null || waited.has(event.prepared)) return
        waited.add(event.prepared)
        void end('commit')
      },
    })
    const refused = async (running: Promise<Report>) => {
      const found = (await said(running)).findings.find(f => f.code === 'LOCK_TIMEOUT')
      expect(found?.facts).toMatchObject({ pids: [], prepared: [gid] })
      expect(found?.fix).toContain(`rollback prepared ${quoted};`)
    }
    try {
      await prepare(write.insert)
      await refused(project.migrate())
      const now = (await said(project.plan())).findings.filter(f => f.code === 'BLOCKER_NOW')
      expect(now.map(f => f.fix)).toContainEqual(expect.stringContaining(`rollback prepared ${quoted};`))
      await end('rollback')
      expect((await project.migrate({ phase: 'expand' })).verdict).toBe('clean')
      // a batch waits for the rows
      await prepare(write.update)
      await refused(project.backfill())
      await end('rollback')
      expect((await project.backfill()).verdict).toBe('clean')
      // an index that is built beside the application waits without end, and says for whom
      await prepare(write.insert)
      expect([(await project.migrate()).verdict, [...waited]]).toEqual(['clean', [gid]])
      await prepare(write.update)
      const away = {
        all: true,
        consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'] as HazardCode[], confirm: db.name },
      }
      await refused(project.rollback(away))
      const [written] =
        await db.sql`select session_id is not null as placed from chats where message = 'prepared'`
      expect(written).toEqual({ placed: true })
    } finally {
      await project.close()
      await end('rollback').catch(() => {})
      await application.end()
    }
  },
)

test.concurrent('of two versions of the files that start at once one is applied, and the other is refused', async () => {
  await using db = await database(newest(), 'empty')
  const version = (title: string) =>
    folder({
      'migrations/own/001_make.sql': `create table public.notes (id int primary key, title text default '${title}');`,
      'migrations/own/002_more.sql': 'create table public.more (id int primary key);',
      'rollbacks/own/001_make.sql': 'drop table public.notes;',
      'rollbacks/own/002_more.sql': 'drop table public.more;',
      'verify/own/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
  const folders = [version('one'), version('other')]
  const ran = await Promise.all(
    [0, 1, 2, 3].map(i => rethread(db.url, ['migrate'], { cwd: folders[i % 2]! })),
  )
  const [made] = await db.sql`
    select count(distinct checksum)::int as versions from rethread.ledger where migration = '001_make'`
  expect(made).toEqual({ versions: 1 })
  const [row] = await db.sql`
    select pg_get_expr(adbin, adrelid) as title from pg_attrdef where adrelid = 'public.notes'::regclass`
  const winner = row!.title.includes('one') ? 0 : 1
  const of = (version: number) => ran.filter((_, i) => i % 2 === version)
  expect(of(winner).map(r => r.code)).toContain(0)
  // to the others it is an edited file, or their plan has become another one
  for (const { code, report } of of(1 - winner)) {
    const said = report.findings.map(f => f.code)
    expect([code, said.some(c => c === 'APPLIED_FILE_CHANGED' || c === 'PLAN_CHANGED')]).toEqual([
      expect.toSatisfy(c => c === 2 || c === 3),
      true,
    ])
  }
})

test.concurrent.each([1, 2])(
  'a role with %i connection(s) learns what it lacks, and goes on when it has more',
  async limit => {
    await using db = await database(newest(), 'workspace-sessions', 20)
    const role = `${db.name}_few`
    await db.sql.unsafe(`create role ${role} login connection limit ${limit}; grant postgres to ${role}`)
    try {
      const url = new URL(db.url)
      url.username = role
      const ran = await rethread(url.href, ['migrate'])
      const said = ran.report.findings.filter(f => f.level === 'error').map(f => `${f.message} ${f.fix}`)
      expect([ran.code, said]).toEqual([
        2,
        [expect.stringMatching(/lacks connections: too many connections for role .* connection limit/)],
      ])
      await db.sql.unsafe(`alter role ${role} connection limit -1`)
      const again = await rethread(url.href, ['migrate'])
      expect([again.code, again.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    } finally {
      await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
    }
  },
)

test.concurrent('a replica that had not received the newest commits takes over: the next run makes it whole', async () => {
  const folderOf = (name: string) => join(dataDir, name)
  const dataDir = mkdtempSync('/tmp/rethread-failover-')
  chmodSync(dataDir, 0o755)
  const start = (name: string, port?: number) =>
    startEmbedded({ dataDir: folderOf(name), from: [root], ...(port ? { port } : {}) })
  let server = await start('primary')
  try {
    const sql = open(server.url, 1)
    await sql.unsafe(`create table notes (id int primary key, pad text, done boolean);
      insert into notes select n, repeat('x', 200) from generate_series(1, 5000) n; analyze notes`)
    await sql.end()
    const cwd = folder({
      'migrations/own/001_fill.sql':
        '--! phase: backfill\n--! table: public.notes\n--! pending: t.done is null\nupdate public.notes t set done = true where t.done is null;',
      'rollbacks/own/001_fill.sql': 'select 1;',
      'verify/own/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
    const part = await rethread(server.url, ['backfill', '--max-rows', '1000'], { cwd })
    expect([part.code, part.report.backfill[0]!.state]).toEqual([0, 'stopped'])
    const { port } = server
    await server.stop('fast')
    // what the replica has
    spawnSync('cp', ['-a', folderOf('primary'), folderOf('replica')])
    server = await start('primary', port)
    expect((await rethread(server.url, ['migrate'], { cwd })).code).toBe(0)
    await server.stop('immediate')
    server = await start('replica', port)
    const again = await rethread(server.url, ['migrate'], { cwd })
    expect([again.code, again.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    const after = open(server.url, 1)
    const [left] =
      await after`select count(*) filter (where done is null)::int as n, count(*)::int as all from notes`
    await after.end()
    expect(left).toEqual({ n: 0, all: 5000 })
  } finally {
    await server.stop('immediate')
    rmSync(dataDir, { recursive: true, force: true })
  }
})
