import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect, promisify } from 'node:util'
import { expect, test } from 'vitest'
import { type Event, Failure, type OpenedProject, openProject, type Report, render } from '../src/index.js'
import { rethread } from './support/cli.js'
import { database, newest, root } from './support/database.js'
import { folder } from './support/folder.js'

const run = promisify(execFile)

/**
 * What must be the same in a report, whoever asked for it: all but times, sizes, what is said of the
 * door, the strain that other tests put on the server at one of the two moments, and who held a table then.
 */
function gist(report: Pick<Report, 'command' | 'verdict' | 'steps' | 'checks' | 'tables' | 'findings'>) {
  const skipped = ['Where values come from', 'Last runs', 'Backfills', 'Tables touched', 'Sizes', 'Rehearsed']
  return {
    command: report.command,
    verdict: report.verdict,
    steps: report.steps.map(s => [s.migration, s.direction, s.outcome, s.reason, s.hazards.length]),
    checks: report.checks.map(c => [c.check, c.outcome, c.found.map(f => f.key)]),
    tables: report.tables
      .filter(t => !skipped.includes(t.title))
      .map(t => [t.title, t.columns, t.title === 'Who waits' ? t.rows : t.rows.length]),
    findings: report.findings
      .filter(f => f.code !== 'SERVER_STRAINED' && f.code !== 'BLOCKER_NOW')
      .map(f => [f.code, f.level, f.subject]),
  }
}

test('each verb gives the report of its command, with the defaults of the command line', {
  timeout: 300_000,
}, async () => {
  await using db = await database(newest())
  const project = await openProject({ databaseUrl: db.url })
  const same = async (args: string[], verb: (project: OpenedProject) => Promise<Report>) => {
    const { report } = await rethread(db.url, args)
    expect([args, gist(await verb(project))]).toEqual([args, gist(report)])
  }
  await same(['doctor'], p => p.doctor())
  await same(['status'], p => p.status())
  await same(['plan'], p => p.plan())
  await same(['plan', '--phase', 'contract', '--no-backfill'], p =>
    p.plan({ phase: 'contract', backfills: false }),
  )
  await same(['plan', '--sample'], p => p.plan({ sample: true }))
  await same(['plan', '--rehearse'], p => p.plan({ rehearse: true }))
  await same(['migrate', '--baseline', '003'], p => p.baseline({ to: '003' }))
  await same(['migrate', '--phase', 'contract'], p => p.migrate({ phase: 'contract' }))
  await same(['backfill'], p => p.backfill())
  await same(['verify'], p => p.verify())
  await same(['verify', '--list'], p => p.listChecks())
  await same(['verify', '--mutants'], p => p.testChecks())
  await same(['rollback'], p => p.rollback({}))
  await same(['rollback', '--test'], p => p.testRollbacks())
  expect((await project.migrate()).verdict).toBe('clean')
  await same(['migrate'], p => p.migrate())
  await same(['status'], p => p.status())
  await same(['backfill', '--status'], p => p.backfillStatus())
  await project.pauseBackfills()
  await same(['backfill', '--pause'], p => p.pauseBackfills())
  await same(['verify'], p => p.verify())
  await same(['verify', '--only', 'columns', '--fail-on', 'warn'], p =>
    p.verify({ only: ['columns'], failOn: 'warn' }),
  )
  await same(['verify', '--only', 'nothing'], p => p.verify({ only: ['nothing'] }))
  await same(['prove'], p => p.prove())
  // more sessions, and one with more messages, than are shown by default
  await db.sql`insert into chat_sessions (workspace_id, user_id)
    select workspace_id, user_id from chat_sessions, generate_series(1, 60) limit 60`
  const [{ id, user, messages }] = (await db.sql`
    select s.id, s.user_id as user, count(*)::int as messages from chat_sessions s join chats c on c.session_id = s.id
    group by s.id order by count(*) desc limit 1`) as unknown as [
    { id: string; user: string; messages: number },
  ]
  expect(messages).toBeGreaterThan(20)
  await same(['sessions', 'list'], p => p.sessions())
  await same(['sessions', 'list', '--user', user, '--limit', '3'], p =>
    p.sessions({ filter: { user: [user] }, limit: 3 }),
  )
  await same(['sessions', 'show', id], p => p.session({ id }))
  await same(['sessions', 'count', '--since', '1d'], p => p.countSessions({ since: '1d' }))
  await same(['sessions', 'export', id], p => p.exportSession({ id }))
  await same(['sessions', 'recover', id], p => p.recoverSession({ id }))
  await same(['sessions', 'show', 'nobody'], p => p.session({ id: 'nobody' }))
  await same(['quarantine', 'list'], p => p.listQuarantine())
  await same(['quarantine', 'show', '1'], p => p.showQuarantined({ id: '1' }))
  await same(['quarantine', 'show', 'f1'], p => p.showQuarantined({ id: 'f1' }))
  // the backfills are paused: what is released would wait
  await same(['quarantine', 'retry', '--reason', 'a reason of no row'], p =>
    p.retryQuarantined({ reason: 'a reason of no row' }),
  )
  await same(['quarantine', 'assign', '--workspace', '00000000-0000-4000-8000-000000000000'], p =>
    p.assignQuarantined({ workspace: '00000000-0000-4000-8000-000000000000' }),
  )
  await same(['stats'], p => p.stats())
  await same(['prune', '--older-than', '30d', '--delete'], p => p.prune({ olderThanDays: 30, delete: true }))
  await same(['prune', '--older-than', '30d', '--archives'], p =>
    p.prune({ olderThanDays: 30, archives: true }),
  )
  await same(['plan', '--rollback'], p => p.planRollback())
  await same(['plan', '--rollback', '--steps', '2'], p => p.planRollback({ steps: 2 }))
  await same(['rollback', '--all'], p => p.rollback({ all: true }))
  await same(['restore', '--list'], p => p.listArchives())
  await same(['restore', 'r99'], p => p.restore({ archive: 'r99' }))
})

