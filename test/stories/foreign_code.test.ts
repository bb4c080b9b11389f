import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { database, open, some } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

describe.each(some('newest'))('functions of others on the tables of a track on PostgreSQL $major', server => {
  const mallory = `mallory_${randomBytes(4).toString('hex')}`

  afterAll(async () => {
    const sql = open(server.url, 1)
    await sql.unsafe(`drop role if exists ${mallory}`)
    await sql.end()
  })

  test('a trigger of somebody else is named, and no superuser runs it unless it is allowed', async () => {
    await using db = await database(server, 'workspace-sessions', 300)
    await db.sql.unsafe(`
      create role ${mallory};
      create schema side authorization ${mallory};
      grant trigger on public.chats to ${mallory};
      set role ${mallory};
      create function side.audit() returns trigger language plpgsql as $$
      begin
        if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) then alter role ${mallory} superuser; end if;
        return new;
      end $$;
      create trigger a_audit before update on public.chats for each row execute function side.audit();
      reset role`)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    const detail = `trigger a_audit (side.audit of ${mallory}) would run as postgres, a superuser`
    const plan = await said(project.plan())
    expect(plan.steps.flatMap(s => s.hazards).filter(h => h.code === 'RUNS_FOREIGN_CODE')).toContainEqual({
      code: 'RUNS_FOREIGN_CODE',
      subject: 'public.chats',
      detail,
    })
    const refused = await said(project.migrate({ consent: { allow: ['FIRES_TRIGGERS'] } }))
    expect([refused.verdict, refused.codes]).toEqual(['refused', expect.arrayContaining(['CONSENT_NEEDED'])])
    expect(refused.findings.find(f => f.code === 'CONSENT_NEEDED')!.facts).toMatchObject({
      missing: ['RUNS_FOREIGN_CODE'],
    })
    const isSuper = async () =>
      (await db.sql`select rolsuper from pg_roles where rolname = ${mallory}`)[0]!.rolsuper
    expect(await isSuper()).toBe(false)
    // its owner may well be trusted: then it runs, and does what it does
    const allowed = await said(
      project.migrate({ consent: { allow: ['FIRES_TRIGGERS', 'RUNS_FOREIGN_CODE'] } }),
    )
    expect(allowed.findings.filter(f => f.level === 'error')).toEqual([])
    expect(await isSuper()).toBe(true)
    await db.sql.unsafe(`alter role ${mallory} nosuperuser; drop owned by ${mallory} cascade`)
  })
})
