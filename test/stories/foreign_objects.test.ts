import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { connect } from '../../src/database/context.js'
import { Failures } from '../../src/model/failure.js'
import { contextOf } from '../support/context.js'
import { database, open, servers } from '../support/database.js'

/** Schemas of the tool that somebody made before its first run: nothing in them is read or called. */
describe.each(servers())('objects of others in our schemas on PostgreSQL $major', server => {
  const mallory = `mallory_${randomBytes(4).toString('hex')}`

  /** A database in which another role has made something as SQL says, and what a session of ours says. */
  async function refused(sql: string): Promise<string[]> {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `do $$ begin create role ${mallory}; exception when duplicate_object then null; end $$;
       grant create on database ${db.name} to ${mallory};
       create table public.ran (by text); grant all on public.ran to public; ${sql.replaceAll('MALLORY', mallory)}`,
    )
    try {
      await (await connect(contextOf(db.url), 'reader')).close()
      return []
    } catch (error) {
      if (!(error instanceof Failures)) throw error
      return error.findings.map(f => `${f.code} ${f.level} ${f.subject}`)
    } finally {
      expect(await db.sql`select * from public.ran`).toEqual([])
      await db.sql.unsafe(`drop owned by ${mallory} cascade`)
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
        create table rethread.runs (id int); grant trigger, insert on rethread.runs to MALLORY;
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
})
