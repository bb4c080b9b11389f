import { expect, test } from 'vitest'
import { ended, type Ran, rethread, start, undoAll } from '../support/cli.js'
import { database, newest } from '../support/database.js'
import { folder } from '../support/folder.js'

const facts = (ran: Ran, code: string) => {
  const found = ran.report.findings.find(f => f.code === code)
  return found && { subject: found.subject, ...(found.facts as object) }
}
const next = (ran: Ran) => (facts(ran, 'NEXT_STEP') as { command?: string } | undefined)?.command
/** The last command that a reader of the terminal sees. */
const lastCommand = (text: string) =>
  text
    .split('\n')
    .flatMap(line => /^(?: {4}|Next: )(rethread .*)/.exec(line)?.[1] ?? [])
    .at(-1)

test('a night: at work, killed, gone on, rolled back, an archive that waits', {
  timeout: 240_000,
}, async () => {
  await using db = await database(newest(), 'workspace-sessions', 40_000)
  const look = () => rethread(db.url, ['status'])
  const fresh = await look()
  expect([facts(fresh, 'NOBODY_AT_WORK')?.subject, next(fresh)]).toEqual([
    'workspace-sessions',
    'rethread plan --track workspace-sessions',
  ])

  const child = start(['migrate', '--nice', '6', '--log', 'json'], { DATABASE_URL: db.url })
  const first = ended(child, false)
  const until = (seen: () => Promise<unknown>) =>
    expect.poll(() => seen().catch(() => null), { timeout: 60_000, interval: 20 }).toBeTruthy()
  const open = () =>
    db.sql`select 1 from rethread.backfills where migration = '005_assign_messages' and (pace ->> 'rowsPerSecond')::float > 0`
  await until(async () => (await open())[0])
  const [named] =
    await db.sql`select application_name as name from pg_stat_activity where application_name like 'rethread writer run %'`
  expect(named!.name).toBe('rethread writer run 1')
  const working = await look()
  expect(facts(working, 'AT_WORK')).toMatchObject({ subject: expect.stringContaining(': migrate'), run: 1 })
  expect(next(working)).toBe('rethread status --track workspace-sessions --watch')
  const backfill = working.report.backfill.at(-1)
  expect([backfill!.state, facts(working, 'HOW_FAR')]).toEqual([
    'running',
    expect.objectContaining({ backfill: backfill!.migration, rowsPerSecond: backfill!.rowsPerSecond }),
  ])
  expect(backfill!.rowsPerSecond).toBeGreaterThan(0)

  const metrics = (await rethread(db.url, ['status', '--format', 'prometheus'], { json: false })).stdout
  expect(metrics).toMatch(/^# HELP rethread_at_work .*\n# TYPE rethread_at_work gauge\nrethread_at_work 1\n/m)
  expect(metrics).toMatch(
    /^rethread_backfill_rows\{track="workspace-sessions",migration="005_assign_messages"\} \d+$/m,
  )
  // every line is one that Prometheus reads
  const line = /^(# (HELP|TYPE) rethread_\w+ .+|rethread_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.]+)$/
  expect(
    metrics
      .trimEnd()
      .split('\n')
      .filter(text => !line.test(text)),
  ).toEqual([])

  child.kill('SIGKILL')
  const events = (await first).stderr
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  // each line is of the run, from where it has a number; the last one may be cut by the kill
  expect(events.filter(e => e.type === 'run').map(e => e.run)).toEqual([1])
  expect(
    events.filter(e => e.type === 'batch').every(e => e.run === 1 && !Number.isNaN(Date.parse(e.time))),
  ).toBe(true)
  await until(
    async () =>
      (await db.sql`select 1 from pg_stat_activity where application_name like 'rethread writer%'`).length ===
      0,
  )
  const killed = await look()
  expect(facts(killed, 'RUN_KILLED')).toMatchObject({ run: 1 })
  expect(JSON.stringify(killed.report)).not.toContain('"running"')
  expect([killed.report.backfill.at(-1)!.state, next(killed)]).toEqual([
    'stopped',
    'rethread migrate --track workspace-sessions',
  ])
  const shown = await rethread(db.url, ['status'], { json: false })
  // the answer first: before any table, and its command again as the last thing to read
  expect(shown.stdout.split('\n\n')[1]).toMatch(
    /^! No run is at work: .* was killed[\s\S]* applied[\s\S]*The next step/,
  )
  expect(lastCommand(shown.stdout)).toBe(next(killed))

  const watching = start(['status', '--watch'], { DATABASE_URL: db.url })
  const watched = ended(watching, false)
  let seen = ''
  watching.stdout!.on('data', chunk => {
    seen += chunk
  })
  await until(async () => seen.split('Verdict:').length > 2)
  watching.kill('SIGINT')
  expect((await watched).code).toBe(1)

  const done = await rethread(db.url, ['migrate'])
  expect(done.code).toBe(0)
  const outcomes = await db.sql`select outcome from rethread.runs where command = 'migrate' order by id`
  expect(outcomes.map(r => r.outcome)).toEqual(['killed', 'clean'])
  const applied = await look()
  expect([facts(applied, 'NOT_DRIFTED')?.subject, next(applied)]).toEqual([
    'workspace-sessions',
    'rethread plan --track workspace-sessions --phase contract',
  ])
  await db.sql`alter table public.chat_sessions add column colour text`
  expect(facts(await look(), 'DRIFT')).toBeDefined()
  await db.sql`alter table public.chat_sessions drop column colour`

  await db.sql`
    insert into public.chat_sessions (id, workspace_id, user_id, title)
    select gen_random_uuid(), workspace_id, user_id, 'made by a person' from public.chat_sessions limit 3`
  expect((await rethread(db.url, ['rollback', ...undoAll(db.name)])).code).toBe(0)
  const undone = await look()
  const waiting = facts(undone, 'ARCHIVE_WAITING') as unknown as {
    rows: number
    made: number
    command: string
  }
  expect([waiting.made, waiting.rows > 3]).toEqual([3, true])
  expect(waiting.command).toMatch(/^rethread restore r\d+ --track workspace-sessions$/)
  expect(undone.report.backfill.filter(b => b.state === 'done')).toEqual([])
  // what was rolled back is to be applied again, and its names are free
  const doctor = await rethread(db.url, ['doctor', '--track', 'workspace-sessions'])
  expect([facts(doctor, 'FITS')?.subject, facts(doctor, 'ALREADY_EXISTS')]).toEqual([
    'workspace-sessions',
    undefined,
  ])
  const again = await rethread(db.url, ['migrate'], { json: false })
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining(waiting.command)])
  // what is held comes last, and is not entered while something is to do
  const plan = await rethread(db.url, ['plan'], { json: false })
  expect(lastCommand(plan.stdout)).toMatch(/^rethread migrate .*--phase contract/)
  expect(
    (await rethread(db.url, waiting.command.split(' ').slice(1))).report.findings.map(f => f.code),
  ).not.toContain('ARCHIVE_WAITING')
  expect(facts(await look(), 'ARCHIVE_WAITING')).toBeUndefined()
})

