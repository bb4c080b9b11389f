import { describe, expect, test } from 'vitest'
import { configured, first, rethread, undoAll } from '../support/cli.js'
import { database, newest, picture, some } from '../support/database.js'

describe.each(some('newest'))('guards of a rollback on PostgreSQL $major', server => {
  test('drift, a new application that writes, and the loss itself: told together, nothing touched; allowed by name it goes', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql.unsafe(`
      insert into chat_sessions (workspace_id, user_id, title) select id, owner_id, 'Mine' from workspaces where owner_id is not null limit 1;
      create index somebodys on public.chat_sessions (title)`)
    const before = await picture(db.sql)
    const refused = await rethread(db.url, ['rollback', '--all'])
    expect(refused.code).toBe(3)
    const consent = refused.report.findings.find(f => f.code === 'CONSENT_NEEDED')!
    expect([...consent.facts.missing].sort()).toEqual([
      'DELETES_DATA',
      'IGNORES_DRIFT',
      'IGNORES_RECENT_WRITES',
    ])
    expect(consent.fix).toContain(`--confirm ${db.name}`)
    expect(consent.facts.because.join('\n')).toMatch(/\+ index public.chat_sessions.somebodys/)
    expect(consent.facts.because.join('\n')).toMatch(
      /1 row of public.chat_sessions was written within the last 60 s/,
    )
    expect(await picture(db.sql)).toEqual(before)
    const plan = await rethread(db.url, ['plan', '--rollback', '--all'])
    expect(plan.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.facts).toEqual(consent.facts)
    const lines = new Map(plan.report.summary!.lines.map(l => [l.name, l.text]))
    expect(lines.get('Who waits')).toMatch(/^reads and writes of public.chats, public.chat_sessions/)
    expect(lines.get('Not tried')).not.toContain('--rehearse-url')
    await db.sql.unsafe('drop index public.somebodys')
    const down = await rethread(db.url, ['rollback', ...consent.fix!.split(' '), '--all'])
    expect([down.code, down.report.findings.map(f => f.code)]).toEqual([
      0,
      expect.arrayContaining(['ARCHIVED', 'ROLLED_BACK_EXACTLY']),
    ])
  })

  test('an hour later the application is gone: only the loss wants consent; what others changed meanwhile is named', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    await db.sql.unsafe(`
      insert into chat_sessions (workspace_id, user_id, title, updated_at) select id, owner_id, 'Mine', now() - interval '1 hour' from workspaces where owner_id is not null limit 1;
      create table public.elsewhere (id int)`)
    const down = await rethread(db.url, [
      'rollback',
      '--all',
      '--allow',
      'DELETES_DATA',
      '--confirm',
      db.name,
    ])
    expect(down.code).toBe(0)
    expect(down.report.findings.find(f => f.code === 'ROLLBACK_DIFFERS')!.facts.objects).toEqual([
      '+ column public.elsewhere.id',
      '+ grants public.elsewhere',
      '+ table public.elsewhere',
    ])
  })
})

test('the level from which hazards must be named is configured: everything that is felt, or data only', async () => {
  await using db = await database(newest(), 'trip-sessions', 300)
  const felt = configured({ consentFrom: 'felt' })
  const before = await picture(db.sql)
  const refused = await rethread(db.url, ['migrate'], { cwd: felt })
  const fix = refused.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.fix!
  expect([refused.code, fix]).toEqual([3, expect.stringMatching(/^--allow [A-Z_,]*BLOCKS_WRITES/)])
  expect(await picture(db.sql)).toEqual(before)
  expect((await rethread(db.url, ['migrate', ...fix.split(' ')], { cwd: felt })).code).toBe(0)
  const ends = await rethread(db.url, ['migrate', '--phase', 'contract'])
  expect([ends.code, ends.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.facts.missing]).toEqual([
    3,
    ['ENDS_OLD_APP'],
  ])
  const loss = await rethread(db.url, ['migrate', '--phase', 'contract'], {
    cwd: configured({ consentFrom: 'loss' }),
  })
  expect(loss.code).toBe(0)
  const wrong = await rethread(db.url, ['plan'], { cwd: configured({ consentFrom: 'often' }) })
  expect([wrong.code, wrong.report.findings[0]!.message]).toEqual([
    2,
    expect.stringMatching(/consentFrom.*felt, outage, loss/),
  ])
})

test('a protected place wants the name of its database for any rollback, and a disk that is too small is told', async () => {
  await using db = await database(newest(), 'workspace-sessions', 300)
  expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  const steps = ['rollback', '--to', '005_assign_messages']
  const cwd = configured({ protected: true })
  const refused = await rethread(db.url, steps, { cwd })
  expect([refused.code, refused.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.fix]).toEqual([
    3,
    `--confirm ${db.name}`,
  ])
  expect((await rethread(db.url, [...steps, '--confirm', db.name], { cwd })).code).toBe(0)
  const small = await rethread(db.url, ['rollback', ...undoAll(db.name)], {
    cwd: configured({ diskFreeBytes: 10 }),
  })
  expect([small.code, small.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.facts.missing]).toEqual([
    3,
    ['FILLS_DISK'],
  ])
})

