import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { runner } from 'node-pg-migrate'
import { describe, expect, test } from 'vitest'
import { flywayHistory } from '../../src/histories/flyway.sql.js'
import { rethread } from '../support/cli.js'
import { type Database, database, newest } from '../support/database.js'
import { folder } from '../support/folder.js'
import { dbmate } from '../support/other_tools.js'

/** Histories of other tools: read, adopted, kept in step, and left alone where a row says that one broke. */

const one = 'create table public.notes (id int primary key, body text);\n'
const two = 'create index notes_body on public.notes (body);\n'

const hash = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest('hex')

const states = async (db: Database, cwd: string): Promise<string[]> => {
  const { report } = await rethread(db.url, ['status', '--dir', '.'], { cwd })
  const table = report.tables.find(t => t.title.startsWith('Migrations of'))
  if (!table) throw new Error(JSON.stringify(report.findings, null, 1))
  return table.rows.map(r => String(r[2]))
}

const codesOf = async (db: Database, cwd: string, ...args: string[]): Promise<[number | null, string[]]> => {
  const { code, report } = await rethread(db.url, [...args, '--dir', '.'], { cwd })
  return [code, report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.code)]
}

interface Case {
  tool: string
  files: Record<string, string>
  /** The table as the tool makes it, and a row for each of the two files. */
  made: string
  /** What it writes that is the same each time. */
  rows: string
  /** Null where only the tool itself can write its table. */
  kept: unknown[] | null
}

const graphile = (previous: string, body: string): string => {
  const sum = `sha1:${hash('sha1', `${`${previous === '-' ? '' : previous}\n${body.trim()}`.trim()}\n`)}`
  return `--! Previous: ${previous}\n--! Hash: ${sum}\n\n${body}`
}
const hashIn = (text: string): string => /Hash: (\S+)/.exec(text)![1]!
const first = graphile('-', one)
const second = graphile(hashIn(first), two)

