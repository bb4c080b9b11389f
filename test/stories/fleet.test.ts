import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FleetRun, runTarget } from '../../src/fleet/run_target.js'
import { reportSchema } from '../../src/model/schema.js'
import { openRun } from '../../src/run/open_run.js'
import { bash, installed, runner } from '../support/action.js'
import { ended, type Ran, rethread, start } from '../support/cli.js'
import { contextOf } from '../support/context.js'
import { newest, open, root } from '../support/database.js'
import { folder } from '../support/folder.js'
import { random, seed } from '../support/random.js'

/** Databases of tenants, each with a table of notes; the files are plain SQL without a header. */

const server = newest()
const admin = open(server.url, 4)
const prefix = `fleet_${randomBytes(4).toString('hex')}`
const made: string[] = []
/** In the URLs of all lists; the servers of the tests trust everybody. */
const password = 'Tr0ub4dor%2F3'

const files = {
  'migrations/001_tags.sql':
    'create table public.tags (id bigint primary key);\ninsert into public.tags values (1);\n',
  'migrations/002_pinned.sql':
    'alter table public.notes add column pinned boolean;\nselect pg_sleep(0.02);\n',
  'migrations/003_titles.sql':
    'alter table public.notes add column title text;\ninsert into public.tags values (2);\n',
}
const project = folder(files)

const urlOf = (database: string, host?: string): string => {
  const url = new URL(server.url)
  url.pathname = `/${database}`
  if (host) url.hostname = host
  return url.toString().replace('postgres@', `postgres:${password}@`)
}

/** The first file is applied in it: to make the ledger in every database would take half of the time. */
const begun = `${prefix}_begun`

/** Tenants with databases of their own. */
async function tenants(names: string[], from = begun): Promise<Record<string, string>> {
  const databases = names.map(name => `${prefix}_${made.length}_${name}`)
  for (const database of databases) {
    await admin.unsafe(`create database ${database} template ${from}`)
    made.push(database)
  }
  return Object.fromEntries(names.map((name, i) => [name, databases[i]!]))
}

/** A list in a file that only its owner may read. */
function listOf(databases: Record<string, string>, more: string[] = []): string {
  const path = join(folder({ tenants: '' }), 'tenants')
  const lines = Object.entries(databases).map(([name, database]) => `${name}=${urlOf(database)}`)
  writeFileSync(path, ['# tenants', ...lines, ...more].join('\n'))
  chmodSync(path, 0o600)
  return path
}

const run = (list: string, command: string, args: string[] = []): Promise<Ran> =>
  rethread('', [command, '--targets', list, '--quiet', ...args], { cwd: project })

/** Name -> verdict, and null where nothing ran. */
const verdicts = ({ report }: Ran) =>
  Object.fromEntries(report.targets!.map(t => [t.name, t.report?.verdict ?? null]))
const codes = ({ report }: Ran) => report.findings.map(f => f.code)

beforeAll(async () => {
  await admin.unsafe(`create database ${prefix}`)
  const sql = open(urlOf(prefix), 1)
  await sql.unsafe(
    'create table public.notes (id bigint primary key, body text); insert into public.notes values (1)',
  )
  await sql.end()
  await admin.unsafe(`create database ${begun} template ${prefix}`)
  expect((await run(listOf({ begun }), 'migrate', ['--to', '001_tags'])).code).toBe(0)
})

afterAll(async () => {
  await Promise.all(
    [prefix, begun, ...made].map(name => admin.unsafe(`drop database if exists ${name} with (force)`)),
  )
  await admin.end()
})

/** Rounds of kills, each with its own databases; a soak repeats them with other seeds. */
const rounds = 2
const seeds = Array.from({ length: process.env.RETHREAD_SOAK ? 30 : 1 }, (_, i) => seed + i)

