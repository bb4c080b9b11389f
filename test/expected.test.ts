import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { discover } from '../src/files/discover.js'
import { lint } from '../src/files/lint.js'
import { contract, rethread } from './support/cli.js'
import { database, newest, root, some } from './support/database.js'
import { folder } from './support/folder.js'

/** A track with two migrations: the second one makes a column required. */
const files = {
  'migrations/own/001_notes.sql':
    "create table public.notes (id uuid primary key, body text default 'none');\n",
  'migrations/own/002_require_body.sql':
    '--! phase: contract\nalter table public.notes alter column body set not null;\n',
  'verify/own/readable.sql': "select 'notes' as object, 'unreadable' as detail where false\n",
  'rollbacks/own/001_notes.sql': 'drop table public.notes;\n',
  'rollbacks/own/002_require_body.sql': 'alter table public.notes alter column body drop not null;\n',
}
const expectedFile = 'verify/own/expected.json'
const own = (expected: unknown) =>
  folder({ ...files, [expectedFile]: typeof expected === 'string' ? expected : JSON.stringify(expected) })

const body = (nullable: boolean) => ({
  'public.notes': { columns: { body: { type: 'text', nullable, default: "'none'::text" } } },
})

describe('faults of expected.json are found when files are read, with path and reason', () => {
  const entry = { after: '001_notes', tables: body(true) }
  const notes = (table: object) => [{ after: '001_notes', tables: { 'public.notes': table } }]
  const cases: [string, unknown, string[]][] = [
    ['nothing is wrong', [entry], []],
    ['no JSON', '{', [expect.stringMatching(/^not JSON: /)]],
    ['no list', {}, ['the document: wants array']],
    ['a key that there is not', [{ ...entry, unless: 'x' }], ['0: unknown `unless`']],
    ['no migration', [{ tables: body(true) }], ['0.after: wants string']],
    [
      'every fault at once',
      [{ after: '000_none' }, { after: '001_notes', until: '003_none' }],
      ['0.after: track own has no migration `000_none`', '1.until: track own has no migration `003_none`'],
    ],
    [
      'a period that ends before it begins',
      [{ after: '002_require_body', until: '001_notes' }],
      ['0.until: `001_notes` does not come after `002_require_body`'],
    ],
    [
      'a table without its schema',
      [{ after: '001_notes', tables: { notes: {} } }],
      ['0.tables.notes: a name with its schema'],
    ],
    [
      'a column that says half',
      notes({ columns: { body: { type: 'text' } } }),
      ['0.tables.public.notes.columns.body.nullable: wants boolean'],
    ],
    [
      'a whole definition of an index',
      notes({ indexes: { i: { definition: 'create index i on public.notes (id)' } } }),
      ['0.tables.public.notes.indexes.i.definition: what follows USING, such as `btree (user_id)`'],
    ],
    [
      'a command that there is not',
      notes({ policies: { p: { command: 'write', roles: ['authenticated'] } } }),
      ['0.tables.public.notes.policies.p.command: one of all, select, insert, update, delete'],
    ],
    [
      'a privilege that there is not',
      notes({ grants: { anon: ['truncate'] } }),
      ['0.tables.public.notes.grants.anon.0: one of select, insert, update, delete'],
    ],
    [
      'the same thing twice at a time',
      [entry, { after: '002_require_body', tables: body(false) }],
      ['1.tables.public.notes.columns.body: entry 0 speaks of it at the same time'],
    ],
    [
      'the same thing one after the other',
      [
        { ...entry, until: '002_require_body' },
        { after: '002_require_body', tables: body(false) },
      ],
      [],
    ],
  ]
  test.each(cases)('%s', async (_, expected, reasons) => {
    const [track] = discover(own(expected)).tracks
    // a rollback of the second migration alone looks at fewer of them
    const undone = await lint({ ...track!, migrations: track!.migrations.slice(1), checks: [] })
    const found = await lint(track!)
    expect(found.map(f => [f.code, f.subject, (f.facts as { reason?: string }).reason])).toEqual(
      reasons.map(reason => ['BAD_EXPECTED', expectedFile, reason]),
    )
    expect(undone).toEqual([])
  })

  test('the example in the documentation is without fault', async () => {
    const [, example] = /## expected\.json[\s\S]+?```json\n([\s\S]+?)```/.exec(
      readFileSync(join(root, 'docs/files.md'), 'utf8'),
    )!
    const migrations = ['001_threads', '004_require_author'].flatMap(name =>
      ['migrations', 'rollbacks'].map(kind => [`${kind}/threads/${name}.sql`, 'select 1;']),
    )
    const { tracks, faults } = discover(
      folder({
        ...Object.fromEntries(migrations),
        'verify/threads/expected.json': example!,
        'verify/threads/some.sql': "select 'x' as object, 'y' as detail where false",
      }),
    )
    expect([...faults, ...(await lint(tracks[0]!))]).toEqual([])
  })

  test('a check that expects something of another kind, or that is not shared, has a fault in its header', async () => {
    const check = (kind: string) => `--! expects: ${kind}\nselect 'x' as object, 'y' as detail where false`
    const home = folder({ 'verify/_every/shared.sql': check('wonders') })
    const { faults } = discover(folder({ ...files, 'verify/own/readable.sql': check('columns') }), home)
    expect(faults.map(f => [f.code, f.subject, (f.facts as { reason?: string }).reason])).toEqual([
      ['BAD_HEADER', 'verify/own/readable.sql:1', '`expects` is for checks of verify/_every/'],
      [
        'BAD_HEADER',
        'verify/_every/shared.sql:1',
        '`expects` is `wonders`; it can be columns, indexes, constraints, policies, triggers, grants, functions',
      ],
    ])
  })

  test('no command goes on with it: exit 2, with the file and the place in it', async () => {
    await using db = await database(newest(), 'empty')
    const cwd = own([{ after: '001_notes', tables: { notes: {} } }])
    for (const command of ['plan', 'migrate', 'verify']) {
      const ran = await rethread(db.url, [command], { cwd })
      expect([
        command,
        ran.code,
        ran.report.findings.filter(f => f.level === 'error').map(f => f.message),
      ]).toEqual([command, 2, ['`verify/own/expected.json`: 0.tables.notes: a name with its schema.']])
    }
  })
})

