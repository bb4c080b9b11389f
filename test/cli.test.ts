import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startEmbedded } from '../src/database/embedded.js'
import { codes, hazards } from '../src/model/codes.js'
import { reportJsonSchema, reportSchema } from '../src/model/schema.js'
import { contract, ended, rethread, start } from './support/cli.js'
import { type Database, database, newest, picture, root } from './support/database.js'
import { folder } from './support/folder.js'

const plain = { json: false }

/** A server that nobody else uses: its transaction ids and its load are of one test alone. */
async function ownServer(settings: Record<string, string> = {}) {
  const dataDir = mkdtempSync('/tmp/rethread-alone-')
  const server = await startEmbedded({ dataDir, from: [root], settings })
  return {
    ...newest(),
    url: server.url,
    [Symbol.asyncDispose]: async () => {
      await server.stop('immediate')
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

describe('help and usage', () => {
  // lists of commands, formats and filters are compared with the files, so that a new file changes no golden
  test('the help of every command is reviewed like code', async () => {
    const { stdout, code } = await rethread('', ['--help'], plain)
    expect(code).toBe(0)
    const [, head, entries, end] = /^([\s\S]+?)(Start here:\n[\s\S]+?\n)(\nExit codes:[\s\S]+)$/.exec(stdout)!
    await expect((head! + end!).replace(/(?<=\S) {2,}/g, '  ')).toMatchFileSnapshot('golden/help.txt')
    const names = (folder: string, declaring: RegExp) =>
      readdirSync(join(root, folder))
        .filter(f => f.endsWith('.ts') && declaring.test(readFileSync(join(root, folder, f), 'utf8')))
        .map(f => f.replace('.ts', ''))
    const commands = names('src/commands', /^/)
    const listed = entries!.match(/^ {2}\S+/gm)!.map(e => e.trim())
    expect(listed.slice(0, 5)).toEqual(['demo', 'doctor', 'plan', 'migrate', 'verify'])
    expect([...listed].sort()).toEqual([...commands, 'completion'].sort())
    const formats = names('src/render', /^export default defineRenderer/m)
    const format = `${formats.slice(0, -1).join(', ')} or ${formats.at(-1)}`
    const bare = folder({ 'migrations/none/track.json': '{}' })
    const oneLine = (text: string) => text.replace(/\s+/g, ' ')
    for (const name of commands) {
      const said = await rethread('', [name, '--help', '--dir', bare], plain)
      expect(said.code).toBe(0)
      const [, usage, summary] = /^Usage: rethread (.+)\n\n([\s\S]+?)\n\n/.exec(said.stdout)!
      expect(oneLine(entries!)).toContain(oneLine(`${usage} ${summary}`))
      expect(oneLine(said.stdout)).toContain(`-f, --format <format> ${format} (default table)`)
      const fixed = said.stdout.replace(
        /( +-f, --format <format> +)[\s\S]+?\(default\s+table\)/,
        '$1(formats)',
      )
      await expect(fixed).toMatchFileSnapshot(`golden/help-${name}.txt`)
    }
  })

  test('the help of a command is asked for in two ways, and its example has flags that it takes', async () => {
    const taken = readdirSync(join(root, 'src/commands')).map(f => f.replace('.ts', ''))
    for (const name of taken) {
      const { stdout } = await rethread('', ['help', name], plain)
      const [, example] = /\nExample:\n {2}(.+)\n/.exec(stdout)!
      expect([name, example]).toEqual([name, expect.stringMatching(new RegExp(`^rethread ${name}\\b`))])
      for (const [flag] of example!.matchAll(/--[\w-]+/g))
        expect(stdout).toMatch(new RegExp(`^ .*${flag}\\b`, 'm'))
    }
    const [asked, flagged] = [
      await rethread('', ['help', 'plan'], plain),
      await rethread('', ['plan', '-h'], plain),
    ]
    expect(asked.stdout).toBe(flagged.stdout)
    expect((await rethread('', ['help'], plain)).stdout).toBe((await rethread('', ['--help'], plain)).stdout)
    const offline = await rethread('', ['explain', '--help'], plain)
    expect(offline.stdout).not.toMatch(/--database-url|--allow|--confirm/)
  })

  test('short flags do what their long names do', async () => {
    const { stdout } = await rethread('', ['explain', 'LOSS', '-f', 'json'], plain)
    expect(JSON.parse(stdout)).toMatchObject({ command: 'explain' })
    // the name that the flag has is looked for
    const before = await rethread('', ['-t', 'nope', '-q', 'lint'])
    expect(before.report.findings.map(f => [f.code, f.subject])).toEqual([['USAGE', '--track nope']])
  })

  test('bash completes commands, flags and their values', async () => {
    const { stdout: script } = await rethread('', ['completion', 'bash'], plain)
    const complete = (...words: string[]): string[] =>
      execFileSync('bash', [
        '-c',
        `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rethread; printf '%s\\n' "\${COMPREPLY[@]}"`,
        'bash',
        'rethread',
        ...words,
      ])
        .toString()
        .trim()
        .split('\n')
    expect(complete('pl')).toEqual(['plan'])
    expect(complete('plan', '--reh')).toEqual(['--rehearse', '--rehearse-url'])
    expect(complete('plan', '--format', 'm')).toEqual(['markdown'])
    expect(complete('migrate', '--allow', 'ENDS')).toEqual(['ENDS_OLD_APP'])
    expect(complete('quarantine', 'a')).toEqual(['assign'])
    for (const shell of ['zsh', 'fish']) {
      const of = await rethread('', ['completion', shell], plain)
      expect([of.code, of.stdout]).toEqual([0, expect.stringContaining('rehearse-url')])
    }
    const ksh = await rethread('', ['completion', 'ksh'], plain)
    expect([ksh.code, ksh.stderr]).toEqual([2, expect.stringContaining("'ksh', only for bash, zsh, fish")])
  })

  test.each(['explain', 'help plan', 'completion bash'])(
    '%s | head: a reader that leaves is no error',
    words => {
      const main = `${process.execPath} ${join(root, 'dist/cli/main.js')}`
      const ran = spawnSync('bash', ['-c', `${main} ${words} | head -n 1; echo \${PIPESTATUS[0]}`], {
        encoding: 'utf8',
      })
      expect([ran.stderr, ran.stdout.trimEnd().split('\n').at(-1)]).toEqual(['', '0'])
    },
  )

  test('a typo in a command or a flag: what was meant, exit 2, no stack', async () => {
    const command = await rethread('', ['migrat'], plain)
    expect([command.code, command.stderr]).toEqual([
      2,
      expect.stringMatching(/unknown command 'migrat'[\s\S]*migrate/),
    ])
    const flag = await rethread('', ['migrate', '--alow', 'X'], plain)
    expect([flag.code, flag.stderr]).toEqual([
      2,
      expect.stringMatching(/unknown option '--alow'[\s\S]*--allow/),
    ])
    expect(flag.stderr).toContain('\nrethread help migrate shows')
    expect(command.stderr + flag.stderr).not.toMatch(/\n\s+at /)
  })

  test.each([
    [['help', 'migrat']],
    [['migrat', '--help']],
    [['--quiet', 'migrat']],
    [['--track', 'demo', 'migrat', '--all']],
  ])('%j is no command, whatever is beside it', async args => {
    const ran = await rethread('', args, plain)
    expect([ran.code, ran.stdout]).toEqual([2, ''])
    expect(ran.stderr).toBe(
      "error: unknown command 'migrat'\n(Did you mean migrate?)\nrethread --help lists the commands.\n",
    )
  })

  test('without a command the list of commands is shown once, and nothing was done', async () => {
    const ran = await rethread('', [], plain)
    const { stdout } = await rethread('', ['--help'], plain)
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([2, stdout, ''])
  })

  test('global flags may come before the command', async () => {
    const ran = await rethread('', ['--quiet', '--track', 'workspace-sessions', 'status'])
    expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([2, ['NO_DATABASE_URL']])
  })

  test('wrong usage still gives one JSON document', async () => {
    const ran = await rethread('', ['migrate', '--alow', 'X'])
    expect([ran.code, ran.report.verdict, ran.report.findings[0]!.code]).toEqual([2, 'failed', 'USAGE'])
  })

  test.each([
    [['plan', '--phase', 'expnd'], '--phase expnd', 'Did you mean `--phase expand`?'],
    [['migrate', '--allow', 'DELETE_DATA,ENDS_OLD_APP'], '--allow DELETE_DATA', '--allow DELETES_DATA'],
    [['verify', '--fail-on', 'warning'], '--fail-on warning', 'rethread help verify'],
    [['verify', '--fail-on', 'eror'], '--fail-on eror', '--fail-on error'],
    [['migrate', '--nice', '-1'], '--nice -1', 'rethread help migrate'],
    [['migrate', '--workers', '1.5'], '--workers 1.5', 'rethread help migrate'],
    [['migrate', '--lock-wait', 'long'], '--lock-wait long', 'rethread help migrate'],
    [['explain', 'DELETE_DATA'], 'DELETE_DATA', 'rethread explain DELETES_DATA'],
    [['export', '--track', 'trip-session'], '--track trip-session', '--track trip-sessions'],
    [['export', '--track', 'nothing'], '--track nothing', 'rethread help export'],
    [['new', 'AddRating', '--track', 'own'], 'new AddRating', 'rethread new add_rating'],
    [['new', 'add_rating', '--track', 'Own'], '--track Own', 'rethread help new'],
  ])('%j names the flag and what was probably meant', async (args, subject, fix) => {
    const { code, report } = await rethread('', args)
    expect([code, report.findings.map(f => [f.code, f.subject])]).toEqual([2, [['USAGE', subject]]])
    expect(report.findings[0]!.fix).toContain(fix)
  })

  test.each([
    [['--rollback', '--rehearse-url', 'postgres://localhost/copy'], '--rehearse-url', 'not for --rollback'],
    [['--rollback', '--out', 'plan.json'], '--out', 'not for --rollback'],
    [['--rollback', '--phase', 'contract'], '--phase', 'not for --rollback'],
    [['--rollback', '--no-backfill'], '--no-backfill', 'not for --rollback'],
    [['--all'], '--all', 'needs --rollback'],
    [['--steps', '2'], '--steps', 'needs --rollback'],
  ])('plan %j: an option that would do nothing is refused', async (args, subject, reason) => {
    const { code, report } = await rethread('postgres://localhost:1/none', ['plan', ...args])
    expect([code, report.findings.map(f => [f.code, f.subject])]).toEqual([2, [['USAGE', subject]]])
    expect(report.findings[0]!.message).toContain(reason)
  })

  test('every option that is wrong is named, not only the first', async () => {
    const { code, report } = await rethread('', ['plan', '--phase', 'x', '--steps', '0', '--lock-wait', '-1'])
    expect(code).toBe(2)
    expect(report.findings.map(f => f.message)).toEqual([
      '`--phase x`: it is not one of its values (expand, backfill, contract).',
      '`--steps 0`: it takes a whole number from 1.',
      '`--lock-wait -1`: it takes seconds.',
    ])
  })

  test('a report that could not be written where it should be is refused, with the reason', async () => {
    const { code, report } = await rethread('', ['explain', 'LOSS', '--output', '/dev/null/report.json'])
    expect([code, report.verdict, report.tables]).toEqual([2, 'failed', []])
    expect(report.findings.map(f => f.message)).toEqual([
      expect.stringMatching(/`--output \/dev\/null\/report.json`: ENOTDIR: not a directory/),
    ])
  })

  test('an unknown format is said in the usual one', async () => {
    const { code, stdout } = await rethread('', ['plan', '--format', 'jsno'], plain)
    expect([code, stdout]).toEqual([2, expect.stringMatching(/`--format jsno`: [\s\S]*`--format json`\?/)])
  })

  test.each([
    [['migrate', '--workers', 'many'], 'USAGE'],
    [['migrate', '--format', 'xml'], 'USAGE'],
    [['rollback'], 'TARGET_NEEDED'],
    [['rollback', '--to', 'nowhere'], 'UNKNOWN_MIGRATION'],
    [['restore'], 'NO_ARCHIVE'],
    [['verify', '--only', 'nothing'], 'USAGE'],
    [['status', '--track', 'nothing'], 'USAGE'],
    [['doctor', '--track', 'nothing'], 'USAGE'],
    [['migrate', '--targets', '/tmp/no/such/file'], 'BAD_TARGETS'],
    [['migrate', '--config', '/tmp/no/such/file'], 'BAD_CONFIG'],
    [['status', '--dir', '/tmp/no/such/folder'], 'NO_TRACKS'],
    [['explain', 'NO_SUCH_CODE'], 'USAGE'],
  ])('%j is told as %s', async (args, code) => {
    await using db = await database(newest())
    const ran = await rethread(db.url, args, args.includes('xml') ? { json: false } : {})
    expect(ran.code).toBeGreaterThanOrEqual(1)
    expect(ran.stdout).toContain(code)
    expect(ran.stdout + ran.stderr).not.toMatch(/\n\s+at .*\(/)
  })

  test('checks that there are not are all named, before anything is looked at', async () => {
    await using db = await database(newest())
    const { code, report } = await rethread(db.url, ['verify', '--only', 'colums,triggers,nothing'])
    expect([code, report.checks]).toEqual([2, []])
    expect(report.findings.map(f => [f.subject, f.fix])).toEqual([
      ['--only colums', 'Did you mean `--only columns`?'],
      ['--only nothing', 'rethread help verify'],
    ])
    // a long list is of no use beside what was meant
    expect(report.findings[0]!.message).not.toContain('policies_sound')
  })

  test('a fix names what is to be typed: the package manager, the folder and the configuration', async () => {
    const cwd = folder({ 'db/migrations/none/track.json': '{}', 'db/own.json': '{}' })
    const args = ['status', '--dir', 'db', '--config', 'db/own.json']
    const flags = '--dir db --config db/own.json'
    await using db = await database(newest(), 'empty')
    const fixOf = async (env: Record<string, string>, ...more: string[]) => {
      const { report } = await rethread(db.url, [...args, ...more], { cwd, env })
      return report.findings.map(f => f.fix).find(fix => fix?.includes('rethread'))
    }
    const next = `verify ${flags} --track none`
    expect(await fixOf({})).toBe(`rethread ${next}`)
    expect(await fixOf({ npm_lifecycle_event: 'npx' })).toBe(`npx rethread ${next}`)
    const pnpm = { npm_lifecycle_event: 'x', npm_config_user_agent: 'pnpm/10.1.0 npm/? node/v20' }
    expect(await fixOf(pnpm)).toBe(`pnpm exec rethread ${next}`)
    const layout = await fixOf({}, '--layout', 'tracks')
    expect(layout).toBe(`rethread verify ${flags} --layout tracks --track none`)
  })

  test('explain shows each part of a finding, a hazard and a check, and lists all without a name', async () => {
    const { stdout } = await rethread('', ['explain', 'DELETES_DATA'], plain)
    expect(stdout).toContain('--allow DELETES_DATA')
    const check = await rethread('', ['explain', 'orphaned-messages'], plain)
    expect(check.stdout).toMatch(/^orphaned_messages {2}check, level error\n/)
    expect(check.stdout).toContain('verify/workspace-sessions/orphaned_messages.sql')
    const { report } = await rethread('', ['explain', 'QUARANTINED'])
    expect(report.tables[0]!.rows.map(([part]) => part)).toEqual([
      'kind',
      'meaning',
      'why it matters',
      'what to do',
      'example',
    ])
    const all = (await rethread('', ['explain'])).report.tables
    expect(all.map(t => t.title)).toEqual(['Findings', 'Hazards', 'Checks'])
    const named = all.flatMap(t => t.rows.map(([name]) => name))
    expect(named).toEqual(expect.arrayContaining([...Object.keys(codes), ...Object.keys(hazards), 'grants']))
    // checks that no file has, and steps: a report names them too
    expect(named).toEqual(expect.arrayContaining(['real_persons', 'same_as_backfilled']))
    for (const [name, kind] of [
      ['same_as_backfilled', 'check, level warn'],
      ['real-persons', 'check, level error'],
      ['004_create_legacy_sessions', 'migration, phase backfill'],
    ] as const) {
      const said = await rethread('', ['explain', name])
      expect([said.code, said.report.tables[0]?.rows[0]]).toEqual([0, ['kind', kind]])
    }
  })
})

describe('reports', () => {
  let db: Database
  beforeAll(async () => {
    db = await database(newest())
    return () => db[Symbol.asyncDispose]()
  })

  test('plan writes nothing and creates nothing; its rehearsal on twins takes the only transaction id', async () => {
    // ids belong to a whole server
    await using server = await ownServer({ autovacuum: 'off' })
    await using alone = await database(server)
    const next = async () =>
      (await alone.sql`select pg_snapshot_xmax(pg_current_snapshot())::text as id`)[0]!.id
    const before = await picture(alone.sql)
    const first = Number(await next())
    for (const [ids, ...args] of [
      [1, 'plan'],
      [1, 'plan', ...contract],
      [0, 'plan', '--rollback', '--all'],
      [0, 'status'],
      [1, 'doctor'],
    ] as [number, ...string[]][]) {
      const before = Number(await next())
      const ran = await rethread(alone.url, args)
      expect([args, ran.code]).toEqual([args, args[0] === 'status' ? 1 : 0])
      expect([args, Number(await next()) - before]).toEqual([args, ids])
    }
    expect(Number(await next()) - first).toBe(3)
    expect((await rethread(alone.url, ['verify'])).code).toBe(1)
    const [there] = await alone.sql`select to_regnamespace('rethread') as ours`
    expect(there!.ours).toBeNull()
    expect(await picture(alone.sql)).toEqual(before)
  })

  test('plan shows the SQL, the phase, the hazards, the tables, and what lies ahead', async () => {
    const { report } = await rethread(db.url, ['plan'])
    expect(report.steps.map(s => [s.migration, s.phase, s.outcome])[0]).toEqual([
      '001_create_chat_sessions',
      'expand',
      'planned',
    ])
    expect(report.steps[1]!.hazards.map(h => `${h.code} ${h.subject}`)).toEqual([
      'LOCKS_TABLE public.chats',
      ...Array.from({ length: 8 }, () => 'BLOCKS_WRITES public.chats'),
    ])
    expect(report.steps.flatMap(s => s.statements).join('\n')).toContain('create table public.chat_sessions')
    const tables = report.tables.find(t => t.title === 'Tables touched')!
    expect(tables.rows.map(r => r[0])).toContain('public.chats')
    expect(report.findings.filter(f => f.code === 'OUTLOOK').map(f => f.subject)).toEqual([
      "workspaces that are deleted with their owner's account",
      'workspaces with several authors',
      'messages of deleted workspaces',
      'messages without a time',
      'messages without a workspace',
    ])
  })

  test('JSON follows the schema that ships, also when a command fails', async () => {
    const shipped = JSON.parse(readFileSync(join(root, 'dist/report.schema.json'), 'utf8'))
    expect(shipped).toEqual(JSON.parse(JSON.stringify(reportJsonSchema())))
    const strict = z.strictObject(reportSchema.shape)
    for (const args of [
      ['plan'],
      ['migrate'],
      ['status'],
      ['verify'],
      ['verify', '--list'],
      ['rollback', '--all'],
      ['backfill', '--status'],
      ['restore', '--list'],
      ['migrate', '--to', 'nowhere'],
    ]) {
      const ran = await rethread(db.url, args)
      const parsed = strict.safeParse(ran.report)
      expect([args, parsed.error?.issues ?? []]).toEqual([args, []])
    }
  })

  test('the table and the Markdown of a plan are reviewed like code', async () => {
    // a server that others load is said to be strained
    await using server = await ownServer()
    await using fresh = await database(server)
    const steady = (text: string) =>
      text
        .replaceAll(fresh.name, 'chat')
        .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:5432')
        .replaceAll('`127.0.0.1`', '`127.0.0.1`')
        .replace(/PostgreSQL 18\.\d+/g, 'PostgreSQL 18')
        .replace(/\d+(\.\d+)? (kB|MB)/g, 'N kB')
        .replace(/\d{4}-\d\d-\d\d \d\d:\d\d UTC/g, '2026-01-01 12:00 UTC')
        .replace(/ +$/gm, '')
    const table = await rethread(fresh.url, ['plan'], plain)
    await expect(steady(table.stdout)).toMatchFileSnapshot('golden/plan.txt')
    const markdown = await rethread(fresh.url, ['plan', '--format', 'markdown'], plain)
    await expect(steady(markdown.stdout)).toMatchFileSnapshot('golden/plan.md')
  })

  test('a demo that is stopped ends there, and says so', async () => {
    const child = start(['demo', '--messages', '20000', '--format', 'json'])
    child.stderr!.on('data', (line: Buffer) => {
      if (String(line).includes('$ rethread backfill')) child.kill('SIGINT')
    })
    const { code, report } = await ended(child)
    expect([code, report.verdict, report.tables[0]!.rows.at(-1)!.slice(0, 2)]).toEqual([
      130,
      'interrupted',
      ['backfill', 'interrupted'],
    ])
    expect(report.findings).toEqual([])
  })

  test('--output writes the report to a file, --quiet says nothing else', async () => {
    const file = `/tmp/rethread-report-${process.pid}.json`
    const ran = await rethread(db.url, ['status', '--quiet', '--output', file])
    expect([ran.stdout, ran.stderr]).toEqual(['', ''])
    expect(JSON.parse(readFileSync(file, 'utf8')).command).toBe('status')
  })

  test('the ledger and the archive are closed to the API’s roles', async () => {
    const [row] = await db.sql`
      select bool_or(has_schema_privilege(r, s, 'usage')) as used,
        bool_or(has_table_privilege(r, 'rethread.ledger', 'select') or has_table_privilege(r, 'rethread_archive.quarantine', 'select')) as read
      from unnest(array['anon', 'authenticated', 'service_role']) r, unnest(array['rethread', 'rethread_archive']) s`
    expect(row).toEqual({ used: false, read: false })
  })

  test('verify of a track of which nothing is applied is attention, never clean', async () => {
    await using fresh = await database(newest())
    const ran = await rethread(fresh.url, ['verify'])
    expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([1, ['NOTHING_APPLIED']])
  })

  test('verify finds a fault, names the object, and exits 1', async () => {
    await using fresh = await database(newest())
    await rethread(fresh.url, ['migrate'])
    await fresh.sql.unsafe('drop index idx_chats_session_id')
    const ran = await rethread(fresh.url, ['verify', '--only', 'indexes,columns'])
    expect([ran.code, ran.report.checks.map(c => [c.check, c.outcome])]).toEqual([
      1,
      [
        ['columns', 'pass'],
        ['indexes', 'found'],
      ],
    ])
    expect(ran.report.checks[1]!.found).toEqual([
      {
        object: 'idx_chats_session_id',
        detail: 'missing',
        key: 'workspace-sessions/indexes/idx_chats_session_id',
        accepted: null,
        preExisting: false,
      },
    ])
    const warned = await rethread(fresh.url, ['verify', '--only', 'quarantined', '--fail-on', 'warn'])
    expect(warned.code).toBe(1)
  })
})

test('two writers: the second waits no longer than it was told', async () => {
  await using db = await database(newest(), 'workspace-sessions', 60_000)
  const first = ended(start(['migrate', '--nice', '2', '--format', 'json'], { DATABASE_URL: db.url }))
  for (let i = 0; i < 400; i++) {
    const [held] = await db.sql`select holder from rethread.lease where holder is not null`.catch(() => [])
    if (held) break
    await new Promise(done => setTimeout(done, 10))
  }
  const second = await rethread(db.url, ['migrate', '--lock-wait', '0'])
  expect([second.code, second.report.findings.map(f => f.code)]).toEqual([
    3,
    expect.arrayContaining(['ANOTHER_RUN']),
  ])
  expect((await first).code).toBe(0)
})
