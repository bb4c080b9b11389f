import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { findingsOf } from '../../src/model/failure.js'
import { emptyReport } from '../../src/model/report.js'
import { rethread } from '../support/cli.js'
import { database, newest, root, some } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, type Said, said, sentenceOf } from '../support/in_process.js'
import { proxy } from '../support/proxy.js'

/** Sentences that no other story makes with the facts of a real run. */

/** A folder with a track `mine`; a rollback that does nothing where none is given. */
const trackOf = (files: Record<string, string>): string => {
  const all: Record<string, string> = { ...files }
  for (const path of Object.keys(files))
    if (path.startsWith('migrations/mine/')) all[path.replace('migrations', 'rollbacks')] ??= 'select 1;'
  if (!Object.keys(files).some(path => path.startsWith('verify/')))
    all['verify/mine/nothing.sql'] = "select 'x' as object, 'y' as detail where false"
  return folder(all)
}

/** All sentences of a code in some reports. */
const all = (reports: Said[], code: string): string =>
  reports
    .flatMap(r => r.findings.filter(f => f.code === code))
    .map(f => `${f.message} ${f.fix ?? ''}`)
    .join('\n')

/** Compares what is said of each code; what is missing is named. */
const expectSaid = (reports: Said[], wanted: Record<string, RegExp>) =>
  expect(
    Object.entries(wanted)
      .filter(([code, says]) => !says.test(all(reports, code)))
      .map(([code]) => [code, all(reports, code)]),
  ).toEqual([])

const notes = `
  create table public.notes (id int primary key, size int, colour text);
  insert into public.notes select n, n from generate_series(1, 20) n`

describe('files', () => {
  test('names, encodings and order are faults that name the file', async () => {
    await using db = await database(newest(), 'empty')
    const dir = folder({
      'migrations/mine/001_one.sql': 'select 1;',
      'migrations/mine/1_two.sql': 'select 1;',
      'migrations/mine/Bad Name.sql': 'select 1;',
      'migrations/mine/002_empty.sql': '',
      'migrations/mine/004_mark.sql': '\uFEFFselect 1;',
      'migrations/mine/005_end.sql': '--! phase: contract\n--! ends-old-app: it goes\nselect 1;',
      'migrations/mine/006_expand.sql': '--! phase: expand\n--! undone-by: 000_nobody\nselect 1;',
      'rollbacks/mine/001_one.sql': '-- nothing',
      'rollbacks/mine/099_nobody.sql': 'select 1;',
    })
    writeFileSync(join(dir, 'migrations/mine/003_bytes.sql'), Buffer.from([0x73, 0xff, 0xfe]))
    const project = await inProcess(db.url, { dir })
    const reports = [await said(project.doctor()), await said(project.plan())]
    expectSaid(reports, {
      DUPLICATE_VERSION: /1_two\.sql.*001_one|001_one\.sql.*1_two/,
      BAD_FILE_NAME: /Bad Name\.sql/,
      EMPTY_FILE: /002_empty\.sql/,
      NOT_UTF8: /003_bytes\.sql/,
      BYTE_ORDER_MARK: /004_mark\.sql/,
      PHASE_ORDER: /006_expand\.sql/,
      UNKNOWN_REFERENCE: /000_nobody/,
      MISSING_ROLLBACK: /002_empty|004_mark|005_end/,
      ORPHAN_ROLLBACK: /099_nobody\.sql/,
      MISSING_VERIFY: /verify\/mine/,
    })
  })

  test('statements are faults that name file, line and what is wrong', async () => {
    await using db = await database(newest(), 'empty')
    const dir = trackOf({
      'migrations/mine/1_habits.sql': `create function public.f() returns void language plpgsql security definer as $$
begin perform 1; exception when others then null; end $$;
create policy everybody on public.notes for insert to public with check (true);
create policy changes on public.notes for update to authenticated using (true);
update public.notes set size = 1;
alter table public.sizes enable row level security;
drop table public.colours cascade;
alter type public.mood add value 'calm';
insert into public.moods values ('calm');`,
      'migrations/mine/2_psql.sql': '\\connect other',
      'migrations/mine/3_syntax.sql': 'create tabel public.x ();',
      'migrations/mine/4_transaction.sql': 'begin; select 1; commit;',
      'migrations/mine/5_unproven.sql': '--! transaction: none\nvacuum public.notes;',
      'migrations/mine/6_alone.sql': 'create index concurrently i on public.notes (size);',
      'migrations/mine/7_long.sql': `create table public.${'x'.repeat(64)} (id int primary key);`,
      'rollbacks/mine/7_long.sql': '-- nothing to do',
    })
    await db.sql.unsafe(notes)
    const project = await inProcess(db.url, { dir, track: 'mine' })
    const reports = [await said(project.plan())]
    expectSaid(reports, {
      SWALLOWED_EXCEPTION: /1_habits\.sql:1/,
      DEFINER_WITHOUT_SEARCH_PATH: /1_habits\.sql:1.*f/,
      POLICY_WITHOUT_TO: /1_habits\.sql:3.*everybody/,
      POLICY_WITHOUT_CHECK: /1_habits\.sql:4.*changes/,
      BULK_WRITE: /1_habits\.sql:5.*public\.notes/,
      RLS_BEFORE_POLICIES: /1_habits\.sql:6.*public\.sizes/,
      CASCADING_DROP: /1_habits\.sql:7.*colours/,
      ENUM_VALUE_TOO_EARLY: /1_habits\.sql:9.*calm/,
      PSQL_META_COMMAND: /2_psql\.sql:1.*connect/,
      SYNTAX: /3_syntax\.sql:1.*tabel/s,
      TRANSACTION_CONTROL: /4_transaction\.sql:1/,
      UNPROVABLE_STATEMENT: /5_unproven\.sql:2.*vacuum/,
      NEEDS_NO_TRANSACTION: /6_alone\.sql:1.*create index/,
      NAME_TOO_LONG: /7_long\.sql:1.*xxx/,
      EMPTY_ROLLBACK: /rollbacks\/mine\/7_long\.sql/,
    })
  })
})