test('up, down and up again: exact, drifted, failed, missing', async () => {
  const { mkdirSync, mkdtempSync, writeFileSync } = await import('node:fs')
  const dir = mkdtempSync('/tmp/rethread-updown-')
  for (const f of ['migrations', 'rollbacks', 'verify']) mkdirSync(`${dir}/${f}/own`, { recursive: true })
  const up = (name: string, sql: string) => writeFileSync(`${dir}/migrations/own/${name}.sql`, sql)
  const down = (name: string, sql: string) => writeFileSync(`${dir}/rollbacks/own/${name}.sql`, sql)
  up('001_fine', 'create table public.a (id int primary key);')
  down('001_fine', 'drop table public.a;')
  up('002_forgets', "create table public.b (id int primary key); create type public.mood as enum ('x');")
  down('002_forgets', 'drop table public.b; drop type public.mood; create table public.left_over (id int);')
  up('003_never', '--! irreversible: it was sent by mail\nalter table public.a add column sent boolean;')
  writeFileSync(`${dir}/verify/own/some.sql`, "select 'x' as object, 'y' as detail where false")
  await using db = await database(newest(), 'empty')
  const asked = await rethread(db.url, ['rollback', '--test', '--dir', dir])
  expect([asked.code, asked.report.findings.map(f => f.code)]).toEqual([3, ['CONSENT_NEEDED']])
  const ran = await rethread(db.url, ['rollback', '--test', '--dir', dir, '--confirm', db.name])
  const rows = Object.fromEntries(ran.report.tables[0]!.rows.map(r => [r[0], r[1]]))
  expect(rows).toEqual({ '001_fine': 'exact', '002_forgets': 'drifted', '003_never': 'missing' })
  expect(ran.report.tables[0]!.rows[1]![2]).toContain('+ table public.left_over')
  expect(ran.code).toBe(1)
  // past what can't be undone only by its name
  const refused = await rethread(db.url, ['rollback', '--steps', '1', '--dir', dir])
  expect([refused.code, refused.report.findings.map(f => f.code)]).toEqual([
    3,
    expect.arrayContaining(['IRREVERSIBLE', 'CONSENT_NEEDED']),
  ])
  expect(refused.report.findings.find(f => f.code === 'IRREVERSIBLE')!.fix).toBe(
    `rethread rollback --dir ${dir} --track own --to 003_never`,
  )
  const skipped = await rethread(db.url, [
    'rollback',
    '--steps',
    '1',
    '--dir',
    dir,
    '--allow',
    'SKIPS_IRREVERSIBLE',
  ])
  expect([skipped.code, skipped.report.steps[0]!.reason]).toEqual([0, 'irreversible: it was sent by mail'])
})

test('prune: a dry run first, then archived by state, deleted only by name; archives past their time', async () => {
  await using db = await database(newest(), 'trip-sessions', 300)
  const track = ['--track', 'trip-sessions']
  expect((await rethread(db.url, ['migrate', ...track])).code).toBe(0)
  const states = () => db.sql`select status, count(*)::int as n from chat_sessions group by 1 order by 1`
  const before = await states()
  const dry = await rethread(db.url, ['prune', ...track, '--older-than', '30d'])
  const found = dry.report.findings.find(f => f.code === 'PRUNABLE')!
  expect([dry.code, found.facts.count]).toEqual([0, before.reduce((n, r) => n + r.n, 0)])
  expect(await states()).toEqual(before)
  // without the flag: the configured retention, else the track's own of 90 days
  await db.sql`update chat_sessions set last_activity_at = now() - interval '60 days'`
  const counts = async (settings: Record<string, string>) =>
    first(await rethread(db.url, ['prune', ...track], { cwd: configured({ settings }) }), 'PRUNABLE').facts
      .count
  expect([await counts({}), await counts({ retention: '8w' })]).toEqual([0, found.facts.count])
  const done = await rethread(db.url, found.fix!.replace(/^rethread /, '').split(' '))
  expect([done.code, (await states()).map(r => r.status)]).toEqual([0, ['archived']])
  const none = await rethread(db.url, ['prune', ...track, '--older-than', '30d'])
  expect(first(none, 'PRUNABLE').facts.count).toBe(0)
  const remove = ['prune', ...track, '--older-than', '30d', '--apply', '--delete']
  const refused = await rethread(db.url, remove)
  expect([refused.code, await states()]).toEqual([3, await states()])
  const gone = await rethread(db.url, [
    ...remove,
    '--allow',
    'DELETES_DATA,PRUNES_MOST',
    '--confirm',
    db.name,
  ])
  expect([gone.code, await states()]).toEqual([0, []])
  for (const age of ['soon', '3000000d', '99999999999999999999w']) {
    const wrong = await rethread(db.url, ['prune', ...track, '--older-than', age])
    expect([wrong.code, wrong.report.findings[0]!.code]).toEqual([2, 'USAGE'])
  }

  expect((await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])).code).toBe(0)
  const archives = ['prune', ...track, '--archives', '--older-than', '7d']
  expect(first(await rethread(db.url, archives), 'PRUNABLE').facts.count).toBe(0)
  await db.sql`update rethread_archive.archives set at = at - interval '8 days'`
  const old = await rethread(db.url, archives)
  expect(first(old, 'PRUNABLE').facts.count).toBeGreaterThan(0)
  const dropped = await rethread(db.url, [
    ...archives,
    '--apply',
    '--allow',
    'DELETES_DATA',
    '--confirm',
    db.name,
  ])
  expect(dropped.code).toBe(0)
  expect((await db.sql`select count(*)::int as n from rethread_archive.archives`)[0]!.n).toBe(0)
})
