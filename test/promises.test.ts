import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contract, undoAll } from './support/cli.js'
import { database, newest, picture } from './support/database.js'
import { type Skeleton, skeleton } from './support/skeleton.js'

/** Each of the promises of docs/architecture.md, done in a copy of the repository without another edit. */
const nothingElse = (copy: Skeleton, added: string[]) =>
  expect(copy.changes()).toEqual({ added: [...added].sort(), edited: [] })

const minutes = { timeout: 300_000 }
const errors = (findings: { level: string; message: string }[]) =>
  findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message)

const command = (name: string, first = '') => `${first}import { defineCommand } from '../command.js'
import { emptyReport } from '../model/report.js'

export default defineCommand({
  summary: 'count the letters of a word',
  example: 'rethread dry-run',
  args: '<word>',
  offline: true,
  run: async ({ args }) => ({
    ...emptyReport('${name}'),
    tables: [{ title: 'Letters', columns: ['word', 'letters'], rows: [[args[0]!, args[0]!.length]] }],
  }),
})
`

const renderer = `import type { Report } from '../model/report.js'
import { defineRenderer } from './renderer.js'

const csvLine = (cells: unknown[]): string => \`\${cells.map(c => JSON.stringify(c ?? '')).join(',')}\\n\`

/** The tables of a report, one below the other. */
export const renderCsv = (report: Report): string =>
  report.tables.map(t => csvLine(t.columns) + t.rows.map(csvLine).join('')).join('\\n')

export default defineRenderer({
  render: renderCsv,
  page: { env: 'CSV_PAGE', render: report => \`\${report.command} \${report.verdict}\\n\` },
})
`
const loud = "throw new Error('loaded')\n"

describe('in one copy', () => {
  const commands = ['src/commands/dry-letters.ts', 'src/commands/letters.ts']
  const csv = 'src/render/csv.ts'
  let copy: Skeleton
  beforeAll(async () => {
    copy = skeleton()
    copy.add({
      'src/commands/letters.ts': command('letters'),
      'src/commands/dry-letters.ts': command('dry-letters'),
      [csv]: renderer,
      // only what is named is loaded
      'src/commands/loud.ts': command('loud', loud),
      'src/render/loud.ts': loud,
    })
    await copy.build()
  }, minutes.timeout)
  afterAll(() => copy[Symbol.dispose]())

  test('a new command is one file, a name of several words too', async () => {
    const help = await copy.rethread('', ['dry-letters', '--help'], { json: false })
    expect([help.code, help.stdout]).toEqual([
      0,
      expect.stringMatching(
        /^Usage: rethread dry-letters \[options\] <word>\n\ncount the letters of a word\n/,
      ),
    ])
    for (const name of ['letters', 'dry-letters']) {
      const ran = await copy.rethread('', [name, 'message'])
      expect([ran.code, ran.report.command, ran.report.tables[0]!.rows]).toEqual([0, name, [['message', 7]]])
    }
    expect((await copy.rethread('', ['loud', 'x'], { json: false })).stderr).toContain('Error: loaded')
  })

  test('a new output format is one file', async () => {
    const page = join(copy.folder, 'dist/page.txt')
    const explain = (format: string, env = {}) =>
      copy.rethread('', ['explain', 'LOSS', '--format', format], { json: false, env })
    const ran = await explain('csv', { CSV_PAGE: page })
    expect([ran.code, ran.stdout, ran.stderr, readFileSync(page, 'utf8')]).toEqual([
      0,
      expect.stringMatching(/^"part","text"\n"kind","finding, level warn"\n/),
      '',
      'explain clean\n',
    ])
    expect((await copy.rethread('', ['explain', 'LOSS'])).report.verdict).toBe('clean')
    expect((await explain('loud')).code).not.toBe(0)
  })

  test('the repository takes them as they are', minutes, async () => {
    for (const file of ['src/commands/loud.ts', 'src/render/loud.ts']) rmSync(join(copy.folder, file))
    await copy.build()
    expect(await copy.types()).toBe('')
    const all = await copy.rethread('', ['--help'], { json: false })
    for (const name of ['dry-letters', 'letters'])
      expect(all.stdout).toMatch(new RegExp(`^ {2}${name} \\[options\\] <word> `, 'm'))
    const help = await copy.rethread('', ['explain', '--help'], { json: false })
    const formats = readdirSync(join(copy.folder, 'src/render'))
      .filter(file => file.endsWith('.ts'))
      .filter(file =>
        /^export default defineRenderer/m.test(readFileSync(join(copy.folder, 'src/render', file), 'utf8')),
      )
      .map(file => file.replace('.ts', ''))
      .sort()
    expect(formats).toContain('csv')
    expect([all.code, help.stdout.replaceAll(/\s+/g, ' ')]).toEqual([
      0,
      expect.stringContaining(`${formats.slice(0, -1).join(', ')} or ${formats.at(-1)} (default`),
    ])
    const none = await copy.rethread('', ['explain', 'LOSS', '--format', 'xml'], { json: false })
    expect([none.code, none.stdout]).toEqual([2, expect.stringContaining(formats.join(', '))])
    nothingElse(copy, [...commands, csv])
    const reviewed = await copy.test('test/cli.test.ts', 'the help of every command')
    expect(Object.values(reviewed)).toEqual(['passed'])
    const house = await copy.test('test/house.test.ts', 'src/')
    expect([...new Set(Object.values(house))]).toEqual(['passed'])
    const goldens = ['test/golden/help-dry-letters.txt', 'test/golden/help-letters.txt']
    nothingElse(copy, [...commands, csv, ...goldens])
  })
})

