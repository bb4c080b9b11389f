import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { ended, start } from '../support/cli.js'
import { database, open, picture, root, some } from '../support/database.js'

describe.each(some('oldest'))('plan on PostgreSQL $major', server => {
  test.each([['plan'], ['plan', '--rollback'], ['doctor'], ['status'], ['verify']])(
    '%s %s reads only: no transaction id, no lock above ACCESS SHARE on a user’s table, read-only by the server’s word, nothing changed',
    async (...args) => {
      await using db = await database(server, 'workspace-sessions', 2000)
      const before = await picture(db.sql)
      // whoever wants more than ACCESS SHARE has to wait, and is seen
      const holder = open(db.url, 1)
      await holder.unsafe(`begin; do $$ declare t regclass; begin
        for t in select oid from pg_class where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'auth'::regnamespace)
        loop execute format('lock table %s in exclusive mode', t); end loop; end $$`)
      const child = start([...args, '--track', 'workspace-sessions', '--format', 'json'], {
        DATABASE_URL: db.url,
      })
      const ran = ended(child)
      let over = false
      void ran.then(() => {
        over = true
      })
      const seen = { looks: 0, xids: 0, locks: new Set<string>() }
      while (!over) {
        const rows = await db.sql<{ pid: number; xid: boolean }[]>`
          select pid, backend_xid is not null as xid from pg_stat_activity
          where datname = ${db.name} and application_name like 'rethread reader%'`
        for (const { pid, xid } of rows) {
          seen.looks++
          if (xid) seen.xids++
          const locks = await db.sql<{ lock: string }[]>`
            select c.oid::regclass::text || ' ' || l.mode as lock
            from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
            where l.pid = ${pid} and n.nspname in ('public', 'auth') and l.mode <> 'AccessShareLock'`
          for (const { lock } of locks) seen.locks.add(lock)
        }
        await sleep(1)
      }
      await ran
      await holder.unsafe('commit')
      await holder.end()
      expect({ xids: seen.xids, locks: [...seen.locks] }).toEqual({ xids: 0, locks: [] })
      // it was looked at while it ran
      expect(seen.looks).toBeGreaterThan(0)
      expect(await picture(db.sql)).toEqual(before)
      const [made] = await db.sql`select to_regnamespace('rethread') as there`
      expect(made!.there).toBeNull()
    },
  )

  test('the server itself refuses a write in a check, whatever the check calls', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(`create function public.sly() returns int language plpgsql as $$
      begin update public.workspaces set name = 'written'; return 1; end $$`)
    const dir = mkdtempSync('/tmp/rethread-sly-')
    for (const f of ['migrations', 'rollbacks', 'verify']) mkdirSync(join(dir, f, 'own'), { recursive: true })
    writeFileSync(join(dir, 'migrations/own/001_x.sql'), 'create table public.x (id int primary key);')
    writeFileSync(join(dir, 'rollbacks/own/001_x.sql'), 'drop table public.x;')
    writeFileSync(
      join(dir, 'verify/own/sly.sql'),
      "select 'x' as object, 'y' as detail where public.sly() = 0",
    )
    writeFileSync(
      join(dir, 'verify/own/ahead.sql'),
      "--! kind: outlook\nselect 'x' as object, 'y' as detail where public.sly() = 0",
    )
    const before = await picture(db.sql)
    const plan = await ended(start(['plan', '--dir', dir, '--format', 'json'], { DATABASE_URL: db.url }))
    expect(await picture(db.sql)).toEqual(before)
    expect(plan.code).toBe(0)
    const check = await ended(start(['verify', '--dir', dir, '--format', 'json'], { DATABASE_URL: db.url }))
    expect(check.report.checks.find(c => c.check === 'sly')!.reason).toMatch(/25006.*read-only/)
    expect(await picture(db.sql)).toEqual(before)
  })

  test('the planner expects many legacy sessions, so that a check does not count all messages again for each', async () => {
    await using db = await database(server, 'workspace-sessions', 2000)
    const up = await ended(
      start(['migrate', '--track', 'workspace-sessions', '--format', 'json'], { DATABASE_URL: db.url }),
    )
    expect(up.code).toBe(0)
    const text = readFileSync(join(root, 'verify/workspace-sessions/legacy_sessions.sql'), 'utf8')
    const [explained] = await db.sql.unsafe(`explain (format json) ${text.replace(/^--!.*$/gm, '')}`)
    const [{ rows }] = await db.sql<
      [{ rows: number }]
    >`select count(*)::int as rows from public.chat_sessions`
    interface Node {
      Alias?: string
      Plans?: Node[]
      'Plan Rows': number
    }
    const scanned = (node: Node): number[] => [
      ...(node.Alias === 's' ? [node['Plan Rows']] : []),
      ...(node.Plans ?? []).flatMap(scanned),
    ]
    const [expected] = scanned(explained!['QUERY PLAN'][0].Plan)
    expect(expected).toBeGreaterThanOrEqual(rows / 4)
  })
})
