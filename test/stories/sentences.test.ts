import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { contract, ended, type Ran, rethread, start } from '../support/cli.js'
import { database, inTurn, newest, open, servers } from '../support/database.js'
import { folder } from '../support/folder.js'

/** A track with these files in migrations/mine; every rollback does nothing. */
const track = (migrations: Record<string, string>, more: Record<string, string> = {}): string =>
  folder({
    ...Object.fromEntries(
      Object.entries(migrations).flatMap(([name, text]) => [
        [`migrations/mine/${name}.sql`, text],
        [`rollbacks/mine/${name}.sql`, 'select 1;'],
      ]),
    ),
    'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    ...more,
  })

describe.each(servers())('what is said of a run on PostgreSQL $major is so', server => {
  const test = inTurn(server)

  test('a blocker is shown by its statement, without literals, comments and bodies, every letter in its place', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `create table public.sessions (status text, class text); insert into public.sessions values ('a', 'b')`,
    )
    const other = open(db.url, 1)
    const holding = other.begin(async tx => {
      await tx.unsafe(
        `select status, class   from public.sessions -- for Grace's eyes only\n where class <> 's3cret' and status <> $s$s3cret too$s$ for update`,
      )
      await tx.unsafe(`select pg_sleep(600), 'my password', status as passes from public.sessions`)
    })
    const sleeping = () =>
      db.sql<{ pid: number }[]>`
        select pid from pg_stat_activity
        where datname = ${db.name} and wait_event = 'PgSleep' and xact_start < now() - interval '1500ms'`
    await expect.poll(sleeping, { timeout: 30_000 }).toHaveLength(1)
    const cwd = track({ '1_add': 'alter table public.sessions add column passes int;' })
    const planned = await rethread(db.url, ['plan'], { cwd })
    const ran = await rethread(db.url, ['migrate'], { cwd: configuredFor(cwd, { lockBudgetSeconds: 1 }) })
    const [holder] = await sleeping()
    // its end may arrive before the answer to who ends it
    const ended = expect(holding).rejects.toThrow('canceling statement')
    await db.sql`select pg_cancel_backend(${holder!.pid})`
    await ended
    await other.end()
    const now = planned.report.findings.find(f => f.code === 'BLOCKER_NOW')
    expect(now?.message).toContain('select pg_sleep(…), …, status as passes from public.sessions')
    expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([2, ['LOCK_TIMEOUT']])
    expect(ran.report.findings[0]!.message).toContain(
      'select pg_sleep(…), …, status as passes from public.sessions',
    )
    expect(ran.stdout + ran.stderr + planned.stdout).not.toMatch(/password|s3cret|Grace/)
  })

  test('who holds a table of a copy of the database, whose tables have the same OIDs, is not in the way', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe('create table public.notes (id int)')
    const cwd = track({ '1_add': 'alter table public.notes add column passes int;' })
    await db.sql.end()
    const admin = open(server.url, 1)
    await admin.unsafe(`create database ${db.name}_copy template ${db.name}`)
    const holding = async (url: string) => {
      const other = open(url, 1)
      const [row] = await other`select 'public.notes'::regclass::oid::int as oid`
      let letGo = () => {}
      const held = other.begin(async tx => {
        await tx.unsafe('lock table public.notes in share mode')
        await new Promise<void>(done => {
          letGo = done
        })
      })
      await new Promise(done => setTimeout(done, 1500))
      const { report } = await rethread(db.url, ['plan'], { cwd })
      letGo()
      await held
      await other.end()
      return {
        oid: row!.oid,
        named: report.findings.filter(f => f.code === 'BLOCKER_NOW').map(f => f.subject),
      }
    }
    const copy = new URL(db.url)
    copy.pathname += '_copy'
    const there = await holding(copy.href)
    await admin.unsafe(`drop database ${db.name}_copy`)
    await admin.end()
    const here = await holding(db.url)
    expect([there, here]).toEqual([
      { oid: here.oid, named: [] },
      { oid: here.oid, named: ['notes'] },
    ])
  })

  test('only the triggers that a backfill fires are named', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table public.notes (id int primary key, colour text, size int);
      insert into public.notes select n from generate_series(1, 10) n;
      create function public.note() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger on_insert before insert on public.notes for each row execute function public.note();
      create trigger on_delete before delete on public.notes for each row execute function public.note();
      create trigger on_size before update of size on public.notes for each row execute function public.note();
      create trigger on_colour before update of colour, size on public.notes for each row execute function public.note();
      create trigger on_update after insert or update on public.notes for each row execute function public.note();
      create trigger is_off before update on public.notes for each row execute function public.note();
      alter table public.notes disable trigger is_off`)
    const fired = async (statement: string) => {
      const cwd = track({ '1_fill': `--! table: public.notes\n--! pending: n.colour is null\n${statement}` })
      const { report } = await rethread(db.url, ['plan'], { cwd })
      const found = report.findings.find(f => f.code === 'FIRING_TRIGGERS')
      return found?.code === 'FIRING_TRIGGERS'
        ? found.facts.triggers.map(t => /on_\w+|is_off/.exec(t)![0]).sort()
        : []
    }
    expect(await fired(`update public.notes n set colour = 'red' where n.colour is null`)).toEqual([
      'on_colour',
      'on_update',
    ])
    expect(await fired('delete from public.notes n where n.colour is null')).toEqual(['on_delete'])
    expect(
      await fired(
        `insert into public.notes (id) select n.id + 100 from public.notes n where n.colour is null`,
      ),
    ).toEqual(['on_insert', 'on_update'])
    expect(
      await fired(
        `insert into public.notes (id) select n.id from public.notes n where n.colour is null on conflict (id) do update set size = 1`,
      ),
    ).toEqual(['on_colour', 'on_insert', 'on_size', 'on_update'])
  })

  test('a constraint without a name has none in the plan', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe('create table public.notes (id int primary key, size int)')
    const cwd = track({ '1_check': 'alter table public.notes add check (size > 0);' })
    const { code, report, stdout } = await rethread(db.url, ['plan'], { cwd })
    expect([code, report.steps[0]!.hazards.map(h => h.detail)]).toEqual([
      0,
      expect.arrayContaining([expect.stringMatching(/^ADD CONSTRAINT checks every row/)]),
    ])
    expect(stdout).not.toContain('undefined')
  })

  test('where the rows are at fault, nobody is sent to the file', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `create table public.notes (id int, size int); insert into public.notes values (1, 1), (1, 2)`,
    )
    const said = async (sql: string, before = '') => {
      if (before) await db.sql.unsafe(before)
      const { report } = await rethread(db.url, ['migrate', '--allow', 'CANNOT_TELL'], {
        cwd: track({ '1_do': sql }),
      })
      return report.findings.filter(f => f.level === 'error').map(f => `${f.code}: ${f.fix}`)[0]
    }
    expect(await said('create unique index notes_id on public.notes (id);')).toMatch(
      /^SQL_ERROR: .*The rows do not fit/,
    )
    expect(await said(`do $$ begin execute 'selec 1'; end $$;`)).toMatch(/^SQL_ERROR: .*Fix the file/)
    expect(await said(`do $$ begin raise exception 'closed on Sundays'; end $$;`)).toMatch(
      /^SQL_ERROR: .*The database refuses it/,
    )
  })

  test('a check that cannot run says where, and one that returns something else is none', async () => {
    await using db = await database(server, 'empty')
    const cwd = track(
      { '1_do': 'select 1;' },
      {
        'verify/mine/typo.sql': `--! title: Typo\n\nselect 'x' as object,\n  wher as detail`,
        'verify/mine/other.sql': 'select 1 as id, 2 as size where false',
        'verify/mine/half.sql': `select 'x' as object`,
        'verify/mine/right.sql': `select 'x' as object, 'y' as detail where false`,
      },
    )
    expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
    const { report } = await rethread(db.url, ['verify', '--only', 'typo,other,half,right'], { cwd })
    expect(report.checks.map(c => [c.check, c.outcome, c.reason])).toEqual(
      expect.arrayContaining([
        ['typo', 'failed', '42703: column "wher" does not exist, at verify/mine/typo.sql:4'],
        ['other', 'failed', 'it returns id, size, and a check returns object and detail'],
        ['half', 'failed', 'it returns object, and a check returns object and detail'],
        ['right', 'pass', null],
      ]),
    )
  })

  test('a check that lacks a right says so, and does not speak of rows that it cannot see', async () => {
    await using db = await database(server, 'empty')
    const role = `checker_${db.name}`
    await db.sql.unsafe(`
      create role ${role} login; create table public.notes (id int); create table public.shown (id int);
      alter table public.shown enable row level security; grant select on public.shown to ${role}`)
    const cwd = track(
      { '1_do': 'select 1;' },
      {
        'verify/mine/denied.sql': `select id::text as object, '' as detail from public.notes`,
        'verify/mine/hidden.sql': `select id::text as object, '' as detail from public.shown`,
      },
    )
    expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
    await db.sql.unsafe(
      `grant usage on schema rethread to ${role}; grant select on all tables in schema rethread to ${role};
      grant usage on schema rethread_archive to ${role}; grant select on all tables in schema rethread_archive to ${role}`,
    )
    const url = new URL(db.url)
    url.username = role
    const { report } = await rethread(url.toString(), ['verify'], { cwd })
    const said = Object.fromEntries(
      report.findings.filter(f => f.code === 'CHECK_FAILED').map(f => [f.subject, f.message]),
    )
    expect(said).toEqual({
      denied: expect.stringMatching(/permission denied for table notes \(this role lacks a right/),
      hidden: expect.stringMatching(/row-level security.*cannot see every row/),
    })
    await db.sql.unsafe(`drop owned by ${role}; drop role ${role}`)
  })

  test('a table that another session drops meanwhile is not the statement’s doing', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      'create table public.notes (id int); create table public.passing (id int); create table public.kept (id int, n int)',
    )
    const cwd = track({ '1_do': 'do $$ begin perform pg_sleep(2); end $$; drop table public.notes;' })
    const running = rethread(db.url, ['migrate', '--allow', 'CANNOT_TELL,DELETES_DATA'], { cwd })
    for (;;) {
      const [row] =
        await db.sql`select count(*)::int as n from pg_stat_activity where datname = current_database() and query like '%pg_sleep(2)%' and pid <> pg_backend_pid()`
      if (row!.n > 0) break
      await new Promise(done => setTimeout(done, 20))
    }
    await new Promise(done => setTimeout(done, 300))
    await db.sql.unsafe('drop table public.passing; alter table public.kept drop column n')
    const ran = await running
    expect([ran.report.findings.filter(f => f.level === 'error').map(f => f.message), ran.code]).toEqual([
      [],
      0,
    ])
  })

  test('a rehearsal on the target refuses what the run itself would refuse', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe('create table public.notes (id int); create table public.other (id int)')
    const cwd = track({ '1_do': 'do $$ begin drop table public.notes; end $$;' })
    const { report, code } = await rethread(db.url, ['plan', '--rehearse'], { cwd })
    expect([code, report.findings.filter(f => f.code === 'DESTROYS_UNARCHIVED').map(f => f.subject)]).toEqual(
      [1, ['public.notes']],
    )
    const named = track({ '1_do': 'drop table public.notes;' })
    const good = await rethread(db.url, ['plan', '--rehearse'], { cwd: named })
    expect(good.report.steps.map(s => s.outcome)).toEqual(['rolled-back'])
    expect((await db.sql`select to_regclass('public.notes') is not null as there`)[0]!.there).toBe(true)
  })
})

test('rows that were taken out are not called still in place', async () => {
  await using db = await database(newest(), 'workspace-sessions')
  const expanded = await rethread(db.url, ['migrate'])
  const aside = expanded.report.findings.filter(f => f.code === 'QUARANTINED')
  expect(aside.map(f => f.message)).toEqual([expect.stringContaining('They are still in the table.')])
  const done = await rethread(db.url, ['migrate', ...contract])
  const taken = done.report.findings.filter(f => f.code === 'QUARANTINED')
  expect(taken.map(f => f.message)).toEqual([
    expect.stringMatching(/were taken out of .* a rollback of .* puts them back/),
  ])
  await using whole = await database(newest(), 'workspace-sessions')
  const inOneRun = await rethread(whole.url, ['migrate', ...contract])
  expect(inOneRun.report.findings.filter(f => f.code === 'QUARANTINED').map(f => f.message)).toEqual(
    taken.map(f => f.message),
  )
})

test('Ctrl-C in the wait for another run is an interruption', async () => {
  await using db = await database(newest(), 'empty')
  const cwd = track({ '1_wait': 'do $$ begin perform pg_advisory_xact_lock(7); end $$;' })
  const run = (...flags: string[]) =>
    start(['migrate', '--allow', 'CANNOT_TELL', '--format', 'json', ...flags], { DATABASE_URL: db.url }, cwd)
  let first: Promise<Ran> | undefined
  await db.sql.begin(async tx => {
    await tx`select pg_advisory_xact_lock(7)`
    first = ended(run())
    const waiting = () =>
      db.sql`select 1 from pg_locks where locktype = 'advisory' and objid = 7 and not granted`
    await expect.poll(waiting, { timeout: 30_000 }).toHaveLength(1)
    const second = run('--log', 'json')
    const secondEnded = ended(second)
    let events = ''
    second.stderr!.on('data', chunk => {
      events += chunk
    })
    await expect.poll(() => events, { timeout: 30_000 }).toContain('"type":"wait"')
    second.kill('SIGINT')
    const { code, report } = await secondEnded
    expect([code, report.verdict, report.findings.map(f => f.code)]).toEqual([
      130,
      'interrupted',
      ['INTERRUPTED'],
    ])
  })
  expect((await first)!.code).toBe(0)
})

test('a text that belongs to a global flag is not the command', async () => {
  const named = async (...args: string[]) => {
    const { report } = await rethread('', args)
    return [report.command, report.findings.map(f => f.code)]
  }
  expect(await named('--reason', 'plan', '--track', 'demo', 'status')).toEqual([
    'status',
    ['NO_DATABASE_URL'],
  ])
  expect(await named('status', '--reason', 'migrate')).toEqual(['status', ['NO_DATABASE_URL']])
})

/** The folder with a configuration of its own. */
function configuredFor(cwd: string, config: object): string {
  writeFileSync(join(cwd, 'rethread.config.json'), JSON.stringify(config))
  return cwd
}