test('a new check is one .sql file and its story, of one track or of every track', minutes, async () => {
  using copy = skeleton()
  const files = {
    'verify/workspace-sessions/titles_fit.sql': `--! title: No title is longer than a screen is wide
--! level: warn
--! after: 001_create_chat_sessions

select s.id::text as object, length(s.title) || ' characters' as detail
from public.chat_sessions s
where length(s.title) > 80
`,
    'test/checks/workspace-sessions/titles_fit.sql': `-- fault
update chat_sessions set title = repeat('x', 81) where id = (select id from chat_sessions limit 1);
-- fix
update chat_sessions set title = 'short' where length(title) > 80;
`,
    'verify/_every/no_rules.sql': `--! title: No rule rewrites what is sent to a table of the track
--! mutant: create rule mutant as on delete to public.chat_sessions do instead nothing

select r.ev_class::regclass::text as object, 'rule ' || r.rulename as detail
from jsonb_array_elements_text(current_setting('rethread.tables')::jsonb) as n (name)
join pg_catalog.pg_rewrite r on r.ev_class = to_regclass(n.name)
`,
    'test/checks/_every/no_rules.sql': `-- fault
create rule lost as on delete to chat_sessions do instead nothing;
-- fix
drop rule lost on chat_sessions;
`,
  }
  copy.add(files)
  await copy.build()
  await using db = await database(newest(), 'workspace-sessions', 300)
  const verify = async () => {
    const ran = await copy.rethread(db.url, ['verify', '--only', 'titles_fit,no_rules', '--fail-on', 'warn'])
    return [ran.code, ...ran.report.checks.map(c => [c.check, c.outcome, c.found.map(f => f.detail).join()])]
  }
  expect((await copy.rethread(db.url, ['migrate'])).code).toBe(0)
  expect(await verify()).toEqual([0, ['titles_fit', 'pass', ''], ['no_rules', 'pass', '']])
  await db.sql`update chat_sessions set title = repeat('x', 90) where id = (select id from chat_sessions limit 1)`
  await db.sql`create rule lost as on delete to chat_sessions do instead nothing`
  expect(await verify()).toEqual([
    1,
    ['titles_fit', 'found', '90 characters'],
    ['no_rules', 'found', 'rule lost'],
  ])
  const ran = await copy.test('test/checks.test.ts', '/(titles_fit|no_rules)$|no story')
  expect(ran).toEqual({
    'no story is left over from a check that is gone': 'passed',
    [`the checks on PostgreSQL ${newest().major} workspace-sessions/titles_fit`]: 'passed',
    [`the checks on PostgreSQL ${newest().major} _every/no_rules`]: 'passed',
  })
  nothingElse(copy, Object.keys(files))
})

