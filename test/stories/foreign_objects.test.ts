import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import type { Report } from '../../src/index.js'
import { Failures } from '../../src/model/failure.js'
import { contextOf } from '../support/context.js'
import { database, open, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/** Schemas of the tool that somebody made before its first run: nothing in them is read or called. */
describe.each(some('newest'))('objects of others in our schemas on PostgreSQL $major', server => {
  const mallory = `mallory_${randomBytes(4).toString('hex')}`

  /** A database in which another role has made something as SQL says, and what a session of ours says. */
  async function refused(sql: string, as: string | null = null): Promise<string[]> {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
       grant create on database ${db.name} to ${mallory};
       create table public.ran (by text); grant all on public.ran to public; ${as ? `create role ${as} login; ` : ''}${sql.replaceAll('database current', `database ${db.name}`).replaceAll('MALLORY', mallory)}`,
    )
    try {
      const url = new URL(db.url)
      if (as) url.username = as
      await (await connect(contextOf(url.toString()), 'reader')).close()
      return []
    } catch (error) {
      if (!(error instanceof Failures)) throw error
      return error.findings.map(f => `${f.code} ${f.level} ${f.subject}`)
    } finally {
      expect(await db.sql`select * from public.ran`).toEqual([])
      await db.sql.unsafe(
        `alter database ${db.name} owner to current_user; drop owned by ${mallory} cascade; drop role if exists ${mallory}_us; drop role if exists ${mallory}_giver`,
      )
    }
  }

  afterAll(async () => {
    const sql = open(server.url, 1)
    await sql.unsafe(`drop role if exists ${mallory}`)
    await sql.end()
  })

  test.each(['rethread', 'rethread_archive', 'chat_private'])('schema %s of another role', async name => {
    expect(await refused(`create schema ${name} authorization MALLORY`)).toEqual([
      `FOREIGN_OBJECT refused schema ${name}`,
    ])
  })

  test('a table that another role owns, may change or has put a trigger on; a view; a function', async () => {
    const trap = `create function public.trap() returns trigger language plpgsql as
      $$ begin insert into public.ran values (current_user); return new; end $$; alter function public.trap() owner to MALLORY;`
    expect(
      await refused(`create schema rethread; create table rethread.meta (version int); ${trap}
        create table rethread.runs (id int); grant trigger, insert on rethread.runs to MALLORY; grant usage on schema rethread to MALLORY;
        create trigger trap before insert on rethread.meta for each row execute function public.trap();
        create view rethread.ledger as select 1 as id; alter view rethread.ledger owner to MALLORY;
        create function rethread.f() returns int language sql as 'select 1'; alter function rethread.f() owner to MALLORY;`),
    ).toEqual([
      'FOREIGN_OBJECT refused function rethread.f()',
      'FOREIGN_OBJECT refused view rethread.ledger',
      'FOREIGN_OBJECT refused table rethread.runs',
      'FOREIGN_OBJECT refused trigger trap on rethread.meta',
    ])
  })

  test('what we own ourselves, and what a rollback has moved into the archive', async () => {
    expect(
      await refused(`create schema rethread; create table rethread.meta (version int); create schema rethread_archive;
        create table rethread_archive.moved (id int); alter table rethread_archive.moved owner to MALLORY;`),
    ).toEqual([])
  })

  test('what the owner of the database or a group of ours owns; a group that others have made ours', async () => {
    const group = (giver: string) => `create schema rethread authorization MALLORY;
      create table rethread.meta (version int); alter table rethread.meta owner to MALLORY;
      ${giver} grant MALLORY to ${mallory}_us; reset role;`
    expect(
      await refused('alter database current owner to MALLORY; create schema rethread authorization MALLORY'),
    ).toEqual([])
    expect(await refused(group(''), `${mallory}_us`)).toEqual([])
    const giver = `create role ${mallory}_giver; grant MALLORY to ${mallory}_giver with admin option; set role ${mallory}_giver;`
    expect(await refused(group(giver), `${mallory}_us`)).toEqual(['FOREIGN_OBJECT refused schema rethread'])
  })

  test('every command refuses, and calls nothing', async () => {
    await using db = await database(server, 'workspace-sessions')
    await db.sql.unsafe(
      `do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
       grant create on database ${db.name} to ${mallory};
       create table public.ran (by text); grant all on public.ran to public; set role ${mallory};
       create schema rethread; create table rethread.log (id int);
       create function rethread.trap() returns int language plpgsql as
         $$ begin insert into public.ran values (current_user); return 1; end $$;
       create view rethread.meta as select rethread.trap() as version;
       create view rethread.ledger as select rethread.trap() as id; reset role`,
    )
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const verbs: [string, () => Promise<Report>][] = [
      ['doctor', () => project.doctor()],
      ['status', () => project.status()],
      ['plan', () => project.plan()],
      ['planRollback', () => project.planRollback({ all: true })],
      ['migrate', () => project.migrate()],
      ['baseline', () => project.baseline({ to: '001' })],
      ['backfill', () => project.backfill()],
      ['backfillStatus', () => project.backfillStatus()],
      ['verify', () => project.verify()],
      ['prove', () => project.prove()],
      ['rollback', () => project.rollback({ all: true })],
      ['restore', () => project.restore({ archive: 'latest' })],
      ['listArchives', () => project.listArchives()],
      ['listQuarantine', () => project.listQuarantine()],
      ['sessions', () => project.sessions()],
      ['stats', () => project.stats()],
      ['prune', () => project.prune({ olderThanDays: 30, delete: true })],
    ]
    const codes: [string, string, string[]][] = []
    for (const [name, verb] of verbs) {
      const report = await said(verb())
      codes.push([name, report.verdict, report.codes])
    }
    expect(codes).toEqual(verbs.map(([name]) => [name, 'refused', ['FOREIGN_OBJECT']]))
    expect(await db.sql`select * from public.ran`).toEqual([])
    await db.sql.unsafe(`drop owned by ${mallory} cascade`)
  })
})
