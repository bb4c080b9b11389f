import { describe, expect, test } from 'vitest'
import { type Database, database, newest, open } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

/** The ledger is corrected after work by hand: with proof, a reason, and never beside a run. */

const project = (db: Database, reason?: string) =>
  inProcess(db.url, { track: 'workspace-sessions', lockWaitSeconds: 30, ...(reason ? { reason } : {}) })

const second = '002_link_chats_to_sessions'

const ledger = (db: Database) =>
  db.sql`
    select l.direction, l.evidence, r.command, r.reason from rethread.ledger l join rethread.runs r on r.id = l.run
    where l.migration = ${second} order by l.id desc limit 1`

describe('repair', () => {
  test('records what the catalog shows, with the reason and the evidence', async () => {
    await using db = await database(newest())
    const p = await project(db, 'pasted by hand, ticket 4711')
    expect((await p.migrate({ to: '002' })).verdict).toBe('clean')
    await db.sql`delete from rethread.ledger where migration = ${second}`
    const done = await said(p.repair({ migration: '002', as: 'applied' }))
    expect([done.verdict, done.codes]).toEqual(['clean', ['REPAIRED']])
    const [row] = await ledger(db)
    expect(row).toMatchObject({
      direction: 'baseline',
      command: 'repair',
      reason: 'pasted by hand, ticket 4711',
      evidence: { by: 'repair', reason: 'pasted by hand, ticket 4711', allowed: false, unproven: [] },
    })
    expect(row!.evidence.shown).toContain('column public.chats.session_id is as the file makes it')
    const again = await said(p.repair({ migration: '002', as: 'applied' }))
    expect(again.codes).toEqual(['REPAIR_NEEDLESS'])
    const status = await p.status()
    expect(status.tables.find(t => t.title.startsWith('Migrations'))!.rows[1]![2]).toBe('adopted')
    await p.close()
  })

  test('refuses what the catalog contradicts, either way, until it is allowed by name', async () => {
    await using db = await database(newest())
    const p = await project(db, 'I know better')
    expect((await p.migrate({ to: '001' })).verdict).toBe('clean')
    const refused = await said(p.repair({ migration: '002', as: 'applied' }))
    expect([refused.verdict, refused.codes]).toEqual(['refused', ['CONSENT_NEEDED']])
    expect(refused.findings[0]!.message).toContain('column public.chats.session_id is not there')
    expect(await ledger(db)).toEqual([])
    const taken = await said(p.repair({ migration: '001', as: 'not applied' }))
    expect(taken.verdict).toBe('refused')
    expect(taken.findings[0]!.message).toContain('table public.chat_sessions is there')
    const consent = { allow: ['RECORDS_UNPROVEN' as const] }
    const allowed = await said(p.repair({ migration: '002', as: 'applied', consent }))
    expect([allowed.verdict, allowed.codes]).toEqual(['attention', ['REPAIRED']])
    expect((await ledger(db))[0]!.evidence).toMatchObject({ allowed: true })
    await p.close()
  })

  test('says that a migration is not applied once all of it is gone, and migrate makes it again', async () => {
    await using db = await database(newest(), 'helper-chats', 10)
    const p = await inProcess(db.url, { track: 'helper-chats', reason: 'restored from an old dump' })
    const [before] = (await p.migrate({ to: '001' })).steps
    await db.sql`drop table public.chat_messages, public.chat_sessions cascade`
    await db.sql`drop schema chat_private cascade`
    const done = await said(p.repair({ migration: '001', as: 'not applied' }))
    expect(done.findings.map(f => f.message).join()).not.toContain('UNPROVEN')
    expect(done.codes).toEqual(['REPAIRED'])
    const again = await said(p.migrate({ to: '001' }))
    expect(
      again.findings.filter(f => f.level === 'refused' || f.level === 'error').map(f => f.message),
    ).toEqual([])
    expect(again.steps.map(s => [s.migration, s.outcome])).toEqual([[before!.migration, 'done']])
    await p.close()
  })

  test('wants a reason, and refuses at once beside a run', async () => {
    await using db = await database(newest())
    const p = await project(db)
    await expect(p.repair({ migration: '001', as: 'applied' })).rejects.toThrow(/--reason/)
    const q = await project(db, 'beside a run')
    await q.migrate({ to: '001' })
    const other = open(db.url, 1)
    await other`
      update rethread.lease set token = token + 1, holder = 'me@here: migrate', backend_pid = pg_backend_pid(), heartbeat = now(),
        backend_start = (select backend_start from pg_stat_activity where pid = pg_backend_pid()) where name = 'writer'`
    const start = performance.now()
    const consent = { allow: ['RECORDS_UNPROVEN' as const] }
    const refused = await said(q.repair({ migration: '001', as: 'not applied', consent }))
    expect(refused.codes).toEqual(['ANOTHER_RUN'])
    expect(performance.now() - start).toBeLessThan(15_000)
    await other.end()
    await Promise.all([p.close(), q.close()])
  })
})
