import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HazardCode, KeptProof } from '../../src/index.js'
import { rethread } from '../support/cli.js'
import { copyOf, type Database, database, some } from '../support/database.js'
import { inProcess, said, sentenceOf } from '../support/in_process.js'

/** What was signed off, and what has changed since; and plans, which are for one database. */
const track = 'workspace-sessions'
const consent = { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] satisfies HazardCode[] }

describe.each(some('newest'))('a proof on PostgreSQL $major', server => {
  let db: Database
  let proof: KeptProof
  const prove = async (of: Database, request: object) => {
    const project = await inProcess(of.url, { track })
    try {
      const report = await project.prove(request)
      return { report, words: await said(report) }
    } finally {
      await project.close()
    }
  }
  const differences = async (against: KeptProof = proof, of = db): Promise<string> => {
    const { words } = await prove(of, { against })
    expect(words.verdict).toBe('attention')
    return sentenceOf(words, 'PROOF_DIFFERS')
  }

  beforeAll(async () => {
    db = await database(server, track, 100)
    // each sees their own, one of them a message that is dated ahead; nothing will be set aside
    await db.sql.unsafe(`
      delete from public.chats c where not exists (select from auth.users u where u.id = c.user_id)
        or not exists (select from public.workspaces w where w.id = c.workspace_id);
      alter table public.chats enable row level security;
      create policy own on public.chats to authenticated using (user_id = (select auth.uid()));
      update public.chats c set created_at = now() + interval '1 year'
      from public.workspaces w where w.id = c.workspace_id and w.owner_id = c.user_id
        and c.id = (select x.id from public.chats x join public.workspaces y on y.id = x.workspace_id and y.owner_id = x.user_id order by x.id limit 1)`)
    const project = await inProcess(db.url, { track, config: { settings: { legacy_grouping: 'author' } } })
    await project.migrate({ phase: 'contract', consent })
    await project.close()
    const { report, words } = await prove(db, { proof: true })
    expect(words.codes).not.toContain('SEES_LESS')
    proof = report.proof!
  })
  afterAll(() => db[Symbol.asyncDispose]())

  test('holds what was counted, hashed, applied and looked at', () => {
    expect(proof).toMatchObject({ format: 1, track, major: server.major, database: { name: db.name } })
    expect(proof.database.system).toMatch(/^\d+$/)
    expect(proof.applied).toHaveLength(11)
    expect(proof.checks.find(c => c.check === 'access')).toMatchObject({ outcome: 'pass' })
    expect(proof.accounts[0]).toMatchObject({ object: 'public.chats', missing: 0 })
    expect(proof.tables.map(t => t.table)).toEqual(['public.chat_sessions', 'public.chats'])
    expect(proof.backfills[0]!.rows).toBeGreaterThan(90)
    expect(JSON.parse(JSON.stringify(proof))).toEqual(proof)
  })

  test('new messages are no change; messages that are gone, and an opened table, are', async () => {
    const holds = await prove(db, { against: proof })
    expect(sentenceOf(holds.words, 'PROOF_HOLDS')).toContain(proof.at)
    await db.sql.unsafe(`
      insert into public.chats (workspace_id, user_id, role, message, session_id, created_at)
      select workspace_id, user_id, role, 'new', session_id, now() from public.chats limit 3`)
    const later = await prove(db, { against: proof })
    expect(later.words.codes).toContain('PROOF_HOLDS')
    await db.sql.unsafe(`
      delete from public.chats where id in (select id from public.chats order by created_at limit 2);
      create policy open on public.chats for select to authenticated using (true)`)
    const said = await differences()
    expect(said).toContain('2 rows of public.chats are gone')
    expect(said).toContain('schema: + policy public.chats.open')
    expect(said).toContain('check access was: pass, and is: found')
    await db.sql.unsafe('drop policy open on public.chats')
  })

  test('of another database, or an altered file, is said to be', async () => {
    await db.sql.end()
    await using other = await copyOf(server, db.name)
    expect(await differences(proof, other)).toContain(`the database was ${db.name}, and is ${other.name}`)
    const system = { ...proof, database: { name: other.name, system: '1' } }
    expect(await differences(system, other)).toContain('the server is another one')
    const applied = proof.applied.map((a, i) => (i === 0 ? { ...a, checksum: 'x' } : a))
    expect(await differences({ ...proof, applied }, other)).toContain(
      'the file of applied 001_create_chat_sessions has changed',
    )
    const { verdict, codes } = await said(
      (await inProcess(other.url, { track })).prove({ against: { format: 2 } as never }),
    )
    expect([verdict, codes]).toEqual(['failed', ['BAD_PROOF']])
  })

  test('of the command line goes to a file and back', async () => {
    const folder = mkdtempSync('/tmp/rethread-proof-')
    const file = join(folder, 'proof.json')
    const made = await rethread(db.url, ['prove', '--track', track, '--out', file])
    expect(made.report).not.toHaveProperty('proof')
    const again = await rethread(db.url, ['prove', '--track', track, '--against', file])
    expect(again.report.findings.map(f => f.code)).toContain('PROOF_HOLDS')
    writeFileSync(file, '{}')
    const bad = await rethread(db.url, ['prove', '--track', track, '--against', file])
    expect([bad.code, bad.report.findings.map(f => f.code)]).toEqual([2, ['BAD_PROOF']])
  })

  test('a plan that was made for another database is refused', async () => {
    await using planned = await database(server, track, 20)
    await using other = await database(server, track, 20)
    const project = await inProcess(planned.url, { track })
    const { pin } = await project.plan({ pin: true })
    await project.close()
    expect(pin!.database.name).toBe(planned.name)
    const elsewhere = await inProcess(other.url, { track })
    const refused = await said(elsewhere.migrate({ pin: pin! }))
    await elsewhere.close()
    expect(refused.verdict).toBe('refused')
    expect(sentenceOf(refused, 'PLAN_CHANGED')).toContain(
      `the database was ${planned.name}, and is ${other.name}`,
    )
  })
})