const cases: Case[] = [
  {
    tool: 'supabase',
    files: {
      'supabase/migrations/20260101000000_one.sql': one,
      'supabase/migrations/20260101000001_two.sql': two,
    },
    made: `create schema supabase_migrations;
      create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
      insert into supabase_migrations.schema_migrations values ('20260101000000', '{}', 'one'), ('20260101000001', '{}', 'two')`,
    rows: 'select version, name from supabase_migrations.schema_migrations order by 1',
    kept: [
      { version: '20260101000000', name: 'one' },
      { version: '20260101000001', name: 'two' },
    ],
  },
  {
    tool: 'sequelize',
    files: { 'db/migrations/001_one.sql': one, 'db/migrations/002_two.sql': two },
    // a file of code beside it may have run the SQL
    made: `create table public."SequelizeMeta" (name varchar(255) not null unique primary key);
      insert into public."SequelizeMeta" values ('001_one.sql'), ('002_two.js')`,
    rows: 'select name from public."SequelizeMeta" order by 1',
    kept: [{ name: '001_one.sql' }, { name: '002_two.sql' }],
  },
  {
    tool: 'golang-migrate',
    files: { 'db/migrations/000001_one.up.sql': one, 'db/migrations/000002_two.up.sql': two },
    made: `create table public.schema_migrations (version bigint primary key, dirty boolean not null);
      insert into public.schema_migrations values (2, false)`,
    rows: 'select version::int, dirty from public.schema_migrations',
    kept: [{ version: 2, dirty: false }],
  },
  {
    tool: 'goose',
    files: {
      'db/migrations/00001_one.sql': `-- +goose Up\n${one}`,
      'db/migrations/00002_two.sql': `-- +goose Up\n${two}`,
    },
    made: `create table public.goose_db_version (id serial primary key, version_id bigint not null, is_applied boolean not null, tstamp timestamp default now());
      insert into public.goose_db_version (version_id, is_applied) values (0, true), (1, true), (2, true)`,
    rows: 'select version_id::int, is_applied from public.goose_db_version order by id',
    kept: [
      { version_id: 0, is_applied: true },
      { version_id: 1, is_applied: true },
      { version_id: 2, is_applied: true },
    ],
  },
  {
    tool: 'flyway',
    files: { 'sql/V1__one_note.sql': one, 'sql/V1.1__two.sql': two },
    made: `create table public.flyway_schema_history (installed_rank int primary key, version varchar(50), description varchar(200) not null, type varchar(20) not null,
        script varchar(1000) not null, checksum int, installed_by varchar(100) not null, installed_on timestamp not null default now(), execution_time int not null, success boolean not null);
      insert into public.flyway_schema_history values
        (1, '1', 'one note', 'SQL', 'V1__one_note.sql', null, 'me', now(), 3, true), (2, '1.1', 'two', 'SQL', 'V1.1__two.sql', null, 'me', now(), 3, true)`,
    rows: 'select installed_rank, version, description, type, script, success from public.flyway_schema_history order by 1',
    kept: [
      {
        installed_rank: 1,
        version: '1',
        description: 'one note',
        type: 'SQL',
        script: 'V1__one_note.sql',
        success: true,
      },
      {
        installed_rank: 2,
        version: '1.1',
        description: 'two',
        type: 'SQL',
        script: 'V1.1__two.sql',
        success: true,
      },
    ],
  },
  {
    tool: 'diesel',
    files: {
      'migrations/2026-01-01-000000_one/up.sql': one,
      'migrations/2026-01-01-000000_one/down.sql': 'drop table public.notes;\n',
      'migrations/2026-01-02-000000_two/up.sql': two,
      'migrations/2026-01-02-000000_two/down.sql': 'drop index public.notes_body;\n',
    },
    made: `create table public.__diesel_schema_migrations (version varchar(50) primary key, run_on timestamp not null default now());
      insert into public.__diesel_schema_migrations (version) values ('00000000000000'), ('20260101000000'), ('20260102000000')`,
    rows: 'select version from public.__diesel_schema_migrations order by 1',
    kept: [{ version: '20260101000000' }, { version: '20260102000000' }],
  },
  {
    tool: 'drizzle',
    files: {
      'drizzle/0000_one.sql': one,
      'drizzle/0001_two.sql': two,
      'drizzle/meta/_journal.json': JSON.stringify({
        version: '7',
        dialect: 'postgresql',
        entries: [
          { idx: 0, version: '7', when: 1767225600000, tag: '0000_one', breakpoints: true },
          { idx: 1, version: '7', when: 1767225601000, tag: '0001_two', breakpoints: true },
        ],
      }),
    },
    made: `create schema drizzle; create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
      insert into drizzle.__drizzle_migrations (hash, created_at) values ('${hash('sha256', one)}', 1767225600000), ('${hash('sha256', two)}', 1767225601000)`,
    rows: 'select hash, created_at::text from drizzle.__drizzle_migrations order by id',
    kept: [
      { hash: hash('sha256', one), created_at: '1767225600000' },
      { hash: hash('sha256', two), created_at: '1767225601000' },
    ],
  },
  {
    tool: 'prisma',
    files: {
      'prisma/migrations/20260101000000_one/migration.sql': one,
      'prisma/migrations/20260102000000_two/migration.sql': two,
      'prisma/migrations/migration_lock.toml': 'provider = "postgresql"\n',
    },
    made: `create table public._prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, finished_at timestamptz, migration_name varchar(255) not null,
        logs text, rolled_back_at timestamptz, started_at timestamptz not null default now(), applied_steps_count int not null default 0);
      insert into public._prisma_migrations values
        (repeat('a', 36), '${hash('sha256', one)}', now(), '20260101000000_one', null, null, now(), 1), (repeat('b', 36), '${hash('sha256', two)}', now(), '20260102000000_two', null, null, now(), 1)`,
    rows: `select migration_name, checksum, applied_steps_count, length(id) as id, finished_at is not null as finished
      from public._prisma_migrations order by 1`,
    kept: [
      {
        migration_name: '20260101000000_one',
        checksum: hash('sha256', one),
        applied_steps_count: 1,
        id: 36,
        finished: true,
      },
      {
        migration_name: '20260102000000_two',
        checksum: hash('sha256', two),
        applied_steps_count: 1,
        id: 36,
        finished: true,
      },
    ],
  },
  {
    tool: 'graphile-migrate',
    files: { 'migrations/committed/000001-one.sql': first, 'migrations/committed/000002.sql': second },
    made: `create schema graphile_migrate;
      create table graphile_migrate.migrations (hash text primary key, previous_hash text references graphile_migrate.migrations, filename text not null, date timestamptz not null default now());
      insert into graphile_migrate.migrations values ('${hashIn(first)}', null, '000001.sql'), ('${hashIn(second)}', '${hashIn(first)}', '000002.sql')`,
    rows: 'select hash, previous_hash, filename from graphile_migrate.migrations order by 3',
    kept: [
      { hash: hashIn(first), previous_hash: null, filename: '000001.sql' },
      { hash: hashIn(second), previous_hash: hashIn(first), filename: '000002.sql' },
    ],
  },
  {
    tool: 'sqitch',
    files: {
      'sqitch.plan': `%syntax-version=1.0.0
%project=chat
%uri=https://example.org/chat

one 2026-01-01T00:00:00Z Ann <ann@example.org> # notes
two [one] 2026-01-02T00:00:00Z Ann <ann@example.org> # an index
`,
      'deploy/one.sql': one,
      'deploy/two.sql': two,
      'revert/one.sql': 'drop table public.notes;\n',
      'revert/two.sql': 'drop index public.notes_body;\n',
    },
    // its registry, and a change of the same name in another project
    made: `create schema sqitch;
      create table sqitch.projects (project text primary key, uri text unique, created_at timestamptz not null default clock_timestamp(), creator_name text not null, creator_email text not null);
      create table sqitch.changes (
        change_id text primary key, script_hash text, change text not null, project text not null references sqitch.projects (project) on update cascade,
        note text not null default '', committed_at timestamptz not null default clock_timestamp(), committer_name text not null, committer_email text not null,
        planned_at timestamptz not null, planner_name text not null, planner_email text not null, unique (project, script_hash));
      insert into sqitch.projects (project, creator_name, creator_email) values ('chat', 'Ann', 'ann@example.org'), ('other', 'Ann', 'ann@example.org');
      insert into sqitch.changes (change_id, script_hash, change, project, committer_name, committer_email, planned_at, planner_name, planner_email) values
        ('a', '${hash('sha1', one)}', 'one', 'chat', 'Ann', 'ann@example.org', '2026-01-01', 'Ann', 'ann@example.org'),
        ('b', '${hash('sha1', two)}', 'two', 'chat', 'Ann', 'ann@example.org', '2026-01-02', 'Ann', 'ann@example.org'),
        ('c', 'another', 'one', 'other', 'Ann', 'ann@example.org', '2025-01-01', 'Ann', 'ann@example.org')`,
    rows: '',
    kept: null,
  },
]