test('a pinned plan holds migrate to it, and consent is given by name', async () => {
  await using db = await database(newest())
  const project = await openProject({ databaseUrl: db.url, track: 'workspace-sessions' })
  const { pin } = await project.plan({ to: '002', pin: true })
  const migrated = await project.migrate({ pin })
  expect([migrated.verdict, migrated.steps.length]).toEqual(['clean', 2])
  const again = await project.migrate({ pin, to: '004' })
  expect([again.verdict, again.findings[0]!.code]).toEqual(['refused', 'PLAN_CHANGED'])
  const broken = await project.migrate({ pin: { ...pin!, major: 'new' as never } })
  expect([broken.verdict, broken.findings]).toEqual([
    'failed',
    [expect.objectContaining({ code: 'BAD_PIN', facts: { reason: 'major: wants number' } })],
  ])
  const all = { all: true, consent: { allow: ['DELETES_DATA' as const], confirm: 'another' } }
  expect((await project.rollback(all)).verdict).toBe('refused')
  const undone = await project.rollback({ ...all, consent: { ...all.consent, confirm: db.name } })
  expect([undone.verdict, undone.steps.map(s => s.outcome)]).toEqual(['clean', ['done', 'done']])
})

test.each<[string, (project: OpenedProject) => Promise<Report>, string]>([
  ['a value that nobody knows', p => p.migrate({ backfill: false } as never), 'unknown `backfill`'],
  [
    'a verb that takes nothing',
    p => (p.status as (x: object) => Promise<Report>)({ deep: true }),
    'unknown `deep`',
  ],
  ['a phase', p => p.migrate({ phase: 'later' as never }), 'phase: one of expand, backfill, contract'],
  ['a count', p => p.migrate({ workers: 1.5 }), 'workers: wants int'],
  ['a pace', p => p.backfill({ nice: 101 }), 'nice: from 0 to 100'],
  [
    'a hazard',
    p => p.rollback({ all: true, consent: { allow: ['ALL' as never] } }),
    'consent.allow.0: a hazard',
  ],
  ['nothing where an archive is needed', p => p.restore({} as never), 'archive: wants string'],
  [
    'an old application without a rehearsal',
    p => p.plan({ oldApp: 'select 1' }),
    '`oldApp` wants `rehearse`',
  ],
  ['archives without an age', p => p.prune({ archives: true }), '`olderThanDays` is needed'],
  [
    'a filter that the track does not have',
    p => p.sessions({ filter: { planet: ['x'] } }),
    'have no such filter',
  ],
])('wrong usage is thrown before anything is done: %s', async (_, verb, reason) => {
  await using db = await database(newest())
  const project = await openProject({ databaseUrl: db.url, track: 'workspace-sessions' })
  const error = await verb(project).catch(e => e)
  expect(error).toBeInstanceOf(Failure)
  expect([error.finding.code, error.message]).toEqual(['USAGE', expect.stringContaining(reason)])
  const [there] = await db.sql`select to_regnamespace('rethread') is null as absent`
  expect(there!.absent).toBe(true)
})

