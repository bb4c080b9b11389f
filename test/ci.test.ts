import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rethread } from './support/cli.js'
import { database, newest } from './support/database.js'
import { folder } from './support/folder.js'

const plain = { json: false }

describe('a wrong command line is found before anything runs', () => {
  test.each([
    [['plan', '--phase', 'contrat'], '--phase contract'],
    [['plan', '--fail-on', 'warn,hazzard'], '--fail-on hazard'],
    [['migrate', '--allow', 'ENDS_OLD_AP'], '--allow ENDS_OLD_APP'],
    [['plna'], 'plan'],
    [['plan', '--phas', 'contract'], '--phase'],
    [['plan', '--output', 'plan.md=markdwon'], '--output plan.md=markdown'],
    [['plan', '--format', 'githb'], '--format github'],
  ])('%j: exit 2, and what was probably meant, as an annotation and on the page', async (args, meant) => {
    const page = join(folder({}), 'summary.md')
    const format = args.includes('--format') ? [] : ['--format', 'github']
    const ran = await rethread('', [...args, ...format], {
      ...plain,
      env: { GITHUB_STEP_SUMMARY: page, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    })
    expect([ran.code, ran.stdout]).toEqual([2, expect.stringContaining(`Did you mean \`${meant}\`?`)])
    if (format.length === 0) return
    expect(ran.stdout).toMatch(/^::error title=USAGE::/)
    // the page begins with the verdict, then the reason and what to type instead
    expect(readFileSync(page, 'utf8').split('\n')).toEqual([
      expect.stringMatching(/^## rethread \w+: Failed$/),
      '',
      expect.stringMatching(/^- \*\*error\*\* `USAGE` /),
      '  ```',
      `  Did you mean \`${meant}\`?`,
      '  ```',
      '',
    ])
  })

  test('a hazard that resembles none: the list of those that there are', async () => {
    const { code, report } = await rethread('', ['plan', '--allow', 'FOO'])
    expect([code, report.findings[0]!.message]).toEqual([
      2,
      expect.stringMatching(/^`--allow FOO`: .*ENDS_OLD_APP, /),
    ])
  })

  test('a file that cannot be written, a phase and a format that are wrong: all in one run', async () => {
    const args = ['plan', '--output', '/dev/null/plan.md', '--out', '/dev/null/pin', '--phase', 'contrat']
    const { code, report } = await rethread('postgres://nobody@127.0.0.1:1/none', args)
    expect([code, report.findings.map(f => [f.code, f.subject])]).toEqual([
      2,
      [
        ['USAGE', '--output /dev/null/plan.md'],
        ['USAGE', '--phase contrat'],
      ],
    ])
  })

  test('a page that cannot be written is said, and the report is there', async () => {
    const env = { GITHUB_STEP_SUMMARY: '/dev/null/page' }
    const args = ['lint', '--dir', folder(sound), '--format', 'github']
    const ran = await rethread('', args, { ...plain, env })
    expect([ran.code, ran.stdout]).toEqual([
      2,
      expect.stringMatching(/^::notice title=FILES_HOLD::[\s\S]*ENOTDIR/),
    ])
  })
})

describe('--output', () => {
  test('a command that fails says why in the log too, where its report is only in a file', async () => {
    const args = ['plan', '--dir', folder({}), '--output', 'plan.md']
    const ran = await rethread('postgres://nobody@127.0.0.1:1/none', args, { ...plain, cwd: folder({}) })
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([
      2,
      '',
      expect.stringMatching(/^`.*` has no tracks\.\nplan: failed; the report is in plan\.md\n$/),
    ])
  })

  test('one run writes several formats, and prints the one that no file has', async () => {
    const cwd = folder({})
    const out = ['plan.md', 'plan.json', 'page.html', 'plan.txt=table', 'plan.out=markdown']
    const args = ['lint', '--format', 'github', ...out.flatMap(file => ['--output', file])]
    const ran = await rethread('', args, { ...plain, cwd })
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringMatching(/^::notice title=FILES_HOLD::/)])
    const written = (file: string) => readFileSync(join(cwd, file), 'utf8')
    expect(readdirSync(cwd).sort()).toEqual(['page.html', 'plan.json', 'plan.md', 'plan.out', 'plan.txt'])
    expect(written('plan.md')).toMatch(/^## rethread lint: In order/)
    expect(written('plan.out')).toBe(written('plan.md'))
    expect(JSON.parse(written('plan.json'))).toMatchObject({ command: 'lint', verdict: 'clean' })
    expect(written('page.html')).toMatch(/^<!doctype html>/)
    expect(written('plan.txt')).toMatch(/Verdict: clean\n$/)
  })

  test('a file alone takes the report: nothing is printed; a name that says nothing takes --format', async () => {
    const cwd = folder({})
    const one = await rethread('', ['lint', '--output', 'lint.md'], { ...plain, cwd })
    expect([one.code, one.stdout]).toEqual([0, ''])
    expect(readFileSync(join(cwd, 'lint.md'), 'utf8')).toMatch(/^## rethread lint: In order/)
    const other = await rethread('', ['lint', '--output', 'a=b/report', '--format', 'json'], {
      ...plain,
      cwd,
    })
    expect([other.code, other.stdout]).toEqual([0, ''])
    expect(JSON.parse(readFileSync(join(cwd, 'a=b/report'), 'utf8')).verdict).toBe('clean')
  })
})

const sound = {
  'migrations/mine/001_notes.sql': 'create table public.notes (id int primary key);',
  'rollbacks/mine/001_notes.sql': 'drop table public.notes;',
  'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
}

describe('lint', () => {
  test('needs no database, and is clean where the rules find nothing', async () => {
    const { code, report } = await rethread('', ['lint', '--dir', folder(sound)])
    expect([code, report.verdict, report.target]).toEqual([0, 'clean', null])
    expect(report.findings.map(f => f.message)).toEqual([expect.stringMatching(/nothing wrong in 3 file/)])
  })

  test('a syntax error, a name and a header that are wrong are in one report', async () => {
    const dir = folder({
      ...sound,
      'migrations/mine/002_broken.sql': '--! undone-by: 001_notes\ncreate tabel public.tags ();',
      'migrations/mine/003_header.sql': '--! undone-by: 001_notes\n--! tabel: public.notes\nselect 1;',
      'migrations/mine/Bad Name.sql': 'select 1;',
    })
    const wanted = [
      ['BAD_FILE_NAME', 'migrations/mine/Bad Name.sql'],
      ['BAD_HEADER', 'migrations/mine/003_header.sql:2'],
      ['SYNTAX', 'migrations/mine/002_broken.sql:2'],
    ]
    const linted = await rethread('', ['lint', '--dir', dir])
    const found = (report: typeof linted.report) =>
      report.findings
        .filter(f => f.level === 'error')
        .map(f => [f.code, f.subject])
        .sort()
    expect([linted.code, found(linted.report)]).toEqual([1, wanted])
    // whoever would run the files says the same, in one run
    await using db = await database(newest(), 'empty')
    for (const command of ['plan', 'migrate']) {
      const ran = await rethread(db.url, [command, '--dir', dir])
      expect([command, ran.code, found(ran.report)]).toEqual([command, 2, wanted])
    }
  })

  test('--track of a folder of another tool counts the rollbacks and checks beside it', async () => {
    const dir = folder({
      'supabase/migrations/20260101000000_notes.sql': 'create table public.notes (id int primary key);',
      'rollbacks/supabase/20260101000000_notes.sql': '--! tabel: public.notes\ndrop table public.notes;',
    })
    const linted = await rethread('', ['lint', '--track', 'supabase', '--dir', dir])
    expect([
      linted.code,
      linted.report.findings.filter(f => f.level === 'error').map(f => f.subject),
    ]).toEqual([1, ['rollbacks/supabase/20260101000000_notes.sql:1']])
  })

  test('--fail-on warn: a habit that hurts later ends with 1', async () => {
    const dir = folder({
      ...sound,
      'migrations/mine/002_all.sql': '--! undone-by: 001_notes\nupdate public.people set name = null;',
    })
    const lenient = await rethread('', ['lint', '--dir', dir])
    const strict = await rethread('', ['lint', '--dir', dir, '--fail-on', 'warn'])
    expect([lenient.code, strict.code]).toEqual([0, 1])
    expect(strict.report.findings.map(f => f.code)).toContain('BULK_WRITE')
  })
})

describe('plan', () => {
  const dir = folder({
    ...sound,
    'migrations/mine/002_size.sql': '--! undone-by: 001_notes\nalter table public.people add size int;',
  })

  test('--fail-on names what counts and ends with 1; --allow takes a hazard out', async () => {
    await using db = await database(newest(), 'empty')
    await db.sql`create table public.people (id int primary key)`
    const plan = (...flags: string[]) => rethread(db.url, ['plan', '--dir', dir, ...flags])
    const failures = (ran: Awaited<ReturnType<typeof plan>>) =>
      ran.report.findings.flatMap(f => (f.code === 'FAIL_ON' ? [[f.subject, f.facts.names]] : []))
    expect((await plan()).code).toBe(0)
    const pending = await plan('--fail-on', 'pending,hazard')
    expect([pending.code, failures(pending)]).toEqual([
      1,
      [
        ['pending', ['001_notes', '002_size']],
        ['hazard', ['LOCKS_TABLE']],
      ],
    ])
    const allowed = await plan('--fail-on', 'hazard', '--allow', 'LOCKS_TABLE')
    expect([allowed.code, failures(allowed)]).toEqual([0, []])
    await rethread(db.url, ['migrate', '--dir', dir])
    expect((await plan('--fail-on', 'warn,hazard,pending')).code).toBe(0)
  })

  test('ends with 1 where migrate would refuse, with the same reason', async () => {
    await using db = await database(newest(), 'empty')
    await db.sql`create table public.people (id int primary key)`
    const role = `deployer_${db.name}`
    await db.sql.unsafe(
      `create role ${role} login; alter table public.people owner to ${role}; grant create on schema public to ${role}`,
    )
    const codes = (ran: Awaited<ReturnType<typeof rethread>>, levels: string[]) =>
      ran.report.findings.filter(f => levels.includes(f.level)).map(f => f.code)
    const url = new URL(db.url)
    url.username = role
    const args = ['--dir', dir, '--track', 'mine']
    try {
      const plan = await rethread(url.toString(), ['plan', ...args])
      const run = await rethread(url.toString(), ['migrate', ...args])
      expect([run.code, codes(run, ['refused'])]).toEqual([3, ['MISSING_PRIVILEGE']])
      expect([plan.code, codes(plan, ['warn'])]).toEqual([1, expect.arrayContaining(['MISSING_PRIVILEGE'])])
    } finally {
      await db.sql.unsafe(`drop owned by ${role} cascade; drop role ${role}`)
    }
    // what others changed of the track, with nothing left to apply
    await db.sql`create table if not exists public.people (id int primary key)`
    await rethread(db.url, ['migrate', ...args])
    await db.sql`alter table public.notes add colour text`
    const run = await rethread(db.url, ['migrate', ...args])
    const plan = await rethread(db.url, ['plan', ...args])
    expect([run.code, plan.code]).toEqual([1, 1])
  })

  test('the page of a run begins with the verdict and the reason, and has no SQL', async () => {
    await using db = await database(newest(), 'empty')
    await db.sql`create table public.people (id int primary key)`
    const page = join(folder({}), 'summary.md')
    writeFileSync(page, '')
    const env = { DATABASE_URL: db.url, GITHUB_STEP_SUMMARY: page }
    await rethread('', ['migrate', '--dir', dir, '--format', 'github'], { ...plain, env })
    const done = readFileSync(page, 'utf8')
    expect(done).toMatch(/^## rethread migrate: Done\n/)
    expect(done).toContain('`001_notes`')
    expect(done).not.toMatch(/```sql|create table/)
    writeFileSync(page, '')
    await rethread('', ['rollback', '--all', '--dir', dir, '--format', 'github'], { ...plain, env })
    const refused = readFileSync(page, 'utf8').split('\n')
    expect(refused[0]).toBe('## rethread rollback: Needs a decision: nothing was changed')
    expect(refused.slice(1).join('\n')).toMatch(
      /^\nTarget: [^\n]+\n\n- \*\*What happened\*\*: [\s\S]*?\n {2}```\n {2}rethread rollback --dir \S+ --track \w+ --all --allow [A-Z_,]+ --confirm \w+\n {2}```\n\n- \*\*refused\*\* `CONSENT_NEEDED` /,
    )
    expect(refused.join('\n')).not.toContain('drop table')
  })
})