describe.each(cases)('the history of $tool', ({ tool, files, made, rows, kept }) => {
  test('is read and adopted where its files are applied, and kept where rethread applies them', async () => {
    await using db = await database(newest(), 'empty')
    const cwd = folder(files)
    await db.sql.unsafe(`${one}${two}${made}`)
    expect(await states(db, cwd)).toEqual(Array(2).fill(`applied by ${tool}`))
    expect(await codesOf(db, cwd, 'migrate')).toEqual([3, ['APPLIED_ELSEWHERE']])
    expect(await codesOf(db, cwd, 'migrate', '--adopt')).toEqual([0, []])
    expect(await states(db, cwd)).toEqual(['adopted', 'adopted'])

    await using fresh = await database(newest(), 'empty')
    const config = folder({ ...files, 'rethread.config.json': JSON.stringify({ history: tool }) })
    if (kept === null) {
      expect(await codesOf(fresh, config, 'migrate')).toEqual([2, ['HISTORY_NOT_KEPT']])
      return
    }
    expect(await codesOf(fresh, config, 'migrate')).toEqual([0, []])
    expect(await fresh.sql.unsafe(rows)).toEqual(kept)
  })
})

test('a reworked change of Sqitch is two changes; a text that another project has deployed is none of ours', async () => {
  await using db = await database(newest(), 'empty')
  const { made } = cases.find(c => c.tool === 'sqitch')!
  const cwd = folder({
    'sqitch.plan': `%syntax-version=1.0.0
%project=chat

one 2026-01-01T00:00:00Z Ann <ann@example.org>
@v1 2026-01-01T01:00:00Z Ann <ann@example.org>
one [one@v1] 2026-01-02T00:00:00Z Ann <ann@example.org>
`,
    'deploy/one@v1.sql': one,
    'deploy/one.sql': two,
  })
  await db.sql.unsafe(`${one}${two}${made};
    delete from sqitch.changes where change_id = 'b';
    update sqitch.changes set script_hash = change_id where change_id = 'a'`)
  expect(await states(db, cwd)).toEqual(['applied by sqitch', 'pending'])
  await db.sql.unsafe(`
    insert into sqitch.changes (change_id, script_hash, change, project, committer_name, committer_email, planned_at, planner_name, planner_email)
    values ('d', '${hash('sha1', two)}', 'one', 'chat', 'Ann', 'ann@example.org', '2026-01-02', 'Ann', 'ann@example.org')`)
  expect(await states(db, cwd)).toEqual(['applied by sqitch', 'applied by sqitch'])
  await db.sql`update sqitch.changes set script_hash = 'f00' where change_id = 'd'`
  expect(await states(db, cwd)).toEqual(['applied by sqitch', 'changed by sqitch'])
})