describe('runs', () => {
  test('what stops a run midway, or cannot be asked', async () => {
    await using db = await database(newest(), 'empty')
    await db.sql.unsafe(notes)
    const reports: Said[] = []
    const with_ = async (
      files: Record<string, string>,
      allow: ('CANNOT_TELL' | 'IGNORES_DRIFT' | 'FIRES_TRIGGERS')[] = [],
    ) => {
      const project = await inProcess(db.url, {
        dir: trackOf(files),
        track: 'mine',
        config: { retryFailedSeconds: 0 },
      })
      return { project, consent: { allow } }
    }
    const one = { 'migrations/mine/2_add.sql': 'alter table public.notes add column note text;' }
    const start = await with_(one)
    reports.push(await said(start.project.listQuarantine()))
    reports.push(
      await said(start.project.migrate()),
      await said(start.project.sessions()),
      await said(start.project.verify({ sample: 1 })),
    )
    // a file that sorts before what is applied, and two of one name
    const two = await with_({ ...one, 'migrations/mine/1_add.sql': 'select 1;' })
    reports.push(await said(two.project.plan()), await said(two.project.plan({ to: 'add' })))
    // somebody makes the index when the run has begun
    await db.sql.unsafe(`
      create function public.outrun() returns trigger language plpgsql as $f$ begin
        create index notes_size on public.notes (id, size); return null; end $f$;
      create trigger outrun after insert on rethread.runs for each row execute function public.outrun()`)
    const index = await with_({
      ...one,
      'migrations/mine/3_index.sql':
        '--! transaction: none\ncreate index concurrently notes_size on public.notes (size);',
    })
    reports.push(await said(index.project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } })))
    await db.sql.unsafe('drop trigger outrun on rethread.runs; drop index public.notes_size')
    // a file that ends its own connection
    const lost = await with_({
      ...one,
      'migrations/mine/3_lost.sql': 'select pg_terminate_backend(pg_backend_pid());',
    })
    reports.push(await said(lost.project.migrate({ consent: { allow: ['IGNORES_DRIFT', 'CANNOT_TELL'] } })))
    // each row that is done leaves another to do
    await db.sql.unsafe(`
      create table public.slow (on_ boolean);
      create function public.waits() returns boolean language plpgsql as $f$ begin
        if exists (select from public.slow where on_) then perform pg_sleep(0.2); end if; return true; end $f$;
      create function public.another() returns trigger language plpgsql as $f$ begin
        insert into public.notes (id) select max(id) + 1 from public.notes; return null; end $f$;
      create trigger another after update on public.notes for each row execute function public.another();
      delete from public.notes where id > 1`)
    const fill = {
      ...one,
      'migrations/mine/4_fill.sql': `--! phase: backfill
--! table: public.notes
--! pending: case when public.waits() then n.colour is null end
--! undone-by: 2_add
update public.notes n set colour = 'red' where n.colour is null;`,
    }
    const grows = await with_(fill)
    const consent = { allow: ['IGNORES_DRIFT' as const, 'FIRES_TRIGGERS' as const, 'CANNOT_TELL' as const] }
    reports.push(await said(grows.project.migrate({ consent })))
    await db.sql.unsafe('drop trigger another on public.notes')
    expect((await said(grows.project.migrate({ consent }))).verdict).toBe('clean')
    await db.sql.unsafe('insert into public.slow values (true)')
    const unseen = await said(grows.project.migrate({ consent }))
    // nothing was wrong, and not everything was looked at
    expect([unseen.verdict, unseen.codes.filter(c => c === 'NOT_RECHECKED')]).toEqual([
      'attention',
      ['NOT_RECHECKED'],
    ])
    reports.push(unseen)
    // a large table is given the time that reading it takes
    await db.sql`update pg_catalog.pg_class set relpages = 60000 where oid = 'public.notes'::regclass`
    expect((await said(grows.project.migrate({ consent }))).codes).not.toContain('NOT_RECHECKED')
    expectSaid(reports, {
      QUARANTINE_EMPTY: /mine/,
      NO_TRACK_INFO: /mine/,
      NO_ACCESS_FILE: /mine/,
      OUT_OF_ORDER: /1_add.*2_add/,
      AMBIGUOUS_MIGRATION: /1_add.*2_add/,
      DIFFERENT_DEFINITION: /notes_size/,
      CONNECTION_LOST: /3_lost|terminat|connection/,
      WORK_LEFT: /public\.notes/,
      NOT_RECHECKED: /4_fill/,
    })
  })
})

