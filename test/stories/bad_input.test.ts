import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { discover } from '../../src/files/discover.js'
import { configured, ended, type Ran, rethread, start } from '../support/cli.js'
import { database, newest, open, picture, root, some } from '../support/database.js'
import { folder as folderOf } from '../support/folder.js'

/** A folder with the shipped track, to be spoilt. */
function spoiltFolder(): string {
  const folder = mkdtempSync('/tmp/rethread-files-')
  for (const kind of ['migrations', 'rollbacks', 'verify'])
    cpSync(join(root, kind), join(folder, kind), { recursive: true })
  return folder
}

/** One clear message of this code, with a fix, no stack trace, and this exit code. */
function expectFinding(ran: Ran, code: string, exit: number, words: RegExp, verbose = false): void {
  expect([
    ran.code,
    ran.report?.findings.filter(f => f.level !== 'info' && f.level !== 'warn').map(f => f.code),
  ]).toEqual([exit, [code]])
  const found = ran.report.findings.find(f => f.code === code)!
  expect(found.message).toMatch(words)
  expect(found.fix).toBeTruthy()
  if (!verbose) expect(ran.stdout + ran.stderr).not.toMatch(/\n\s+at .*\(|node:internal/)
}

describe('the connection', () => {
  const { hostname, port } = new URL(newest().url)

  test('no database named', async () =>
    expectFinding(await rethread('', ['migrate']), 'NO_DATABASE_URL', 2, /No database is named/))

  test('nobody answers', async () =>
    expectFinding(
      await rethread('postgres://u:secret@127.0.0.1:1/x', ['migrate']),
      'NO_SERVER',
      2,
      /127\.0\.0\.1:1/,
    ))

  test('an unknown host', async () =>
    expectFinding(
      await rethread('postgres://u@no-such-host.invalid/x', ['migrate']),
      'NO_SERVER',
      2,
      /no-such-host\.invalid/,
    ))

  test('not a URL', async () => {
    expectFinding(await rethread('postgres//nonsense', ['migrate']), 'BAD_URL', 2, /not a database URL/)
    expectFinding(await rethread('mysql://u:hush@h/x', ['migrate']), 'BAD_URL', 2, /mysql:/)
    for (const url of ['postgres://u@h/a%zz', 'postgres://u:p%zz@h/x'])
      expectFinding(await rethread(url, ['migrate']), 'BAD_URL', 2, /% in it/)
  })

  test('a database that is not there', async () =>
    expectFinding(
      await rethread(`postgres://postgres@${hostname}:${port}/no_such_database`, ['migrate']),
      'NO_SUCH_DATABASE',
      2,
      /no_such_database/,
    ))

  test('a wrong password, which is never printed', async () => {
    const dataDir = mkdtempSync('/tmp/rethread-password-')
    const server = await startEmbedded({ dataDir, from: [root] })
    const sql = open(server.url, 1)
    await sql.unsafe(`alter role postgres password 'the right one'`)
    await sql.end()
    await server.stop()
    writeFileSync(join(dataDir, 'pg_hba.conf'), 'host all all all scram-sha-256\n')
    const strict = await startEmbedded({ dataDir, from: [root] })
    try {
      for (const verbose of [[], ['--verbose']]) {
        const ran = await rethread(`postgres://postgres:hunter2%21@127.0.0.1:${strict.port}/postgres`, [
          'migrate',
          ...verbose,
        ])
        expectFinding(ran, 'WRONG_PASSWORD', 2, /password authentication failed/, verbose.length > 0)
        expect(ran.stdout + ran.stderr).not.toMatch(/hunter2/)
      }
    } finally {
      await strict.stop('immediate')
      rmSync(dataDir, { recursive: true, force: true })
    }
  })

  test('a replica takes no writes: refused before anything', async () => {
    const dataDir = mkdtempSync('/tmp/rethread-replica-')
    const primary = await startEmbedded({ dataDir, from: [root] })
    await primary.stop()
    writeFileSync(join(dataDir, 'standby.signal'), '')
    const standby = await startEmbedded({ dataDir, from: [root], settings: { hot_standby: 'on' } })
    try {
      expectFinding(
        await rethread(standby.url, ['migrate', '--track', 'workspace-sessions']),
        'READ_ONLY_SERVER',
        2,
        /standby in recovery/,
      )
    } finally {
      await standby.stop('immediate')
      rmSync(dataDir, { recursive: true, force: true })
    }
  })

  test('a database that is read-only by its settings', async () => {
    await using db = await database(newest())
    await db.sql.unsafe(`alter database ${db.name} set default_transaction_read_only = on`)
    expectFinding(await rethread(db.url, ['migrate']), 'READ_ONLY_SERVER', 2, /default_transaction_read_only/)
  })
})

describe.each(some('newest'))('the database on PostgreSQL $major', server => {
  test('a missing privilege: refused, nothing changed, the GRANT to paste', async () => {
    await using db = await database(server)
    const role = `weak_${db.name}`
    await db.sql.unsafe(
      `create role ${role} login; grant create on database ${db.name} to ${role}; grant usage on schema auth to ${role}; grant select on all tables in schema public, auth to ${role}`,
    )
    const before = await picture(db.sql)
    const url = new URL(db.url)
    url.username = role
    const ran = await rethread(url.toString(), ['migrate'])
    expectFinding(ran, 'MISSING_PRIVILEGE', 3, /public\.chats.*belongs to `postgres`/)
    expect(await picture(db.sql)).toEqual(before)
    await db.sql.unsafe(`drop owned by ${role}; drop role ${role}`)
  })

  test('rows that row security hides: refused, with the ALTER ROLE to paste', async () => {
    await using db = await database(server)
    const role = `blind_${db.name}`
    await db.sql.unsafe(`
      create role ${role} login; grant create on database ${db.name} to ${role}; grant usage, create on schema public, auth to ${role};
      grant select, references on auth.users to ${role};
      alter table chats owner to ${role}; alter table workspaces owner to ${role};
      alter table chats enable row level security; alter table chats force row level security`)
    const url = new URL(db.url)
    url.username = role
    const ran = await rethread(url.toString(), ['migrate'])
    expectFinding(ran, 'ROWS_HIDDEN', 3, /hides rows of `public\.chats`/)
    const checked = await rethread(url.toString(), ['verify'])
    expect(checked.code).not.toBe(0)
    await db.sql.unsafe(`reassign owned by ${role} to postgres; drop owned by ${role}; drop role ${role}`)
  })

  test('update_updated_at() is missing: the function to paste, and with it the run goes through', async () => {
    await using db = await database(server)
    await db.sql.unsafe('drop function update_updated_at() cascade')
    const ran = await rethread(db.url, ['migrate'])
    expectFinding(ran, 'MISSING_PREREQUISITE', 3, /function public\.update_updated_at\(\) is missing/)
    const seen = await rethread(db.url, ['doctor', '--track', 'workspace-sessions'])
    expect([seen.code, seen.report.findings.find(f => f.code === 'MISSING_PREREQUISITE')?.subject]).toEqual([
      1,
      'function public.update_updated_at()',
    ])
    await db.sql.unsafe(ran.report.findings.find(f => f.code === 'MISSING_PREREQUISITE')!.fix!)
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  })

  test('a database without the tables of any track: plan names each table once, and migrate refuses', async () => {
    await using db = await database(server, 'empty')
    const needy = discover(root).tracks.filter(t =>
      t.migrations.some(m => m.requires.some(r => /^table public\./.test(r))),
    )
    expect(needy.length).toBeGreaterThan(2)
    for (const { name } of needy) {
      const plan = await rethread(db.url, ['plan', '--track', name])
      const missing = plan.report.findings.filter(f => f.code === 'MISSING_PREREQUISITE').map(f => f.subject)
      expect([name, plan.code, missing.length > 0, missing.filter(s => / any$/.test(s))]).toEqual([
        name,
        1,
        true,
        [],
      ])
      const tables = missing.flatMap(s => /^table (\S+)$/.exec(s)?.[1] ?? [])
      expect(missing.filter(s => tables.some(t => s.startsWith(`column ${t}.`)))).toEqual([])
      expect([name, (await rethread(db.url, ['migrate', '--track', name])).code]).toEqual([name, 3])
    }
  })

  test('a chat_sessions of another shape is in the way', async () => {
    await using db = await database(server)
    await db.sql.unsafe('create table chat_sessions (id int primary key, tenant text)')
    const before = await picture(db.sql)
    expectFinding(
      await rethread(db.url, ['migrate']),
      'ALREADY_EXISTS',
      3,
      /`public\.chat_sessions` already exists/,
    )
    const adopted = await rethread(db.url, ['migrate', '--baseline', '001'])
    expectFinding(adopted, 'BASELINE_UNPROVEN', 3, /cannot be adopted/)
    expect(await picture(db.sql)).toEqual(before)
  })

  test('what was pasted into a SQL editor is adopted by --baseline, and the rest goes on', async () => {
    await using db = await database(server)
    const { readFileSync } = await import('node:fs')
    for (const name of [
      '001_create_chat_sessions',
      '002_link_chats_to_sessions',
      '003_collect_legacy_sessions',
      '004_create_legacy_sessions',
    ]) {
      await db.sql.unsafe(readFileSync(join(root, `migrations/workspace-sessions/${name}.sql`), 'utf8'))
    }
    const early = await rethread(db.url, ['migrate', '--baseline', '005'])
    expectFinding(early, 'BASELINE_UNPROVEN', 3, /rows of public\.chats where c\.session_id is null/)
    // what has another body, or no row security, is not what the file makes
    const [{ source }] = await db.sql<[{ source: string }]>`
      select pg_get_functiondef('chat_private.can_use_workspace(uuid)'::regprocedure) as source`
    await db.sql.unsafe(`alter table public.chat_sessions disable row level security;
      ${source.replace(/as (\$\w*\$)[\s\S]*\1/i, 'as $$$$ select true $$$$')}`)
    const opened = await rethread(db.url, ['migrate', '--baseline', '002'])
    expectFinding(opened, 'BASELINE_UNPROVEN', 3, /can_use_workspace with the body that its file gives it/)
    expectFinding(opened, 'BASELINE_UNPROVEN', 3, /chat_sessions: row level security is off/)
    await db.sql.unsafe(`alter table public.chat_sessions enable row level security; ${source}`)
    const adopted = await rethread(db.url, ['migrate', '--baseline', '002'])
    expect([adopted.code, adopted.report.steps.map(s => s.outcome)]).toEqual([0, ['done', 'done']])
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('an object that is not ours hangs on what a rollback drops: refused, nothing by CASCADE', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    await db.sql.unsafe('create view recent as select title from chat_sessions')
    const before = await picture(db.sql)
    const ran = await rethread(db.url, ['rollback', '--all', '--allow', 'DELETES_DATA', '--confirm', db.name])
    expectFinding(ran, 'DEPENDANTS', 3, /view recent/)
    expect(await picture(db.sql)).toEqual(before)
  })

  test('a session that holds a lock is named, and the run gives up within its budget', async () => {
    await using db = await database(server)
    const folder = configured({ lockBudgetSeconds: 1 })
    const reader = open(db.url, 1)
    let release = () => {}
    const released = new Promise<void>(done => {
      release = done
    })
    const hold = reader.begin(async tx => {
      await tx`select 'a secret' as literal, count(*) from chats`
      await released
    })
    const ran = await rethread(db.url, ['migrate', '--to', '002'], { cwd: folder }).finally(release)
    const found = ran.report.findings.find(f => f.code === 'LOCK_TIMEOUT')!
    expect([ran.code, String(found?.facts.blockers)]).toEqual([
      2,
      expect.stringContaining('idle in transaction'),
    ])
    expect(String(found.facts.blockers)).not.toContain('a secret')
    expect(ran.report.steps.map(s => s.outcome)).toEqual(['done', 'failed'])
    await hold
    await reader.end()
    expect((await rethread(db.url, ['migrate'])).code).toBe(0)
  })
})

describe('the files', () => {
  test('an applied file was edited: an error; reformatted: a warning', async () => {
    await using db = await database(newest())
    const folder = spoiltFolder()
    const file = join(folder, 'migrations/workspace-sessions/002_link_chats_to_sessions.sql')
    const { readFileSync } = await import('node:fs')
    const text = readFileSync(file, 'utf8')
    await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder })
    writeFileSync(file, text.replaceAll('\n', '\r\n') + '\n-- a licence\n')
    const cosmetic = await rethread(db.url, ['plan'], { cwd: folder })
    expect(cosmetic.report.findings.map(f => f.code)).toContain('APPLIED_FILE_REFORMATTED')
    writeFileSync(file, text.replace('session_id uuid', 'session_id text'))
    for (const command of [
      ['migrate'],
      ['rollback', '--steps', '1', '--allow', 'DELETES_DATA', '--confirm', db.name],
    ]) {
      expectFinding(
        await rethread(db.url, command, { cwd: folder }),
        'APPLIED_FILE_CHANGED',
        2,
        /changed after it was applied/,
      )
    }
    expect((await rethread(db.url, ['status'], { cwd: folder })).code).toBe(1)
  })

  test('an applied file was deleted', async () => {
    await using db = await database(newest())
    const folder = spoiltFolder()
    await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder })
    rmSync(join(folder, 'migrations/workspace-sessions/002_link_chats_to_sessions.sql'))
    rmSync(join(folder, 'rollbacks/workspace-sessions/002_link_chats_to_sessions.sql'))
    for (const name of [
      '003_collect_legacy_sessions',
      '004_create_legacy_sessions',
      '005_assign_messages',
      '006_index_and_constrain',
      '007_release_lost_messages',
      '008_prove_foreign_key',
      '009_set_aside_unassigned',
      '010_require_session',
      '011_follow_the_session',
    ]) {
      rmSync(join(folder, `migrations/workspace-sessions/${name}.sql`))
      rmSync(join(folder, `rollbacks/workspace-sessions/${name}.sql`), { force: true })
    }
    rmSync(join(folder, 'verify/workspace-sessions'), { recursive: true })
    mkdirSync(join(folder, 'verify/workspace-sessions'), { recursive: true })
    writeFileSync(
      join(folder, 'verify/workspace-sessions/one.sql'),
      `select 'x' as object, 'y' as detail where false`,
    )
    expectFinding(
      await rethread(db.url, ['migrate'], { cwd: folder }),
      'APPLIED_FILE_MISSING',
      2,
      /not on disk/,
    )
    const status = await rethread(db.url, ['status'], { cwd: folder })
    expect(status.report.tables[0]!.rows.find(r => r[0] === '002_link_chats_to_sessions')![2]).toBe('missing')
  })

  test('a file that fails shows file, line, column and caret, and leaves nothing behind', async () => {
    await using db = await database(newest())
    const folder = spoiltFolder()
    writeFileSync(
      join(folder, 'migrations/workspace-sessions/002_link_chats_to_sessions.sql'),
      `--! title: Broken — with an em dash and 𝄞 before the fault\n\ncreate table half (id int);\nselect '𝄞', no_such_column\n  from workspaces;\n`,
    )
    const ran = await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder })
    expectFinding(ran, 'SQL_ERROR', 2, /002_link_chats_to_sessions\.sql:4.*no_such_column/)
    const { facts } = ran.report.findings.find(f => f.code === 'SQL_ERROR')!
    expect([facts.sqlstate, facts.column, facts.excerpt]).toEqual(['42703', 13, `select '𝄞', no_such_column`])
    expect(ran.report.steps.map(s => s.outcome)).toEqual(['done', 'failed'])
    const [left] =
      await db.sql`select to_regclass('half') as half, (select outcome from rethread.ledger order by id desc limit 1) as outcome`
    expect(left).toEqual({ half: null, outcome: 'failed' })
  })

  test('a file that ends as another role is rolled back', async () => {
    await using db = await database(newest())
    const folder = spoiltFolder()
    writeFileSync(
      join(folder, 'migrations/workspace-sessions/002_link_chats_to_sessions.sql'),
      'create table half (id int);\nset role anon;\n',
    )
    expectFinding(
      await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder }),
      'ROLE_CHANGED',
      2,
      /and ended as `anon`/,
    )
    const [left] = await db.sql`select to_regclass('half') as half`
    expect(left!.half).toBeNull()
  })

  test('a file that leaves a setting behind is told, and the setting put back', async () => {
    await using db = await database(newest())
    const folder = spoiltFolder()
    writeFileSync(
      join(folder, 'migrations/workspace-sessions/002_link_chats_to_sessions.sql'),
      `select set_config('search_path', '', false);\n`,
    )
    const ran = await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder })
    // the files after it miss what 002 made, which is said too
    expect([ran.code, ran.report.findings.map(f => f.code)]).toEqual([
      1,
      expect.arrayContaining(['NOT_TRIED']),
    ])
    expect(ran.report.findings.find(f => f.code === 'SETTINGS_LEAKED')!.facts.settings).toEqual([
      'search_path',
    ])
  })

  test('a stack overflow is a fault of rethread, never one of usage', async () => {
    await using db = await database(newest())
    const nested = `alter table public.t add constraint c check (${'f('.repeat(3000)}1${')'.repeat(3000)});\n`
    const dir = folderOf({
      'migrations/own/001_deep.sql': `--! title: Deep\n--! irreversible: it stays\n${nested}`,
      'verify/own/deep.sql': 'select 1 as object, 2 as detail where false\n',
    })
    const ran = await ended(
      start(['plan', '--format', 'json'], { DATABASE_URL: db.url }, dir, ['--stack-size=200']),
    )
    expectFinding(ran, 'UNEXPECTED', 2, /^RangeError: Maximum call stack .*a fault of rethread/)
  })

  test('garbage in the configuration: every fault of it at once', async () => {
    const folder = mkdtempSync('/tmp/rethread-config-')
    const file = join(folder, 'rethread.config.json')
    writeFileSync(file, '{ nonsense')
    expectFinding(await rethread(newest().url, ['status'], { cwd: folder }), 'BAD_CONFIG', 2, /not JSON/)
    writeFileSync(file, JSON.stringify({ lockTimeoutMs: 90000, surprise: 1, settings: { 'Not Good': 'x' } }))
    const ran = await rethread(newest().url, ['status'], { cwd: folder })
    expectFinding(ran, 'BAD_CONFIG', 2, /80 ms.*|surprise/)
    for (const word of ['lockTimeoutMs', 'surprise', 'settings'])
      expect(ran.report.findings[0]!.message).toContain(word)
    expectFinding(
      await rethread(newest().url, ['status', '--config', 'nowhere.json'], { cwd: folder }),
      'BAD_CONFIG',
      2,
      /no such file/,
    )
    expectFinding(
      await rethread(newest().url, ['status', '--config', '.'], { cwd: folder }),
      'BAD_CONFIG',
      2,
      /cannot be read: EISDIR/,
    )
  })

  test('a newer rethread has been here', async () => {
    await using db = await database(newest())
    await rethread(db.url, ['migrate', '--no-backfill'])
    await db.sql`insert into rethread.meta (version, tool) values (99, 'rethread 9')`
    for (const command of ['migrate', 'status', 'plan', 'verify'])
      expectFinding(await rethread(db.url, [command]), 'NEWER_LEDGER', 2, /version 99/)
  })
})