test('a project that cannot be opened says which option is wrong', async () => {
  const databaseUrl = 'postgres://localhost/chat'
  const wrong = async (options: object) => {
    const error = await openProject(options as never).then(
      () => null,
      (e: { finding: { code: string }; message: string }) => e,
    )
    return [error!.finding.code, error!.message.replace(/^.*?: /, '')]
  }
  expect(await wrong({})).toEqual(['USAGE', expect.stringContaining('either a databaseUrl')])
  expect(await wrong({ databaseUrl: '' })).toEqual(['USAGE', expect.stringContaining('either a databaseUrl')])
  expect(await wrong({ databaseUrl, embedded: true })).toEqual(['USAGE', expect.stringContaining('either')])
  expect(await wrong({ databaseUrl, url: '' })).toEqual([
    'USAGE',
    'openProject(): the document: unknown `url`',
  ])
  expect(await wrong({ databaseUrl, onEvent: 'log' })).toEqual([
    'USAGE',
    'openProject(): onEvent: a function',
  ])
  expect(await wrong({ databaseUrl: 'mysql://localhost/chat' })).toEqual([
    'BAD_URL',
    'mysql://localhost/chat: it starts with `mysql://`',
  ])
  expect(await wrong({ databaseUrl, dir: '/no/such/folder' })).toEqual(['NO_TRACKS', '/no/such/folder'])
  expect(await wrong({ databaseUrl, config: '/no/such/file.json' })).toEqual([
    'BAD_CONFIG',
    '/no/such/file.json: there is no such file',
  ])
  expect(await wrong({ databaseUrl, config: { lockTimeoutMs: 9000 } })).toEqual([
    'BAD_CONFIG',
    expect.stringContaining('lockTimeoutMs: stay under 80 ms'),
  ])
  expect(await wrong({ databaseUrl, settings: { 'a; drop': 'x' } })).toEqual([
    'BAD_CONFIG',
    expect.stringContaining('a setting is lower_case'),
  ])
})

test('what files and servers say is a report, and no report or project shows the password', async () => {
  const secret = 'hunter2hunter2'
  const away = await openProject({
    databaseUrl: `postgres://me:${secret}@127.0.0.1:1/chat`,
    track: 'helper-chats',
  })
  const report = await away.migrate()
  expect([report.verdict, report.findings.map(f => f.code)]).toEqual(['failed', ['NO_SERVER']])
  expect(inspect(away, { depth: 5, showHidden: true }) + JSON.stringify(report)).not.toContain(secret)
  await using db = await database(newest())
  const dir = folder({
    'migrations/mine/001_a.sql': 'select 1;\n',
    'migrations/mine/x.sql': 'select 1;\n',
  })
  const faulty = await (await openProject({ databaseUrl: db.url, dir })).migrate()
  expect([faulty.verdict, faulty.findings.map(f => f.code).sort()]).toEqual([
    'failed',
    ['BAD_FILE_NAME', 'MISSING_ROLLBACK', 'MISSING_VERIFY'],
  ])
  expect(await render(faulty, 'markdown')).toContain('MISSING_ROLLBACK')
  expect(JSON.parse(await render(faulty, 'json')).findings[0].message).toBeTruthy()
})

test('configuration and settings are those that are given, and go to the runs and the files', async () => {
  await using db = await database(newest())
  const file = join(mkdtempSync('/tmp/rethread-config-'), 'rethread.config.json')
  writeFileSync(
    file,
    JSON.stringify({ track: 'workspace-sessions', settings: { legacy_grouping: 'planet' } }),
  )
  const refused = await (await openProject({ databaseUrl: db.url, config: file })).migrate()
  expect([refused.verdict, refused.findings.map(f => [f.code, f.subject])]).toEqual([
    'refused',
    [['BAD_SETTING', 'settings.legacy_grouping']],
  ])
  const project = await openProject({
    databaseUrl: db.url,
    config: file,
    settings: { legacy_grouping: 'author' },
    reason: 'release 42',
    who: 'deployer',
  })
  expect((await project.migrate({ to: '001' })).verdict).toBe('clean')
  const runs = await db.sql`select who, reason, command, outcome from rethread.runs`
  expect([...runs]).toEqual([{ who: 'deployer', reason: 'release 42', command: 'migrate', outcome: 'clean' }])
})

