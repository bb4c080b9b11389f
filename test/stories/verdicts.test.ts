import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HazardCode } from '../../src/index.js'
import { isFault } from '../../src/model/report.js'
import { renderTable } from '../../src/render/table.js'
import { type Database, database, some } from '../support/database.js'
import { inProcess, type Said, said } from '../support/in_process.js'

/** What `verify` says it rests on, and whom it blames. */
const track = 'workspace-sessions'
const consent = { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] satisfies HazardCode[] }

const verdictLine = async (report: Said): Promise<string> =>
  (await renderTable(report as never, { color: false, verbose: false, width: 100 }))
    .split('\n')
    .find(line => line.startsWith('Verdict:'))!

const checkOf = (report: Said, name: string) => report.checks.find(c => c.check === name)!

describe.each(some('newest'))('verdicts on PostgreSQL $major', server => {
  let db: Database
  const verify = async (options: object = {}): Promise<Said> => {
    const project = await inProcess(db.url, { track })
    try {
      return await said(project.verify(options))
    } finally {
      await project.close()
    }
  }
  const migrate = async (options: object): Promise<Said> => {
    const project = await inProcess(db.url, { track })
    try {
      return await said(project.migrate(options))
    } finally {
      await project.close()
    }
  }
  beforeAll(async () => {
    db = await database(server, track, 100)
    // an application that lets everybody read everything, and has a way around its policies
    await db.sql.unsafe(`
      create function public.all_messages() returns setof public.chats language sql security definer
        set search_path = '' as 'select * from public.chats';
      create view public.every_message as select * from public.chats`)
    await migrate({})
  })
  afterAll(() => db[Symbol.asyncDispose]())

  test('after a bare migrate the line says what was not verified yet, and the database’s own faults are warnings', async () => {
    const report = await verify()
    expect(report.verdict).toBe('clean')
    expect(await verdictLine(report)).toMatch(
      /^Verdict: clean; \d+ pass, 1 found something, 1 found what was there before or is accepted, .*4 not yet applicable, (\d+ no longer applicable, )?0 skipped; isolation verified for now, and in full after 011_follow_the_session$/,
    )
    expect(checkOf(report, 'row_security').found.map(f => [f.object, f.preExisting])).toEqual([
      ['chats', true],
      ['workspaces', true],
    ])
    expect(report.tables.find(t => t.title === 'As before the first step')!.rows.map(r => r[1])).toEqual([
      'chats',
      'workspaces',
    ])
    expect(checkOf(report, 'times_unmoved')).toMatchObject({
      outcome: 'pass',
      reason: 'looked at nothing: there is no column public.chats.updated_at',
    })
    expect((await verify({ failOn: 'warn' })).verdict).toBe('attention')
  })

  test('what was changed since is an error', async () => {
    await db.sql.unsafe('grant select (name) on public.workspaces to public')
    const report = await verify({ only: ['row_security'] })
    expect(report.verdict).toBe('attention')
    expect(checkOf(report, 'row_security').found.map(f => [f.object, f.preExisting])).toEqual([
      ['chats', true],
      ['workspaces', false],
    ])
    await db.sql.unsafe('revoke select (name) on public.workspaces from public')
  })

  test('a check alone proves what its title says, and the line says that nobody tried a door', async () => {
    const clean = await verify({ only: ['orphaned_messages', 'foreign_keys_true'] })
    expect(clean.checks.map(c => c.outcome)).toEqual(['pass', 'pass'])
    expect(await verdictLine(clean)).toBe(
      'Verdict: clean; 2 pass, 0 not yet applicable, 0 skipped; isolation not yet verified: after 011_follow_the_session',
    )
    await db.sql.unsafe(`
      create table public.kept as select * from public.chat_sessions;
      alter table public.chat_sessions disable trigger all;
      delete from public.chat_sessions where id in (select session_id from public.chats where session_id is not null limit 3);
      alter table public.chat_sessions enable trigger all`)
    for (const name of ['orphaned_messages', 'foreign_keys_true', 'same_workspace']) {
      const report = await verify({ only: [name] })
      expect([name, report.verdict, checkOf(report, name).found[0]!.detail]).toEqual([
        name,
        'attention',
        expect.stringMatching(/^its session [0-9a-f-]+ does not exist$/),
      ])
      expect(checkOf(report, name).fix).toMatch(/session|workspace/)
    }
    await db.sql.unsafe(`
      alter table public.chat_sessions disable trigger all;
      insert into public.chat_sessions select * from public.kept on conflict do nothing;
      alter table public.chat_sessions enable trigger all;
      drop table public.kept`)
  })

  test('what is said of messages without a session holds: rethread backfill takes them', async () => {
    await db.sql.unsafe(`
      alter table public.chats disable trigger user;
      update public.chats set session_id = null where id in (select id from public.chats where session_id is not null limit 5);
      alter table public.chats enable trigger user`)
    const found = await verify({ only: ['orphaned_messages'] })
    expect([found.verdict, checkOf(found, 'orphaned_messages').found.length]).toEqual(['attention', 5])
    expect(checkOf(found, 'orphaned_messages').fix).toMatch(/^rethread backfill assigns/)
    const project = await inProcess(db.url, { track })
    await project.backfill({})
    await project.close()
    expect((await verify({ only: ['orphaned_messages'] })).verdict).toBe('clean')
  })

  test('after the contract phase doors from before are listed apart, and new ones are errors', async () => {
    await migrate({ phase: 'contract', consent })
    const report = await verify({ only: ['functions_closed', 'views_follow_policies', 'access'] })
    expect(report.verdict).toBe('clean')
    const found = (r: Said) =>
      [...new Set(r.checks.flatMap(c => c.found.map(f => `${c.check} ${f.object} ${f.preExisting}`)))].sort()
    expect(found(report)).toEqual([
      'access public.chats true',
      'functions_closed all_messages() true',
      'views_follow_policies every_message true',
    ])
    expect(await verdictLine(report)).not.toContain('isolation')
    await db.sql.unsafe(`
      create function public.new_door() returns bigint language sql security definer as 'select count(*) from public.chats'`)
    const opened = await verify({ only: ['functions_closed'] })
    expect(opened.verdict).toBe('attention')
    expect(found(opened)).toEqual([
      'functions_closed all_messages() true',
      'functions_closed new_door() false',
    ])
    expect(await verdictLine(opened)).toContain('isolation not looked at: access was not among the checks')
  })

  test('an adopted database’s own faults are warnings too, and what opens afterwards is an error', async () => {
    await using adopted = await database(server, track, 100)
    await adopted.sql.unsafe(`
      create function public.all_messages() returns setof public.chats language sql security definer
        set search_path = '' as 'select * from public.chats';
      create view public.every_message as select * from public.chats`)
    const project = await inProcess(adopted.url, { track })
    await project.migrate({ phase: 'contract', consent })
    await adopted.sql.unsafe('drop schema rethread cascade')
    const whole = await said(project.baseline({ to: '011' }))
    expect([whole.verdict, whole.findings.map(f => f.message)]).toEqual(['clean', []])
    const report = await said(project.verify())
    expect([report.verdict, report.checks.filter(isFault)]).toEqual(['clean', []])
    const rows = report.tables.find(t => t.title === 'As before the first step')!.rows
    expect([...new Set(rows.map(r => `${r[0]} ${r[1]}`))].sort()).toEqual([
      'access public.chats',
      'api_privileges chats',
      'functions_closed all_messages()',
      'row_security workspaces',
      'views_follow_policies every_message',
    ])
    // ours, though it was there when the database was adopted: the files make it otherwise
    await adopted.sql.unsafe('alter table public.chat_sessions disable row level security')
    const opened = await said(project.verify({ only: ['row_security'] }))
    expect(
      opened.checks.filter(isFault).flatMap(c => c.found.filter(f => !f.preExisting).map(f => f.object)),
    ).toEqual(['chat_sessions'])
  })
})