describe.each(some('oldest').slice(0, 1))('PostgreSQL $major', server => {
  test('what it does not do with a partitioned table is said before the first step', async () => {
    if (server.major >= 18) return
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table public.colours (name text primary key);
      create table public.notes (id int, colour text, primary key (id)) partition by range (id);
      create table public.notes_1 partition of public.notes for values from (0) to (100)`)
    const dir = trackOf({
      'migrations/mine/1_key.sql':
        'alter table public.notes add constraint colour_known foreign key (colour) references public.colours not valid;',
    })
    const project = await inProcess(db.url, { dir, track: 'mine' })
    const ran = await said(project.migrate())
    expect([ran.verdict, (await said(project.plan())).verdict]).toEqual(['refused', 'attention'])
    expect(sentenceOf(ran, 'PARTITIONED_TABLE')).toMatch(/public\.notes.*foreign key NOT VALID/)
  })
})

describe('copies, proofs and servers', () => {
  test('a rehearsal on a copy, an account that does not add up, and an acceptance that nobody needs', async () => {
    await using db = await database(newest(), 'empty')
    await using copy = await database(newest(), 'empty')
    for (const { sql } of [db, copy]) await sql.unsafe(notes)
    const dir = trackOf({
      'migrations/mine/1_add.sql': 'alter table public.notes add column note text;',
      'migrations/mine/2_rename.sql':
        '--! phase: contract\n--! ends-old-app: size is called width\nalter table public.notes rename column size to width;',
      'rollbacks/mine/2_rename.sql': 'select 1 / 0;',
      'verify/mine/account.sql': `--! kind: account
--! after: 1_add
select 'notes' as object, 20 as came_in, 17 as migrated, 1 as quarantined, 0 as failed, 2 as missing`,
      'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
    const accepted = [{ key: 'mine/nothing/row 7', until: '2999-01-01', reason: 'known' }]
    const project = await inProcess(db.url, { dir, track: 'mine', config: { accepted } })
    expect((await said(project.migrate({ to: '1' }))).verdict).toBe('clean')
    const rehearsed = await said(
      project.plan({
        phase: 'contract',
        rehearseUrl: copy.url,
        oldApp: 'select size from public.notes where size > 0;',
        newApp: 'select width from public.notes;\nselect shade from public.notes;',
        consent: { allow: ['ENDS_OLD_APP'] },
      }),
    )
    const proved = await said(project.prove())
    expect(proved.verdict).toBe('attention')
    const listed = [rehearsed, proved, await said(project.verify())]
    expectSaid(listed, {
      REHEARSED_ELSEWHERE: new RegExp(copy.name),
      REHEARSAL_STUCK: new RegExp(copy.name),
      OLD_APP_CHANGES: /select size from public\.notes.*42703/,
      NEW_APP_FAILS: /select shade from public\.notes.*line 2.*after 2_rename.*42703/,
      NOT_ACCOUNTED: /2 rows of .*notes/,
      ACCEPTANCE_UNUSED: /mine\/nothing\/row 7/,
    })
  })

  test('an archive that somebody changed is not brought back, and persons of whom nobody knows what they saw', async () => {
    await using db = await database(newest(), 'workspace-sessions', 60)
    await db.sql.unsafe(`
      create function public.on_ddl() returns event_trigger language plpgsql as $f$ begin end $f$;
      create event trigger watches on ddl_command_end execute function public.on_ddl()`)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const reports = [await said(project.doctor())]
    expect((await said(project.migrate())).verdict).toBe('clean')
    await db.sql`delete from rethread.sights`
    reports.push(await said(project.prove({ sample: 1 })))
    await db.sql.unsafe(readFileSync(join(root, 'examples/workspace-sessions/new_app.sql'), 'utf8'))
    const undone = await said(
      project.rollback({
        all: true,
        consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
      }),
    )
    expect(undone.verdict).toBe('clean')
    const [kept] = await db.sql`
      select c.oid::regclass::text as name from pg_class c join rethread_archive.archives a on to_regclass(a.stored_as) = c.oid
      where a.relation = 'public.chat_sessions' and a.rows > 0 limit 1`
    await db.sql.unsafe(`delete from ${kept!.name}`)
    reports.push(await said(project.restore({ archive: 'latest' })))
    expectSaid(reports, {
      EVENT_TRIGGERS: /watches/,
      NO_SIGHTS: /workspace-sessions/,
      ARCHIVE_CHANGED: new RegExp(kept!.name.replace('.', '\\.')),
    })
  })

  test('a server that is too old, one that nobody has tried, and a mutant that no check notices', async () => {
    await using db = await database(newest(), 'empty')
    const [row] = await db.sql<{ num: string }[]>`select current_setting('server_version_num') as num`
    const from = async (version: string) => {
      await using between = await proxy(db.url)
      between.replaces(row!.num, version)
      return await said((await inProcess(between.url)).doctor())
    }
    const dir = trackOf({
      'migrations/mine/1_add.sql':
        'create table public.notes (id int primary key, size int);\ncreate index notes_size on public.notes (size);',
      'rollbacks/mine/1_add.sql': 'drop table public.notes;',
    })
    const project = await inProcess(db.url, { dir, track: 'mine' })
    expect((await said(project.migrate())).verdict).toBe('clean')
    const mutated = await said(project.testChecks({ consent: { confirm: db.name } }))
    const [old, next] = [await from('130012'), await from('990001')]
    expect([old.verdict, mutated.verdict]).toEqual(['attention', 'attention'])
    expectSaid([old, next, mutated], {
      SERVER_TOO_OLD: /too old. The oldest supported version is 14/,
      SERVER_UNTESTED: /not among the tested versions/,
      MUTANT_SURVIVED: /notes_size/,
    })
  })

  test('a server of our own that is not installed, or does not start', async () => {
    const dataDir = mkdtempSync('/tmp/rethread-broken-')
    writeFileSync(join(dataDir, 'PG_VERSION'), '9')
    const faults = []
    for (const options of [
      { dataDir, from: [root], packageName: 'embedded-postgres-9' },
      { dataDir, from: [root] },
    ])
      faults.push(...findingsOf(await startEmbedded(options).catch(error => error)))
    const report = await said({ ...emptyReport('demo'), findings: faults })
    expectSaid([report], { NO_EMBEDDED: /is not installed \(/, EMBEDDED_FAILED: /data directory|postgres/ })
  })

  test('a demo that is kept does not touch the one before, and says where it is', {
    timeout: 120_000,
  }, async () => {
    const cwd = mkdtempSync('/tmp/rethread-demo-')
    // as root, the server runs as another user
    chmodSync(cwd, 0o755)
    mkdirSync(join(cwd, '.rethread/demo'), { recursive: true })
    writeFileSync(join(cwd, '.rethread/demo/PG_VERSION'), 'of the first demo')
    const ran = await rethread(
      '',
      ['demo', '--keep', '--messages', '60', '--track', 'codebase-sessions', '--quiet'],
      { cwd },
    )
    const folderOfIt = join(cwd, '.rethread/demo-2')
    expect(ran.report.findings.filter(f => f.level === 'error').map(f => f.message)).toEqual([])
    try {
      expect(ran.report.findings.find(f => f.code === 'DEMO_KEPT')!.message).toContain(folderOfIt)
      expect(ran.report.findings.map(f => f.code)).toContain('DEMO_NEXT')
      expect(readFileSync(join(cwd, '.rethread/demo/PG_VERSION'), 'utf8')).toBe('of the first demo')
    } finally {
      process.kill(Number(readFileSync(join(folderOfIt, 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGINT')
    }
  })
})