test('an error of the event handler ends no run, and is thrown when the run has finished', async () => {
  await using db = await database(newest())
  let calls = 0
  const project = await openProject({
    databaseUrl: db.url,
    onEvent: () => {
      calls++
      throw new Error('the log is full')
    },
  })
  await expect(project.migrate()).rejects.toThrow('the log is full')
  expect(calls).toBe(1)
  const [run] = await db.sql`select outcome from rethread.runs`
  expect(run!.outcome).toBe('clean')
})

test('a statement of a migration may use as many cores as there are workers, from either door', async () => {
  await using db = await database(newest(), 'empty')
  const say = (name: string) => `-- locks: none
do $$ begin
    raise notice '${name} %', current_setting('max_parallel_maintenance_workers');
  end $$;`
  const dir = folder({
    'migrations/mine/001_a.sql': say('a'),
    'migrations/mine/002_b.sql': say('b'),
    'migrations/mine/003_c.sql': say('c'),
    'rollbacks/mine/001_a.sql': 'select 1;',
    'rollbacks/mine/002_b.sql': 'select 1;',
    'rollbacks/mine/003_c.sql': 'select 1;',
    'verify/mine/nothing.sql': 'select null as object, null as detail where false;',
  })
  const notices: string[] = []
  const onEvent = (event: Event) => event.type === 'notice' && notices.push(event.text)
  const project = await openProject({ databaseUrl: db.url, dir, onEvent })
  await project.migrate({ to: '001' })
  await project.migrate({ to: '002', workers: 3 })
  const { stderr } = await rethread(db.url, ['migrate', '--dir', dir, '--workers', '2', '--verbose'])
  expect([notices, /notice: (.*)/.exec(stderr)![1]]).toEqual([['a 0', 'b 2'], 'c 1'])
})

test('verify that is stopped says so, with what it did not look at; it is never clean', async () => {
  await using db = await database(newest())
  expect((await (await openProject({ databaseUrl: db.url })).migrate()).verdict).toBe('clean')
  const stop = new AbortController()
  const events: Event[] = []
  const project = await openProject({
    databaseUrl: db.url,
    signal: stop.signal,
    onEvent: event => {
      events.push(event)
      if (events.length === 3) stop.abort()
    },
  })
  const { verdict, checks, findings } = await project.verify({ deep: true, sample: 2 })
  expect([verdict, findings.map(f => f.code)]).toEqual([
    'interrupted',
    expect.arrayContaining(['INTERRUPTED']),
  ])
  expect(events.every(e => e.type === 'check')).toBe(true)
  const skipped = checks.filter(c => c.reason === 'interrupted before it ran')
  expect(skipped.length).toBeGreaterThan(checks.length / 2)
  expect(checks.some(c => c.outcome === 'pass')).toBe(true)
  expect((await project.prove()).verdict).toBe('interrupted')
})

test('testing the checks, when it is stopped, blames and praises no check for what it did not try', async () => {
  await using db = await database(newest())
  expect((await (await openProject({ databaseUrl: db.url })).migrate()).verdict).toBe('clean')
  const stop = new AbortController()
  const project = await openProject({
    databaseUrl: db.url,
    signal: stop.signal,
    onEvent: event => event.type === 'check' && event.index === 3 && stop.abort(),
  })
  const { verdict, findings, tables } = await project.testChecks({ consent: { confirm: db.name } })
  expect([verdict, findings.map(f => f.code)]).toEqual(['interrupted', ['MUTANTS', 'INTERRUPTED']])
  expect(tables[0]!.rows.length).toBe(2)
})

test('an embedded server is stopped by close, and a closed project does nothing more', async () => {
  const home = mkdtempSync('/tmp/rethread-embedded-')
  // as root the server runs as another user, who must reach its data
  chmodSync(home, 0o755)
  const program = `
    import { openProject } from ${JSON.stringify(join(root, 'dist/index.js'))}
    const project = await openProject({ embedded: true, track: 'workspace-sessions' })
    console.log((await project.status()).verdict, new URL(project.embeddedUrl).hostname)
    await project.close()
    console.log(await project.status().catch(e => e.message))
    const again = await openProject({ databaseUrl: project.embeddedUrl, track: 'workspace-sessions' })
    console.log((await again.status()).findings.map(f => f.code).join())`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: home })
  expect(stdout.trim().split('\n')).toEqual([
    'attention 127.0.0.1',
    'USAGE: status(): the project is closed',
    'NO_SERVER',
  ])
})