/** How many files a database has, by its catalog and by its ledger; null where a file is there in part. */
async function progressOf(database: string): Promise<number | null> {
  const sql = open(urlOf(database), 1)
  try {
    const [seen] = await sql<{ tags: number | null; pinned: boolean; title: boolean; ledger: boolean }[]>`
      select to_regclass('public.tags') is not null as tags, to_regclass('rethread.ledger') is not null as ledger,
        exists (select from pg_attribute where attrelid = 'public.notes'::regclass and attname = 'pinned') as pinned,
        exists (select from pg_attribute where attrelid = 'public.notes'::regclass and attname = 'title') as title`
    const rows = seen!.tags ? (await sql`select from public.tags`).length : 0
    const done = seen!.ledger ? (await sql`select from rethread.ledger where outcome = 'done'`).length : 0
    const there = [rows > 0, seen!.pinned, seen!.title]
    const whole =
      there.every((is, i) => i === 0 || !is || there[i - 1]) &&
      rows === [0, 1, 1, 2][there.filter(Boolean).length]
    return whole && done === there.filter(Boolean).length ? done : null
  } finally {
    await sql.end()
  }
}

test.each(seeds)(
  '50 databases, killed at random (seed %i): each is old or new, and the same command completes them',
  {
    timeout: 1_800_000,
  },
  async seed => {
    const next = random(seed)
    const databases = await tenants(Array.from({ length: 50 }, (_, i) => `tenant${i}`))
    const list = listOf(databases)
    const args = [
      'migrate',
      '--targets',
      list,
      '--jobs',
      '6',
      '--stop-after',
      '50',
      '--canary',
      '0',
      '--format',
      'json',
    ]
    const go = () => start(args, {}, project)
    const progress = () => Promise.all(Object.values(databases).map(progressOf))
    // the process is killed
    let finished = 0
    for (let round = 0; round < rounds; round++) {
      const child = go()
      const over = ended(child)
      // those that are done have nothing to do: each round goes a little further than the one before
      const most = finished + 1 + Math.floor(next() * 4)
      await new Promise<void>(done => {
        let lines = 0
        child.stderr!.on('data', chunk => {
          lines += String(chunk).split(' of 50)').length - 1
          if (lines >= most) done()
        })
        child.once('close', () => done())
      })
      await new Promise(done => setTimeout(done, next() * 60))
      child.kill('SIGKILL')
      expect((await over).code).toBeNull()
      const now = await progress()
      expect(now).not.toContain(null)
      const before = finished
      finished = now.filter(n => n === 3).length
      expect(finished).toBeGreaterThan(before)
    }
    expect(finished).toBeLessThan(50)
    // backends are killed, and the process reports what became of each database
    let works = true
    let killed = 0
    const killing = (async () => {
      while (works && killed < rounds * 3) {
        const [row] = await admin`
        select count(pg_terminate_backend(pid))::int as n from (
          select pid from pg_stat_activity where application_name like 'rethread %' and datname like ${`${prefix}%`}
          order by random() limit 1) a`
        killed += row!.n
        await new Promise(done => setTimeout(done, 20 + next() * 60))
      }
    })()
    const hurt = await ended(go()).finally(() => {
      works = false
    })
    await killing
    expect(killed).toBeGreaterThan(0)
    const after = await progress()
    expect(after).not.toContain(null)
    const rows = hurt.report.tables.find(t => t.title === 'Databases')!.rows
    expect(rows.map(row => row[0])).toEqual(Object.keys(databases))
    // the report of a database is what its catalog says, unless it was not to be reached any more
    for (const [i, row] of rows.entries())
      if (row[1] === 'clean') expect([row[0], after[i]]).toEqual([row[0], 3])
    expect(hurt.code).toBe(hurt.report.targets!.some(t => t.report!.verdict === 'failed') ? 2 : 0)
    // the same command completes what is left, and again there is nothing to do
    const complete = await run(list, 'migrate', ['--jobs', '6'])
    expect([complete.code, [...new Set(Object.values(verdicts(complete)))]]).toEqual([0, ['clean']])
    expect(new Set(await progress())).toEqual(new Set([3]))
  },
)