const trackFiles = {
  'migrations/note-threads/001_threads.sql': `--! title: Create threads, closed to everybody but their authors
--! requires: table public.notes, column public.notes.author uuid

create table public.threads (
  id uuid primary key,
  author uuid not null,
  colour text not null default 'white',
  active timestamptz not null default now()
);
create index threads_author on public.threads (author);
create index threads_white on public.threads (active desc) where colour = 'white';
alter table public.threads enable row level security;
create policy threads_own on public.threads for select to authenticated using (author = (select auth.uid()));
revoke all on public.threads from public, anon, authenticated;
grant select on public.threads to authenticated;
alter table public.notes add column thread uuid;
`,
  'migrations/note-threads/002_fill_threads.sql': `--! title: A thread for each note
--! table: public.notes
--! pending: n.thread is null
--! undone-by: 001_threads

with made as (
  insert into public.threads (id, author, active)
  select md5('thread ' || n.id)::uuid, n.author, n.made from public.notes n where n.thread is null
  on conflict (id) do nothing
)
update public.notes n set thread = md5('thread ' || n.id)::uuid where n.thread is null;
`,
  'migrations/note-threads/track.json': JSON.stringify({
    title: 'Threads of notes',
    for: 'notes that never had threads',
    sessions: { table: 'public.threads', id: 'id', active: 'active' },
    messages: { table: 'public.notes', session: 'thread', role: 'author', content: 'body', created: 'made' },
    filters: {
      author: { column: 'author', help: 'only threads of these authors' },
      colour: {
        column: 'colour',
        help: 'only of these colours',
        values: ['white', 'red'],
        default: ['white'],
      },
    },
    persona: { claim: 'sub', of: 'public.threads.author' },
  }),
  'rollbacks/note-threads/001_threads.sql':
    'alter table public.notes drop column thread;\ndrop table public.threads;\n',
  'verify/note-threads/expected.json': JSON.stringify([
    {
      after: '001_threads',
      tables: {
        'public.threads': {
          columns: {
            id: { type: 'uuid', nullable: false },
            colour: { type: 'text', nullable: false, default: "'white'::text" },
          },
          indexes: {
            threads_author: { definition: 'btree (author)' },
            threads_white: { definition: 'btree (active DESC)', where: "(colour = 'white'::text)" },
          },
          policies: {
            threads_own: {
              command: 'select',
              roles: ['authenticated'],
              using: '(author = ( SELECT auth.uid() AS uid))',
            },
          },
          grants: { authenticated: ['select'], anon: [] },
        },
        'public.notes': { columns: { thread: { type: 'uuid', nullable: true } } },
      },
    },
  ]),
  'verify/note-threads/every_note.sql': `--! title: Every note has a thread that exists
--! after: 002_fill_threads

select n.id::text as object, 'it has no thread' as detail
from public.notes n
where not exists (select from public.threads t where t.id = n.thread)
`,
  'examples/note-threads/before.sql': `create table public.notes (id int primary key, author uuid not null, body text, made timestamptz not null);
insert into auth.users (id) select md5('author ' || n)::uuid from generate_series(0, 9) n;
insert into public.notes
select n, md5('author ' || n % 10)::uuid, 'note ' || n, '2026-01-01'::timestamptz + make_interval(mins => n)
from generate_series(1, 500) n;
analyze public.notes;
`,
  'test/checks/note-threads/every_note.sql': `-- fault
update notes set thread = null where id = 7;
-- fix
update notes set thread = md5('thread ' || id)::uuid where id = 7;
`,
  'test/checks/note-threads/indexes.sql': `-- fault
drop index threads_white;
create index threads_white on threads (active desc);
-- fix
drop index threads_white;
create index threads_white on threads (active desc) where colour = 'white';
`,
}

test('the demo of a track that is not right says which check has found what', minutes, async () => {
  using copy = skeleton()
  copy.add(trackFiles)
  copy.add({
    'examples/note-threads/old_app.sql': 'update public.notes set body = body where id = 1;',
    'examples/note-threads/new_app.sql': 'update public.notes set body = body where id = 2;',
    'verify/note-threads/never_content.sql':
      "--! title: Never content\nselect 'a note' as object, 'it is not enough' as detail",
  })
  await copy.build()
  const { code, report } = await copy.rethread('', ['demo', '--track', 'note-threads', '--quiet'])
  expect([code, report.verdict]).toEqual([2, 'failed'])
  expect(report.checks.map(c => [c.check, c.found[0]!.detail])).toEqual([
    ['never_content', 'it is not enough'],
    ['never_content', 'it is not enough'],
  ])
  const came = report.tables[0]!.rows.map(([command, verdict]) => [String(command).split(' ')[0], verdict])
  expect(came.filter(([, verdict]) => verdict !== 'clean')).toEqual([
    ['verify', 'attention'],
    ['rollback', 'refused'],
    ['verify', 'attention'],
  ])
  expect(report.tables[0]!.rows.at(-1)!.at(-1)).toMatch(/^\d+ checks pass; faults: never_content\b/)
  // after a step that did not run nothing else is walked, and the finding is there
  const threads = join(copy.folder, 'migrations/note-threads/001_threads.sql')
  appendFileSync(threads, 'do $$ begin perform 1 / 0; end $$;\n')
  const stopped = await copy.rethread('', ['demo', '--track', 'note-threads', '--quiet'])
  expect([stopped.code, stopped.report.tables[0]!.rows.at(-1)!.slice(0, 2)]).toEqual([
    2,
    ['migrate --no-backfill', 'refused'],
  ])
  expect(stopped.report.findings.map(f => f.code)).toContain('CONSENT_NEEDED')
})

