import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { maskUrl, readAddress, secretsIn } from '../../src/database/address.js'
import { configured, rethread } from '../support/cli.js'
import { database, newest, root, servers } from '../support/database.js'

test('a URL is read as libpq reads it, and what is not PostgreSQL’s in it is named', () => {
  const read = (url: string) => {
    const { host, port, user, password, database: name, tls, ignored, shared } = readAddress(url)
    return [host, port, user, password, name, tls.mode, ignored, shared]
  }
  expect(read('postgres://ada:a%40b@db.example.com:6543/chat?pgbouncer=true&connection_limit=1')).toEqual([
    ...['db.example.com', 6543, 'ada', 'a@b', 'chat', 'prefer'],
    ...[['pgbouncer', 'connection_limit'], true],
  ])
  expect(
    read('postgresql://ada@ep-a-pooler.neon.tech/chat?sslmode=require&channel_binding=require&schema=public'),
  ).toEqual([
    ...['ep-a-pooler.neon.tech', 5432, 'ada', '', 'chat', 'require'],
    ...[['channel_binding', 'schema'], false],
  ])
  expect(read('postgres://ada@[::1]:5433/chat').slice(0, 2)).toEqual(['::1', 5433])
  expect(read('postgres://ada@/chat?host=/var/run/postgresql&port=5434').slice(0, 2)).toEqual([
    '/var/run/postgresql',
    5434,
  ])
  expect(read('postgres:///chat?user=ada&password=hush&host=h').slice(0, 5)).toEqual([
    ...['h', 5432, 'ada', 'hush', 'chat'],
  ])
})

test.each([
  ['ada:hush@h/chat', /not a URL/],
  ['mysql://ada:hush@h/chat', /mysql/],
  ['postgres://ada:hu/sh@h/chat', /not encoded/],
  ['postgres://ada:hu@sh@h/chat', /not encoded/],
  ['postgres://ada:hush%zz@h/chat', /% in it/],
  ['postgres://ada:hush@h:port/chat', /host and port/],
  ['postgres://ada:hush@h:99999/chat', /port/],
  ['postgres://ada:hush@h1:5432,h2:5432/chat', /several hosts/],
  ['postgres://ada:hush@h/chat?sslmode=maybe', /sslmode/],
])('%s is refused with the reason, and its password is not shown', async (url, reason) => {
  const { code, stdout, stderr, report } = await rethread(url, ['status', '--verbose'])
  const [finding] = report.findings
  expect([code, finding?.code, finding?.message]).toEqual([2, 'BAD_URL', expect.stringMatching(reason)])
  expect(`${stdout}${stderr}${maskUrl(url)}`).not.toMatch(/hush|hu.sh/)
})

test('secrets are known as they are written and as they are meant', () => {
  expect(secretsIn('postgres://ada:a%40b@h/chat?sslpassword=key&x=1')).toEqual(['a%40b', 'a@b', 'key'])
  expect(maskUrl('postgres://ada:a@h/chat?password=p&x=1')).toBe('postgres://ada:***@h/chat?password=***&x=1')
  // read as a password, or meant as one
  expect(maskUrl('postgres://h/chat?pass%77ord=hush&PASSWORD=hush&passwd=hush')).not.toContain('hush')
  expect(secretsIn('postgres://h/chat?pass%77ord=hush&Password=hash')).toEqual(['hush', 'hash'])
})

test.each(['json', 'table'])('a command line that is wrong does not show its URL (%s)', async format => {
  const url = 'postgres://ada:hush@h/chat'
  const cwd = mkdtempSync('/tmp/rethread-urls-')
  for (const args of [
    ['migrate', '--databse-url', url],
    ['migrate', `--databse-url=${url}`],
    ['migrate', url],
    ['status', '--track', url],
    ['restore', 'ada:hush@h/chat'],
    [url],
    [url, '--verbose'],
    ['--help', url],
    ['status', '--config', url],
    ['status', '--output', url],
    ['plan', '--out', url],
  ]) {
    const ran = await rethread('', [...args, '--format', format], { json: false, cwd })
    expect([args, ran.code, `${ran.stdout}${ran.stderr}`.includes('hush')]).toEqual([args, 2, false])
  }
  // no folder has its name either
  expect(readdirSync(cwd)).toEqual([])
})