test('Prisma takes a file with other line ends for the same, and so does its history here', async () => {
  await using db = await database(newest(), 'empty')
  const { files, made } = cases.find(c => c.tool === 'prisma')!
  const windows = Object.entries(files).map(([path, text]) => [path, text.replaceAll('\n', '\r\n')])
  await db.sql.unsafe(`${one}${two}${made}`)
  expect(await states(db, folder(Object.fromEntries(windows)))).toEqual(Array(2).fill('applied by prisma'))
})

test('what the other tool would apply again is said while its history is not written', async () => {
  await using db = await database(newest(), 'empty')
  const { files, made } = cases.find(c => c.tool === 'supabase')!
  const behind = async (...args: string[]) => {
    const { report } = await rethread(db.url, [...args, '--dir', '.'], { cwd: folder(files) })
    return report.findings.filter(f => f.code === 'HISTORY_BEHIND').map(f => [f.level, f.facts])
  }
  const facts = { tool: 'supabase', applied: [] as string[], next: 2, keeps: true }
  // the tool has not been here: its table is not there
  expect(await behind('plan')).toEqual([['info', facts]])
  await db.sql.unsafe(`${made}; delete from supabase_migrations.schema_migrations`)
  expect(await behind('plan')).toEqual([['warn', facts]])
  expect(await behind('migrate')).toEqual([['warn', facts]])
  const applied = ['20260101000000_one', '20260101000001_two']
  expect(await behind('status')).toEqual([['warn', { ...facts, applied, next: 0 }]])
  await db.sql`insert into supabase_migrations.schema_migrations (version) values ('20260101000000'), ('20260101000001')`
  expect(await behind('status')).toEqual([])
})

test('without --dir, migrations that are beside are named: the shipped tracks are used', async () => {
  await using db = await database(newest(), 'workspace-sessions', 60)
  const cwd = folder(cases.find(c => c.tool === 'supabase')!.files)
  const said = async (...args: string[]) =>
    (await rethread(db.url, args, { cwd })).report.findings
      .filter(f => f.code === 'FOLDER_NOT_READ')
      .map(f => f.subject)
  expect(await said('plan')).toEqual(['supabase/migrations'])
  expect(await said('plan', '--dir', '.')).toEqual([])
  expect(await said('sessions', 'list')).toEqual([])
})

test('names without a schema are compared where the tool would have made them', async () => {
  await using db = await database(newest(), 'empty')
  const bare = (text: string) => text.replaceAll('public.', '')
  const cwd = folder({
    'db/migrations/001_one.sql': `-- migrate:up\n${bare(one)}\n-- migrate:down\n`,
    'db/migrations/002_two.sql': `-- migrate:up\n${bare(two)}create table old (id int);\ndrop table if exists old;\n-- migrate:down\n`,
  })
  expect(await dbmate(db.url, cwd, 'up')).toMatchObject({ code: 0 })
  expect(await codesOf(db, cwd, 'migrate', '--adopt')).toEqual([0, []])
  await using lacking = await database(newest(), 'empty')
  expect(await dbmate(lacking.url, cwd, 'up')).toMatchObject({ code: 0 })
  await lacking.sql`drop index notes_body`
  expect((await codesOf(lacking, cwd, 'migrate', '--adopt'))[0]).toBe(3)
})