test('a new track is its folders', minutes, async () => {
  using copy = skeleton()
  copy.add(trackFiles)
  await copy.build()
  const server = newest()
  await using db = await database(server, 'empty')
  await db.sql.unsafe(trackFiles['examples/note-threads/before.sql'])
  const before = await picture(db.sql)
  const fits = await copy.rethread(db.url, ['doctor'])
  expect(fits.report.findings.filter(f => f.code === 'FITS').map(f => f.subject)).toEqual(['note-threads'])
  const planned = await copy.rethread(db.url, ['plan'])
  expect([planned.code, errors(planned.report.findings)]).toEqual([0, []])
  const up = await copy.rethread(db.url, ['migrate'])
  expect([up.code, errors(up.report.findings)]).toEqual([0, []])
  const verified = await copy.rethread(db.url, ['verify'])
  const outcomes = Object.fromEntries(verified.report.checks.map(c => [c.check, c.outcome]))
  expect([verified.code, outcomes]).toMatchObject([
    0,
    {
      every_note: 'pass',
      columns: 'pass',
      indexes: 'pass',
      policies: 'pass',
      grants: 'pass',
      primary_keys: 'pass',
    },
  ])
  await db.sql`update threads set colour = 'red' where id = (select id from threads limit 1)`
  const list = async (...flags: string[]) => {
    const ran = await copy.rethread(db.url, ['sessions', 'list', '--limit', '1000', ...flags])
    return [
      ran.code,
      ran.report.tables[0]?.rows.length ?? (ran.report.findings[0]!.facts as { known?: string[] }).known,
    ]
  }
  expect(await list()).toEqual([0, 499])
  expect(await list('--colour', 'red')).toEqual([0, 1])
  expect(await list('--filter', 'colour=red,white')).toEqual([0, 500])
  expect(await list('--filter', 'trip=x')).toEqual([2, ['author', 'colour']])
  await db.sql`grant insert on threads to anon`
  const broken = await copy.rethread(db.url, ['verify', '--only', 'grants'])
  expect([broken.code, broken.report.checks[0]!.found.map(f => f.key)]).toEqual([
    1,
    ['note-threads/grants/anon on threads'],
  ])
  await db.sql`revoke insert on threads from anon`
  const down = await copy.rethread(db.url, ['rollback', ...undoAll(db.name)])
  expect([down.code, errors(down.report.findings)]).toEqual([0, []])
  expect(await picture(db.sql)).toEqual(before)
  const ran = await copy.test('test/checks.test.ts', 'note-threads/|no story')
  expect(ran).toEqual({
    'no story is left over from a check that is gone': 'passed',
    [`the checks on PostgreSQL ${server.major} note-threads/every_note`]: 'passed',
    [`the checks on PostgreSQL ${server.major} note-threads/indexes`]: 'passed',
  })
  nothingElse(copy, Object.keys(trackFiles))
})

test('rethread new works in the repository, and its story fails until it is written', minutes, async () => {
  using copy = skeleton()
  await copy.build()
  const made = await copy.rethread('', ['new', 'add_tags', '--track', 'workspace-sessions'])
  const written = [
    'migrations/workspace-sessions/012_add_tags.sql',
    'rollbacks/workspace-sessions/012_add_tags.sql',
    'verify/workspace-sessions/add_tags.sql',
    'test/checks/workspace-sessions/add_tags.sql',
  ]
  expect([made.code, made.report.findings.map(f => f.code), made.report.tables[0]!.rows.flat()]).toEqual([
    0,
    ['SEEN'],
    written,
  ])
  nothingElse(copy, written)
  expect(await copy.test('test/house.test.ts', 'every check has its story')).toEqual({
    'every check has its story': 'passed',
  })
  const ran = Object.values(await copy.test('test/checks.test.ts', 'workspace-sessions/add_tags'))
  expect(ran).toEqual([
    expect.stringMatching(/^failed: .*nothing was found after:\n-- Break what the check looks for/),
  ])
  await using db = await database(newest(), 'workspace-sessions', 300)
  const up = await copy.rethread(db.url, ['migrate', ...contract])
  expect([up.code, up.report.steps.at(-1)!.migration]).toEqual([0, '012_add_tags'])
  // an installed package has no stories, and its tracks are not the user's to write into
  rmSync(join(copy.folder, 'test'), { recursive: true })
  const installed = await copy.rethread('', ['new', 'more_tags', '--track', 'workspace-sessions'])
  expect([installed.code, installed.report.findings.map(f => f.code)]).toEqual([2, ['USAGE']])
})
