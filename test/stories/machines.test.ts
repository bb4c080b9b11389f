import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.js'
import { ended, rethread } from '../support/cli.js'
import { open, root } from '../support/database.js'
import { folder } from '../support/folder.js'
import { hasMachines, Machine } from '../support/machines.js'

/** Several machines at one server, each with a network of its own; one is cut off in the middle. */
describe.runIf(hasMachines)('machines of their own networks', () => {
  let dataDir: string
  let server: Awaited<ReturnType<typeof startEmbedded>>

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'rethread-machines-'))
    const settings = { listen_addresses: '*', fsync: 'off', max_connections: '100' }
    server = await startEmbedded({ dataDir, from: [root], settings })
    appendFileSync(join(dataDir, 'pg_hba.conf'), 'host all all 10.213.0.0/16 trust\n')
    const sql = open(server.url, 1)
    await sql`select pg_reload_conf()`
    await sql.end()
  })

  afterAll(async () => {
    await server.stop('immediate')
    rmSync(dataDir, { recursive: true, force: true })
  })

  const urlFrom = (machine: Machine, database: string) => {
    const url = new URL(server.url)
    url.hostname = machine.here
    url.pathname = `/${database}`
    return url.href
  }
  const here = (database: string) => {
    const url = new URL(server.url)
    url.pathname = `/${database}`
    return url.href
  }
  const make = async (database: string, sql: string) => {
    const admin = open(server.url, 1)
    await admin.unsafe(`create database ${database}`)
    await admin.end()
    const db = open(here(database), 2)
    await db.unsafe(sql)
    return db
  }
  const until = async (is: () => Promise<boolean>) => {
    while (!(await is())) await new Promise(done => setTimeout(done, 50))
  }

  // it waits for a minute until the server gives up on the machine that is cut off
  test.runIf(process.env.RETHREAD_SOAK).concurrent(
    'two share a backfill, and the one that leads is cut off: its ranges are taken over, every message once',
    {
      timeout: 300_000,
    },
    async () => {
      using leader = Machine.make(1)
      using helper = Machine.make(2)
      const examples = ['supabase-shim.sql', 'workspace-sessions/before.sql'].map(f =>
        readFileSync(join(root, 'examples', f), 'utf8'),
      )
      const db = await make('chat', `set demo.messages = 60000; ${examples.join('\n')}`)
      const counted = () =>
        db`select count(*)::int as n, count(distinct id)::int as ids, md5(string_agg(message, '' order by id)) as said from public.chats`
      const before = await counted()
      // rests longer than it works, so that there is a middle
      const leading = leader.start(['migrate', '--nice', '8', '--quiet'], urlFrom(leader, 'chat'))
      const leaderEnded = ended(leading)
      const batches = () =>
        db`select count(*)::int as n from rethread.batches`.catch(() => [{ n: 0 }] as const)
      await until(async () => (await batches())[0]!.n > 3)
      const helping = ended(helper.start(['backfill', '--nice', '2', '--quiet'], urlFrom(helper, 'chat')))
      const from = async () =>
        (
          await db<{ address: string }[]>`
        select distinct host(client_addr) as address from pg_stat_activity where datname = 'chat' and client_addr is not null`
        )
          .map(r => r.address)
          .sort()
      await until(async () => (await from()).includes('10.213.2.2'))
      expect(await from()).toContain('10.213.1.2')
      leader.cut()
      // the server lets go of whoever it does not hear from
      await until(async () => !(await from()).includes('10.213.1.2'))
      const helped = await helping
      expect(helped.report.findings.map(f => f.code)).toContain('HELPED')
      const cutOff = await leaderEnded
      // it has tried to come back for as long as it may
      expect([cutOff.code, cutOff.report.findings[0]!.code]).toEqual([2, 'NO_SERVER'])
      const rest = await ended(helper.start(['migrate', '--quiet'], urlFrom(helper, 'chat')))
      expect([rest.code, rest.report.verdict]).toEqual([0, 'clean'])
      expect(await counted()).toEqual(before)
      expect((await rethread(here('chat'), ['verify', '--deep'])).report.verdict).toBe('clean')
      await db.end()
    },
  )

  test.runIf(process.env.RETHREAD_SOAK).concurrent(
    'a run over many databases is cut off: each is old or new, and another machine completes them',
    {
      timeout: 300_000,
    },
    async () => {
      using first = Machine.make(3)
      using second = Machine.make(4)
      const names = Array.from({ length: 6 }, (_, i) => `tenant${i}`)
      const tenants: Awaited<ReturnType<typeof make>>[] = []
      for (const name of names)
        tenants.push(await make(name, 'create table public.notes (id bigint primary key)'))
      const cwd = folder({
        'migrations/001_tags.sql':
          'create table public.tags (id bigint primary key);\nselect pg_sleep(0.3);\n',
        'migrations/002_title.sql': 'alter table public.notes add column title text;\n',
      })
      const listFor = (machine: Machine) => {
        const path = join(folder({ tenants: '' }), 'tenants')
        writeFileSync(path, names.map(n => `${n}=${urlFrom(machine, n)}`).join('\n'))
        chmodSync(path, 0o600)
        return path
      }
      const args = (machine: Machine) => [
        ...['migrate', '--targets', listFor(machine), '--jobs', '2', '--canary', '0'],
        ...['--stop-after', '6', '--quiet'],
      ]
      const progress = () =>
        Promise.all(
          tenants.map(async sql => {
            const [row] = await sql`
            select (to_regclass('public.tags') is not null)::int
              + (select count(*) from pg_attribute where attrelid = 'public.notes'::regclass and attname = 'title')::int as files`
            return row!.files as number
          }),
        )
      const cutOff = ended(first.start(args(first), '', cwd))
      await until(async () => (await progress()).some(n => n === 2))
      first.cut()
      const lost = await cutOff
      expect(lost.code).toBe(2)
      const there = await progress()
      expect(there.some(n => n < 2)).toBe(true)
      const again = await ended(second.start(args(second), '', cwd))
      expect([again.code, again.report.targets!.map(t => t.report?.verdict)]).toEqual([
        0,
        names.map(() => 'clean'),
      ])
      expect(await progress()).toEqual(names.map(() => 2))
      await Promise.all(tenants.map(sql => sql.end()))
    },
  )
})