describe('a row that says that something broke', () => {
  const named = (tool: string) => cases.find(c => c.tool === tool)!

  test.each([
    ['golang-migrate', 'update public.schema_migrations set dirty = true'],
    ['flyway', "update public.flyway_schema_history set success = false where version = '1.1'"],
    ['prisma', "update public._prisma_migrations set finished_at = null where id like 'b%'"],
  ])('of %s stops everything until somebody has looked', async (tool, breaks) => {
    const { files, made, rows, kept } = named(tool)
    await using db = await database(newest(), 'empty')
    const cwd = folder({ ...files, 'rethread.config.json': JSON.stringify({ history: tool }) })
    await db.sql.unsafe(`${one}${two}${made};${breaks}`)
    expect((await states(db, cwd))[1]).toBe(`failed by ${tool}`)
    expect((await codesOf(db, cwd, 'migrate'))[1]).toContain('ELSEWHERE_FAILED')
    expect(await codesOf(db, cwd, 'migrate', '--adopt')).toEqual([3, ['ELSEWHERE_FAILED']])
    expect(await db.sql`select to_regclass('rethread.ledger') is null as untouched`).toEqual([
      { untouched: true },
    ])
    const name = (await rethread(db.url, ['status', '--dir', '.'], { cwd })).report.tables[0]!
      .rows[1]![0] as string
    expect(await codesOf(db, cwd, 'repair', name, '--applied', '--reason', 'looked at it')).toEqual([0, []])
    expect((await states(db, cwd))[1]).toBe('adopted')
    expect(await db.sql.unsafe(rows)).toEqual(kept)
  })

  test('of another file than the one on disk is no reason to adopt it', async () => {
    const { files, made } = named('flyway')
    await using db = await database(newest(), 'empty')
    const cwd = folder(files)
    await db.sql.unsafe(
      `${one}${two}${made}; update public.flyway_schema_history set checksum = 1 where version = '1.1'`,
    )
    expect(await codesOf(db, cwd, 'migrate', '--adopt')).toEqual([3, ['ELSEWHERE_CHANGED']])
  })

  test('without what it stands for is no reason either', async () => {
    const { files, made } = named('goose')
    await using db = await database(newest(), 'empty')
    const cwd = folder(files)
    await db.sql.unsafe(`${one}${made}`)
    const [code, codes] = await codesOf(db, cwd, 'migrate', '--adopt')
    expect([code, codes]).toEqual([3, expect.arrayContaining(['ADOPT_DIFFERS'])])
  })
})

test('the checksum of Flyway is the CRC32 of the lines without their ends, with a sign', () => {
  const source = '\uFEFF1234\r\n56\n7\r89'
  const file = { version: '1', description: '', script: '', source, repeatable: false, at: null, faults: [] }
  // the check value of CRC-32, which every table of such sums gives for these nine digits
  expect(flywayHistory.checksumOf(file)).toBe(String(0xcbf43926 | 0))
})

describe('dbmate, the real one', () => {
  const files = {
    'db/migrations/20260101000000_one.sql': `-- migrate:up\n${one}\n-- migrate:down\ndrop table public.notes;\n`,
    'db/migrations/20260101000001_two.sql': `-- migrate:up\n${two}\n-- migrate:down\ndrop index public.notes_body;\n`,
    'rethread.config.json': '{"history": "dbmate"}',
  }

  test('finds everything applied after rethread, and nothing after its rollback', async () => {
    await using db = await database(newest(), 'empty')
    const cwd = folder(files)
    expect(await codesOf(db, cwd, 'migrate')).toEqual([0, []])
    expect((await dbmate(db.url, cwd, 'status')).text).toMatch(/Applied: 2\s+Pending: 0/)
    const undo = ['--all', '--allow', 'DELETES_DATA,IGNORES_RECENT_WRITES', '--confirm', db.name]
    expect(await codesOf(db, cwd, 'rollback', ...undo)).toEqual([0, []])
    expect((await dbmate(db.url, cwd, 'status')).text).toMatch(/Applied: 0\s+Pending: 2/)
  })

  test('has applied what rethread then sees, and adopts', async () => {
    await using db = await database(newest(), 'empty')
    const cwd = folder(files)
    expect(await dbmate(db.url, cwd, 'up')).toMatchObject({ code: 0 })
    expect(await states(db, cwd)).toEqual(['applied by dbmate', 'applied by dbmate'])
    expect(await codesOf(db, cwd, 'migrate', '--adopt')).toEqual([0, []])
    expect(await states(db, cwd)).toEqual(['adopted', 'adopted'])
  })
})

test('node-pg-migrate, the real one, and rethread see each other’s work', async () => {
  const cwd = folder({
    'migrations/1767225600000_one.sql': `-- Up Migration\n${one}\n-- Down Migration\ndrop table public.notes;\n`,
    'migrations/1767225601000_two.sql': `-- Up Migration\n${two}\n-- Down Migration\ndrop index public.notes_body;\n`,
    'rethread.config.json': '{"history": "node-pg-migrate"}',
  })
  const up = (db: Database) =>
    runner({
      databaseUrl: db.url,
      dir: join(cwd, 'migrations'),
      direction: 'up',
      migrationsTable: 'pgmigrations',
      log: () => {},
    })
  await using db = await database(newest(), 'empty')
  expect(await codesOf(db, cwd, 'migrate')).toEqual([0, []])
  expect(await up(db)).toEqual([])
  await using other = await database(newest(), 'empty')
  expect((await up(other)).length).toBe(2)
  expect(await states(other, cwd)).toEqual(Array(2).fill('applied by node-pg-migrate'))
})