describe.each(some('oldest'))('what is expected on PostgreSQL $major', server => {
  test('holds from its migration on, and until another one', async () => {
    await using db = await database(server, 'empty')
    const cwd = own([
      { after: '001_notes', until: '002_require_body', tables: body(true) },
      { after: '002_require_body', tables: body(false) },
    ])
    const columns = async () => {
      const { report } = await rethread(db.url, ['verify', '--only', 'columns'], { cwd })
      const [check] = report.checks
      return [check!.outcome, check!.reason ?? check!.found.map(f => `${f.object}: ${f.detail}`).join()]
    }
    expect(await columns()).toEqual(['skipped', 'expected.json of the track names columns from 001_notes on'])
    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], { cwd })).code).toBe(0)
    expect(await columns()).toEqual(['pass', ''])
    await db.sql`alter table notes alter column body set not null`
    expect(await columns()).toEqual([
      'found',
      "notes.body: is text not null default 'none'::text, should be text default 'none'::text",
    ])
    await db.sql`alter table notes alter column body drop not null`
    expect((await rethread(db.url, ['migrate', '--phase', 'contract'], { cwd })).code).toBe(0)
    expect(await columns()).toEqual(['pass', ''])
    await db.sql`alter table notes alter column body drop not null`
    expect(await columns()).toEqual([
      'found',
      "notes.body: is text default 'none'::text, should be text not null default 'none'::text",
    ])
    await db.sql`alter table notes alter column body set not null`
    expect((await rethread(db.url, ['rollback', '--steps', '1'], { cwd })).code).toBe(0)
    expect(await columns()).toEqual(['pass', ''])
  })

  test('a check with nothing to compare with is skipped, with the reason, and does not pass', async () => {
    await using db = await database(server, 'empty')
    const cwd = own([{ after: '001_notes', tables: body(true) }])
    expect((await rethread(db.url, ['migrate', '--phase', 'expand'], { cwd })).code).toBe(0)
    const { report } = await rethread(db.url, ['verify'], { cwd })
    const outcomes = Object.fromEntries(report.checks.map(c => [c.check, [c.outcome, c.reason]]))
    const nothing = (kind: string) => ['skipped', `expected.json of the track names no ${kind}`]
    expect(outcomes).toMatchObject({
      columns: ['pass', null],
      indexes: nothing('indexes'),
      constraints: nothing('constraints'),
      policies: nothing('policies'),
      triggers: nothing('triggers'),
      grants: nothing('grants'),
      functions: nothing('functions'),
    })
  })

  test('the checks run in any SQL client, after one SET of the file', async () => {
    await using db = await database(server, 'codebase-sessions', 100)
    expect((await rethread(db.url, ['migrate', '--track', 'codebase-sessions', ...contract])).code).toBe(0)
    const text = (path: string) => readFileSync(join(root, 'verify', path), 'utf8')
    const found = await db.sql.begin(async tx => {
      await tx.unsafe(
        `set search_path = ''; set rethread.expected = $e$${text('codebase-sessions/expected.json')}$e$`,
      )
      await tx.unsafe('alter table public.codebase_chat_sessions alter column context_cache set not null')
      await tx.unsafe('drop index public.idx_codebase_chat_sessions_repo')
      await tx.unsafe(
        'create unique index idx_codebase_chat_sessions_repo on public.codebase_chat_sessions (repo)',
      )
      await tx.unsafe('grant select (repo) on public.codebase_chat_sessions to anon')
      await tx.unsafe('alter policy codebase_chat_sessions_select on public.codebase_chat_sessions to public')
      await tx.unsafe(
        'create policy x on public.codebase_chat_sessions for select to anon using (repo is null)',
      )
      await tx.unsafe('alter function chat_private.touch_codebase_chat_session() security definer')
      const rows: string[] = []
      for (const check of [
        'columns',
        'indexes',
        'constraints',
        'policies',
        'triggers',
        'grants',
        'functions',
      ])
        for (const row of await tx.unsafe(text(`_every/${check}.sql`)))
          rows.push(`${check}: ${row.object}: ${row.detail}`)
      return rows
    })
    expect(found).toEqual([
      "columns: codebase_chat_sessions.context_cache: is jsonb not null default '{}'::jsonb, should be jsonb default '{}'::jsonb",
      'indexes: idx_codebase_chat_sessions_repo: is CREATE UNIQUE INDEX idx_codebase_chat_sessions_repo ON public.codebase_chat_sessions USING btree (repo), should be btree (repo) WHERE (repo IS NOT NULL)',
      'policies: codebase_chat_sessions_select: differs: for select to public using (user_id = ( SELECT auth.uid() AS uid))',
      'policies: x: is not expected: every permissive policy gives somebody access',
      'grants: anon on codebase_chat_sessions: has select',
      'functions: chat_private.touch_codebase_chat_session: security definer',
    ])
  })
})