describe.each(servers())('PostgreSQL $major', server => {
  test('parameters of other tools are left out; the sign of a shared pooler is believed', async () => {
    await using db = await database(server, 'workspace-sessions', 20)
    const asked = async (query: string) => {
      const { code, report, stderr } = await rethread(`${db.url}?${query}`, ['status', '--verbose'])
      return [
        code,
        report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.code),
        stderr,
      ]
    }
    expect(await asked('connection_limit=1&schema=public&channel_binding=require&supa=base')).toEqual([
      ...[1, [], expect.stringContaining('connection_limit, schema, channel_binding, supa')],
    ])
    expect((await asked('pgbouncer=true')).slice(0, 2)).toEqual([3, ['TRANSACTION_POOLER']])
    expect((await asked('sslmode=require')).slice(0, 2)).toEqual([2, ['TLS_FAILED']])
  })
})

test('services, password files and variables lead to a server as with libpq', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  const { hostname, port } = new URL(db.url)
  const home = mkdtempSync('/tmp/rethread-home-')
  mkdirSync(join(home, 'empty'))
  const service = join(home, 'services.conf')
  writeFileSync(
    service,
    `[other]\nport=1\n[chat]\nhost=${hostname}\nport=${port}\ndbname=${db.name}\nuser=postgres\n`,
  )
  writeFileSync(join(home, '.pgpass'), `# of the team\n*:*:*:postgres:a\\:b\n`)
  chmodSync(join(home, '.pgpass'), 0o600)
  const status = (env: Record<string, string>) => rethread('', ['status'], { env: { HOME: home, ...env } })
  const named = await status({ PGSERVICE: 'chat', PGSERVICEFILE: service })
  expect([named.code, named.report.target?.database]).toEqual([1, db.name])
  const missing = await status({ PGSERVICE: 'none', PGSERVICEFILE: service })
  expect([missing.code, missing.report.findings.map(f => f.code)]).toEqual([2, ['BAD_URL']])
})

test('a configuration that is no file, or not JSON, ends at once and shows nothing of it', async () => {
  const cwd = configured({})
  writeFileSync(join(cwd, 'secrets'), 'root:hush:1:0')
  for (const path of ['/dev/zero', cwd, join(cwd, 'secrets')]) {
    const ran = await rethread('postgres://ada@h/chat', ['status', '--config', path], { cwd })
    expect([path, ran.code, ran.report.findings.map(f => f.code)]).toEqual([path, 2, ['BAD_CONFIG']])
    expect(ran.stdout).not.toMatch(/hush|root/)
  }
})

test('a pipe in the place of a file is found before the command runs, which would wait for it', () => {
  const cwd = mkdtempSync('/tmp/rethread-pipe-')
  execFileSync('mkfifo', [join(cwd, 'pipe')])
  // nothing listens there: what is found before the server is asked for is found first
  const url = 'postgres://ada@127.0.0.1:1/chat'
  const asked = async (args: string[]) => {
    const { code, report, stderr } = await rethread(url, args, { cwd })
    return [args.join(' '), code, report.findings.map(f => f.code), stderr]
  }
  return Promise.all([
    ...[
      ['status', '--output'],
      ['plan', '--out'],
      ['prove', '--out'],
      ['migrate', '--adopt', '--fix-up'],
    ].map(async args =>
      expect(await asked([...args, 'pipe'])).toEqual([`${args.join(' ')} pipe`, 2, ['USAGE'], '']),
    ),
    ...[
      ['status', '--config', 'BAD_CONFIG'],
      ['init', '--answers', 'BAD_CONFIG'],
      ['migrate', '--plan', 'BAD_PIN'],
      ['prove', '--against', 'BAD_PROOF'],
    ].map(async ([command, flag, found]) =>
      expect(await asked([command!, flag!, 'pipe'])).toEqual([`${command} ${flag} pipe`, 2, [found], '']),
    ),
  ])
})

test('what a shell hands over is written to, though it is a pipe too', async () => {
  const cwd = mkdtempSync('/tmp/rethread-pipe-')
  const command = `"${process.execPath}" "${join(root, 'dist/cli/main.js')}" explain GATE --output`
  execFileSync('bash', ['-c', `${command} >(cat > got)`], { cwd })
  await expect.poll(() => readFileSync(join(cwd, 'got'), 'utf8')).toMatch(/^GATE/)
})

test('a report that could not be written is refused before the command runs', async () => {
  await using db = await database(newest(), 'workspace-sessions', 20)
  for (const path of ['/tmp', '/proc/nowhere/report.json']) {
    const { code, report } = await rethread(db.url, ['migrate', '--output', path])
    expect([path, code, report.findings.map(f => f.code)]).toEqual([path, 2, ['USAGE']])
  }
  expect((await db.sql`select to_regnamespace('rethread') as there`)[0]!.there).toBeNull()
})