describe('a few tenants', () => {
  let databases: Record<string, string>
  const names = ['acme', 'bolt', 'corp', 'dune']

  beforeAll(async () => {
    databases = await tenants(names, prefix)
  })

  const sqlIn = async (name: string, text: string) => {
    const sql = open(urlOf(databases[name]!), 1)
    await sql.unsafe(text)
    await sql.end()
  }

  test('the plan is read once, and what differs is named', async () => {
    await sqlIn('corp', 'create table public.tags (id int)')
    const list = listOf(databases, [`gone=${urlOf('no_such_database')}`])
    const ran = await run(list, 'plan')
    expect(ran.code).toBe(2)
    expect(ran.report.steps.map(s => [s.migration, s.targets])).toEqual(
      ['001_tags', '002_pinned', '003_titles'].map(name => [name, names]),
    )
    const [plans] = ran.report.tables
    expect(plans!.rows).toEqual([
      [3, '3 steps: 001_tags to 003_titles', 'clean', 'acme, bolt, dune'],
      [1, expect.stringContaining('ALREADY_EXISTS'), 'attention', 'corp'],
      [1, 'NO_SUCH_DATABASE', 'failed', 'gone'],
    ])
    expect(
      reportSchema.parse(ran.report).targets!.map(t => [t.name, t.exitCode, t.report?.steps.length]),
    ).toEqual([...names.map(name => [name, name === 'corp' ? 1 : 0, 3]), ['gone', 2, 0]])
    const page = await rethread('', ['plan', '--targets', list, '--format', 'markdown'], {
      cwd: project,
      json: false,
    })
    expect(page.stdout.match(/add column pinned/g)).toHaveLength(1)
    expect(page.stdout).toMatch(/^## rethread plan: Failed: of 5 databases 1 failed, 1 attention, 3 clean$/m)
    expect(page.stdout).toContain('planned in 4 databases')
    expect(page.stderr).toMatch(/^\[acme\] clean after .* of 5\)$/m)
  })

  test('--fail-on counts in each', async () => {
    const ran = await run(listOf(databases), 'plan', ['--select', 'acme,bolt', '--fail-on', 'pending'])
    expect([ran.code, verdicts(ran)]).toEqual([1, { acme: 'attention', bolt: 'attention' }])
    const folded = ran.report.findings.find(f => f.code === 'FAIL_ON')
    expect(folded).toMatchObject({ targets: { names: ['acme', 'bolt'], of: 2 } })
  })

  test('a canary that is refused leaves all others as they are', async () => {
    const ran = await run(listOf(databases), 'migrate', ['--canary', 'corp', '--stop-after', '9'])
    expect([ran.code, verdicts(ran)]).toEqual([3, { acme: null, bolt: null, corp: 'refused', dune: null }])
    const idle = ran.report.findings.find(f => f.code === 'NOT_STARTED')!
    expect(idle.message).toBe('acme, bolt, dune: Nothing ran: canary corp failed.')
    expect(await Promise.all(['acme', 'dune'].map(n => progressOf(databases[n]!)))).toEqual([0, 0])
  })

  test('after a failure no more are started; the second run goes on', async () => {
    const list = listOf(databases)
    const one = await run(list, 'migrate', ['--jobs', '1'])
    expect([one.code, verdicts(one)]).toEqual([
      3,
      { acme: 'clean', bolt: 'clean', corp: 'refused', dune: null },
    ])
    const rest = await run(list, 'migrate', ['--wave', '2', '--stop-after', '3'])
    expect([rest.code, verdicts(rest)]).toEqual([
      3,
      { acme: 'clean', bolt: 'clean', corp: 'refused', dune: 'clean' },
    ])
    const rows = rest.report.tables[0]!.rows
    expect(rows.map(row => row.slice(0, 4))).toEqual([
      ['acme', 'clean', 0, 0],
      ['bolt', 'clean', 0, 0],
      ['corp', 'refused', 0, 3],
      ['dune', 'clean', 3, 0],
    ])
    await sqlIn('corp', 'drop table public.tags')
    expect((await run(list, 'migrate')).code).toBe(0)
  })

  test('status and verify of all, in every format', async () => {
    const list = listOf(databases)
    const status = await run(list, 'status', ['--output', 'status.prom'])
    expect([status.code, status.report.tables[0]!.rows.map(row => row.slice(0, 4))]).toEqual([
      0,
      names.map(name => [name, 'clean', 3, 0]),
    ])
    const metrics = readFileSync(join(project, 'status.prom'), 'utf8')
    expect(metrics).toContain('rethread_migrations_applied{target="bolt"} 3\n')
    expect(metrics).toContain('rethread_exit_code{command="status"} 0\n')
    // a metric has one heading, however many databases it has lines of
    expect(metrics.match(/^# TYPE rethread_exit_code /gm)).toHaveLength(1)
    const verify = await run(list, 'verify')
    expect(verify.report.checks.length).toBeGreaterThan(3)
    expect(new Set(verify.report.checks.map(c => c.check)).size).toBe(verify.report.checks.length)
    expect((await run(list, 'backfill', ['--status'])).code).toBe(0)
  })

  test('a database that another run holds is refused or failed, the others go on', async () => {
    const fresh = await tenants(['held', 'free'])
    const other = await openRun(contextOf(urlOf(fresh.held!)), 'migrate', 0)
    const ran = await run(listOf(fresh), 'migrate', [
      '--canary',
      '0',
      '--stop-after',
      '2',
      '--lock-wait',
      '0',
    ])
    await other.close('done')
    expect([ran.code, verdicts(ran), codes(ran)[0]]).toEqual([
      3,
      { held: 'refused', free: 'clean' },
      'ANOTHER_RUN',
    ])
    const again = await run(listOf(fresh), 'migrate')
    expect([again.code, verdicts(again)]).toEqual([0, { held: 'clean', free: 'clean' }])
  })

  test('one database under two addresses runs once', async () => {
    const ran = await run(listOf(databases, [`twin=${urlOf(databases.bolt!, 'localhost')}`]), 'status', [
      '--jobs',
      '1',
    ])
    expect([ran.code, verdicts(ran).twin]).toEqual([3, 'refused'])
    const twice = ran.report.findings[0]!
    expect([twice.code, twice.message]).toEqual([
      'TARGET_TWICE',
      'twin: It is the same database as bolt, under another address. Nothing ran under this name.',
    ])
  })

  test('a server that is away is one row, and holds up nobody', async () => {
    const away = `postgres://postgres:${password}@127.0.0.1:1/x`
    const ran = await run(listOf(databases, [`away=${away}`]), 'status')
    expect([ran.code, verdicts(ran).away, codes(ran)[0]]).toEqual([2, 'failed', 'NO_SERVER'])
    expect(Object.values(verdicts(ran)).filter(v => v === 'clean')).toHaveLength(4)
  })

  test('databases that each lack something else: three are named, the others counted, and the JSON report has all', async () => {
    const none = Object.fromEntries([1, 2, 3, 4, 5].map(n => [`t${n}`, `${prefix}_none_${n}`]))
    const shown = (report: Ran['report']) => report.findings.map(f => [f.code, f.subject, f.targets!.names])
    const first = [1, 2, 3].map(n => ['NO_SUCH_DATABASE', `${prefix}_none_${n}`, [`t${n}`]])
    const ran = await run(listOf(none), 'status')
    expect([ran.code, shown(ran.report)]).toEqual([
      2,
      [...first, ['MORE_FINDINGS', 'NO_SUCH_DATABASE', ['t4', 't5']]],
    ])
    expect(ran.report.findings.at(-1)).toMatchObject({
      level: ran.report.findings[0]!.level,
      facts: { count: 2 },
      message: 't4, t5: 2 more findings are not shown (NO_SUCH_DATABASE).',
    })
    expect(ran.report.targets!.map(t => t.report!.findings.map(f => f.subject))).toEqual(
      Object.values(none).map(name => [name]),
    )
    const { t5, ...four } = none
    expect((await run(listOf(four), 'status')).report.findings.at(-1)!.message).toBe(
      't4: 1 more finding is not shown (NO_SUCH_DATABASE).',
    )
  })

  test('what takes longer than its deadline is stopped, and what does not end then is left', async () => {
    const { slow } = await tenants(['slow'])
    const other = await openRun(contextOf(urlOf(slow!)), 'migrate', 0)
    const ran = await run(listOf({ slow: slow! }), 'migrate', ['--deadline', '1'])
    await other.close('done')
    expect([ran.code, verdicts(ran)]).toEqual([130, { slow: 'interrupted' }])
    expect(ran.report.findings.find(f => f.code === 'TARGET_LATE')?.message).toBe(
      'slow: It took longer than 1 s (`--deadline`) and was stopped.',
    )
    const fleet: FleetRun = {
      command: 'migrate',
      open: () => ({ ctx: contextOf(urlOf(slow!)), run: () => new Promise(() => {}), close: async () => {} }),
      masked: report => report,
      onError: () => {},
      clock: { now: () => 0, sleep: () => new Promise(done => setTimeout(done, 20)) },
      signal: new AbortController().signal,
      deadline: 1,
    }
    const stuck = await runTarget(fleet, new Map(), { name: 'slow', url: urlOf(slow!) })
    expect([stuck.exitCode, stuck.report!.findings]).toEqual([
      2,
      [expect.objectContaining({ code: 'TARGET_LATE', level: 'error', facts: { deadline: 1, waited: 30 } })],
    ])
  })

  test('the commands of docs/operating.md run, one after the other', async () => {
    const [, section] = /^## Many databases\n([\s\S]*?)^## /m.exec(
      readFileSync(join(root, 'docs/operating.md'), 'utf8'),
    )!
    const [, list, commands] = /```text\n([\s\S]*?)```\n\n```sh\n([\s\S]*?)```/.exec(section!)!
    // the list of the page, with the servers of the tests
    const [acme, bolt, corp] = Object.values(await tenants(['acme', 'bolt', 'corp'])).map(name => urlOf(name))
    const cwd = folder({
      ...files,
      'tenants.txt': list!
        .replace(/(?<=^acme=).*/m, acme!)
        .replace(/(?<=^bolt=).*/m, bolt!)
        .replace(/^postgres:.*/m, corp!),
      'list-tenants.sh': '#!/bin/sh\ncat tenants.txt\n',
    })
    chmodSync(join(cwd, 'tenants.txt'), 0o600)
    chmodSync(join(cwd, 'list-tenants.sh'), 0o755)
    symlinkSync(join(root, 'dist/cli/main.js'), join(cwd, 'rethread'))
    const env = { PATH: `${cwd}:${process.env.PATH}` }
    const [program] = /^rethread status --targets 'command:.*$/m.exec(section!)!
    const lines = [...commands!.trim().split('\n'), program]
    const seen: number[] = []
    for (const line of lines) seen.push((await bash(line, env, cwd)).code)
    expect(seen).toEqual([0, 0, 0, 0, 0])
    const { targets } = JSON.parse(readFileSync(join(cwd, 'tenants.json'), 'utf8'))
    expect(
      targets.map((t: { name: string }) => t.name.replace(/@.*/, '').replace(/^fleet_\w+_/, '')),
    ).toEqual(['acme', 'bolt', 'corp'])
  })

  test('the action takes a list, and its page has a row for each database', async () => {
    await using github = await runner()
    const list = listOf(await tenants(['acme', 'bolt']))
    const cwd = installed(folder(files))
    const job = await github.action({ command: 'plan', targets: list, comment: 'false' }, { cwd })
    expect([job.code, job.outputs.verdict, job.outputs.pending]).toEqual([0, 'clean', '2'])
    expect(job.summary).toMatch(/^\| acme \| clean \| 2 \|/m)
    expect(job.summary).toContain('| 2 | 2 steps: 002_pinned to 003_titles | clean | all 2 databases |')
  })

  test('Ctrl-C: what is at work ends and reports, nothing else begins', async () => {
    const many = await tenants(['a', 'b', 'c', 'd'])
    const child = start(
      ['migrate', '--targets', listOf(many), '--jobs', '1', '--format', 'json'],
      {},
      project,
    )
    child.stderr!.once('data', () => child.kill('SIGINT'))
    const ran = await ended(child)
    expect(ran.code).toBe(130)
    const seen = Object.values(verdicts(ran))
    expect(seen[0]).toBe('clean')
    expect(seen.slice(2)).toEqual([null, null])
    expect(codes(ran)).toContain('NOT_STARTED')
  })
})

describe('a list that cannot be used', () => {
  const refused = (args: string[], env = {}) =>
    rethread('', ['status', ...args], { cwd: project, ...(Object.keys(env).length > 0 ? { env } : {}) })

  test('a wrong line, a file that is not there, flags in conflict', async () => {
    const wrong = await refused(['--targets', listOf({ a: 'x' }, ['nonsense', 'b=mysql://u:p@h/d'])])
    expect([wrong.code, wrong.report.findings.map(f => f.subject.replace(/.*:/, ''))]).toEqual([
      2,
      ['3', '4'],
    ])
    const none = await refused(['--targets', 'no/such/file'])
    expect([none.code, codes(none)]).toEqual([2, ['BAD_TARGETS']])
    const both = await refused(['--targets', listOf({ a: 'x' }), '--database-url', urlOf('x')])
    expect([both.code, both.report.findings[0]!.subject]).toEqual([2, '--database-url'])
    const lonely = await refused(['--jobs', '3', '--canary', '2'])
    expect(lonely.report.findings.map(f => f.subject)).toEqual(['--canary', '--jobs'])
    const typo = await refused(['--targets', listOf({ acme: 'x' }), '--canary', 'acne'])
    expect([typo.code, typo.report.findings[0]!.fix]).toEqual([2, 'Did you mean `--canary acme`?'])
  })

  test('passwords in a file that others may read are warned of', async () => {
    const list = listOf(await tenants(['open']))
    chmodSync(list, 0o644)
    const ran = await run(list, 'status')
    expect(ran.report.findings.find(f => f.code === 'TARGETS_READABLE')?.fix).toBe(`chmod 600 ${list}`)
    expect(statSync(list).mode & 0o777).toBe(0o644)
  })

  test('a program that prints the list, and one that fails', async () => {
    const databases = await tenants(['printed'])
    const program = (text: string) => {
      const path = join(folder({ list: `#!/bin/sh\n${text}\n` }), 'list')
      chmodSync(path, 0o755)
      return path
    }
    const good = program(`echo "printed-$1=${urlOf(databases.printed!)}"`)
    const ran = await run(`command:${good} eu`, 'status')
    expect([ran.code, verdicts(ran)]).toEqual([1, { 'printed-eu': 'attention' }])
    const bad = program(
      'echo one >&2; echo "no answer from postgres://u:s3cr3t@h/d, token=s3cr3t" >&2; exit 3',
    )
    const failed = await refused(['--targets', `command:${bad} s3cr3t`])
    expect([failed.code, failed.report.findings[0]!.message]).toEqual([
      2,
      `\`command:${bad}\`: it ended with exit code 3: no answer from postgres://u:***@h/d, token=***.`,
    ])
    const missing = await refused(['--targets', 'command:./no-such-program'])
    expect(missing.report.findings[0]!.message).toContain('there is no such program')
    const shell = await refused(['--targets', 'command:cat a | sort'])
    expect([shell.code, codes(shell)]).toEqual([2, ['USAGE']])
  })

  test('no secret is in any format, in no file and in no line on the way', async () => {
    const databases = await tenants(['x', 'y'])
    const secrets = [password, decodeURIComponent(password), 'Tr0ub4dor']
    const wrong = new URL(urlOf('nobody'))
    wrong.username = 'no_such_role'
    const list = listOf(databases, [`z=${wrong}`])
    const formats = ['table', 'markdown', 'json', 'html', 'github', 'prometheus']
    const shown: string[] = []
    for (const command of ['plan', 'migrate']) {
      const files = formats.map(format => join(project, `${command}.${format}`))
      const outputs = formats.map((format, i) => `--output=${files[i]}=${format}`)
      const args = [command, '--targets', list, '--verbose', '--log', 'json', '--stop-after', '3', ...outputs]
      const ran = await rethread('', args, { cwd: project, json: false })
      expect(ran.code).toBe(2)
      shown.push(ran.stdout, ran.stderr, ...files.map(file => readFileSync(file, 'utf8')))
    }
    expect(shown.join('').length).toBeGreaterThan(10_000)
    expect(shown.filter(text => secrets.some(s => text.includes(s))).map(text => text.slice(0, 200))).toEqual(
      [],
    )
    // the run of an event is that of its database
    const runs = shown.flatMap(text =>
      [...text.matchAll(/"type":"run","run":\d+,"target":"(\w+)"/g)].map(m => m[1]),
    )
    expect(new Set(runs)).toEqual(new Set(['x', 'y']))
  })
})