test('finished backfills have one budget: what a busy machine takes longer for is looked at, and one slow question leaves little to the others', async () => {
  const note = (n: number) => `--! phase: backfill
--! table: public.notes
--! pending: case when public.waits() then n.a${n} is null end
--! undone-by: 1_add
update public.notes n set a${n} = 'x' where n.a${n} is null;`
  const cwd = folder({
    'migrations/mine/1_add.sql': 'alter table public.notes add column a1 text, add column a2 text;',
    'migrations/mine/2_fill.sql': note(1),
    'migrations/mine/3_fill.sql': note(2),
    'rollbacks/mine/1_add.sql': 'alter table public.notes drop column a1, drop column a2;',
    'verify/mine/some.sql': '--! title: some notes\nselect 1 as object, 2 as detail where false',
  })
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(`create table public.notes (id int primary key); insert into public.notes values (1);
    create table public.slow (seconds float); insert into public.slow values (0);
    create function public.waits() returns boolean language plpgsql as $f$ begin
      perform pg_sleep((select seconds from public.slow)); return true; end $f$`)
  const migrated = await rethread(db.url, ['migrate', '--allow', 'CANNOT_TELL'], { cwd })
  expect([migrated.code, migrated.report.verdict]).toEqual([0, 'clean'])
  const unknown = async (seconds: number) => {
    await db.sql`update public.slow set seconds = ${seconds}`
    const { report } = await rethread(db.url, ['status'], { cwd })
    return report.findings.flatMap(f => (f.code === 'NOT_RECHECKED' ? [(f.facts as { ms: number }).ms] : []))
  }
  expect(await unknown(0.7)).toEqual([])
  if (!process.env.RETHREAD_SOAK) return
  const [first, second] = await unknown(4)
  expect([first! > 2500, second]).toEqual([true, 100])
})
