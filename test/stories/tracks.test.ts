import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { rethread, undoAll } from '../support/cli.js'
import { type Database, database, inTurn, picture, root, servers, some } from '../support/database.js'

/**
 * Each shipped track with the flags that take it all the way, what its fixture leaves in the quarantine, the
 * tables that come back to the letter (a session that the backfill makes again may get another time where its
 * messages have none), and the rows that a rollback would put at risk after `new_app.sql`.
 */
const tracks = [
  {
    name: 'workspace-sessions',
    allow: 'ENDS_OLD_APP,QUARANTINES_ROWS',
    aside: 9,
    exact: ['chats'],
    atRisk: 1054,
  },
  { name: 'conversation-history', allow: 'ENDS_OLD_APP', aside: 8, exact: ['messages'], atRisk: 1053 },
  { name: 'helper-chats', allow: null, aside: 0, exact: ['chat_sessions', 'chat_messages'], atRisk: 804 },
  { name: 'codebase-sessions', allow: null, aside: 0, exact: ['codebase_chat_sessions'], atRisk: 1000 },
  { name: 'trip-sessions', allow: 'ENDS_OLD_APP', aside: 2, exact: ['messages'], atRisk: 200 },
] as const

/** Sends an example file of the application as it would send it, statement after statement in one go. */
async function application(db: Database, track: string, file: 'old_app' | 'new_app'): Promise<void> {
  await db.sql.unsafe(readFileSync(join(root, 'examples', track, `${file}.sql`), 'utf8'))
}

const faults = (ran: Awaited<ReturnType<typeof rethread>>) =>
  ran.report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message)

describe.each(servers())('the tracks on PostgreSQL $major', server => {
  describe.each(tracks)('$name', ({ name, allow, aside, exact, atRisk }) => {
    const track = ['--track', name]
    const inItsTurn = inTurn(server, name)
    const through = allow ? ['--phase', 'contract', '--allow', allow] : []

    test('before -> migrate -> verify -> rollback is identical to before; twice changes nothing', async () => {
      await using db = await database(server, name)
      const before = await picture(db.sql)
      for (const flags of [[], through]) {
        const up = await rethread(db.url, ['migrate', ...track, ...flags])
        expect([up.code, faults(up)]).toEqual([0, []])
        const again = await rethread(db.url, ['migrate', ...track, ...flags])
        expect([again.code, again.report.steps.length]).toEqual([0, 0])
        const verified = await rethread(db.url, ['verify', ...track])
        expect([
          verified.code,
          verified.report.checks.filter(
            // what the application had before counts for nothing
            c => c.outcome === 'failed' || (c.outcome === 'found' && c.level === 'error' && counts(c)),
          ),
        ]).toEqual([0, []])
      }
      const [kept] =
        await db.sql`select count(distinct (relation, key))::int as n from rethread_archive.quarantine`
      expect(kept!.n).toBe(aside)
      const down = await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])
      expect([down.code, faults(down)]).toEqual([0, []])
      expect(await picture(db.sql)).toEqual(before)
    })

    inItsTurn(
      'the old application goes on before, during and after expand and backfill, the new one after contract',
      async () => {
        await using db = await database(server, name)
        await application(db, name, 'old_app')
        for (const flags of [['--no-backfill'], ['--phase', 'backfill'], []]) {
          const up = await rethread(db.url, ['migrate', ...track, ...flags])
          expect([up.code, faults(up)]).toEqual([0, []])
          await application(db, name, 'old_app')
        }
        if (allow) {
          const up = await rethread(db.url, ['migrate', ...track, ...through])
          expect([up.code, faults(up)]).toEqual([0, []])
        }
        // the old application is gone: the new one goes on alone
        await application(db, name, 'new_app')
        const verified = await rethread(db.url, ['verify', ...track])
        expect([verified.code, faults(verified)]).toEqual([0, []])
      },
    )

    inItsTurn(
      'what the new application writes is counted by the rollback, archived, and comes back',
      async () => {
        await using db = await database(server, name)
        const up = await rethread(db.url, ['migrate', ...track])
        expect([up.code, faults(up)]).toEqual([0, []])
        await application(db, name, 'new_app')
        const verified = await rethread(db.url, ['verify', ...track])
        expect([verified.code, faults(verified)]).toEqual([0, []])
        const live = await picture(db.sql)
        const asked = await rethread(db.url, ['rollback', ...track, '--all'])
        const told = asked.report.findings
          .filter(f => f.code === 'LOSS')
          .reduce((n, f) => n + Number(f.facts.atRisk), 0)
        expect([asked.code, told]).toEqual([3, atRisk])
        const down = await rethread(db.url, ['rollback', ...track, ...undoAll(db.name)])
        expect([down.code, faults(down)]).toEqual([0, []])
        const back = await rethread(db.url, ['restore', 'latest', ...track])
        expect([back.code, faults(back)]).toEqual([0, []])
        const { content } = await picture(db.sql)
        const rows = (c: typeof content) => Object.fromEntries(Object.entries(c).map(([t, v]) => [t, v.rows]))
        expect(rows(content)).toEqual(rows(live.content))
        for (const table of exact) expect([table, content[table]]).toEqual([table, live.content[table]])
        const twice = await rethread(db.url, ['verify', ...track])
        expect([twice.code, faults(twice)]).toEqual([0, []])
      },
    )
  })
})

describe.each(some('newest'))('databases of another kind on PostgreSQL $major', server => {
  test.each(tracks)('$name is found by doctor, with the reason', async ({ name }) => {
    await using db = await database(server, name)
    const { report } = await rethread(db.url, ['doctor'])
    const rows = report.tables.find(t => t.title === 'Tracks')!.rows
    const fitting = rows.filter(r => r[2]).map(r => r[0])
    // a track that needs nothing but users can't be told from a database
    expect(fitting).toEqual(name === 'codebase-sessions' ? [] : [name])
    expect(rows.find(r => r[0] === name)![3]).toMatch(name === 'codebase-sessions' ? /--track/ : /^has /)
    expect(
      rows
        .filter(r => r[0] !== name && r[0] !== 'codebase-sessions')
        .every(r => /^lacks /.test(String(r[3]))),
    ).toBe(true)
  })

  test('columns of another type do not fit: refused before the first step, with the type that is wanted', async () => {
    await using db = await database(server, 'workspace-sessions', 100)
    await db.sql.unsafe('alter table public.chats alter column workspace_id type text')
    const before = await picture(db.sql)
    const ran = await rethread(db.url, ['migrate', '--track', 'workspace-sessions'])
    expect([
      ran.code,
      ran.report.findings.filter(f => f.code === 'WRONG_TYPE').map(f => [f.subject, f.facts]),
    ]).toEqual([3, [['column public.chats.workspace_id', { found: 'text', wanted: ['uuid'] }]]])
    expect(ran.report.findings.map(f => f.code)).not.toContain('MISSING_PREREQUISITE')
    expect(await picture(db.sql)).toEqual(before)
    const { report } = await rethread(db.url, ['doctor'])
    const row = report.tables.find(t => t.title === 'Tracks')!.rows.find(r => r[0] === 'workspace-sessions')!
    expect([row[2], row[3]]).toEqual([false, 'chats.workspace_id is text, uuid is needed'])
  })

  test('the right columns with rows of another kind do not fit: doctor says what the rows are not', async () => {
    await using db = await database(server, 'conversation-history', 100)
    await db.sql`update chat_sessions set messages = '[{"sku": "A-1", "quantity": 2}]'`
    const { report } = await rethread(db.url, ['doctor'])
    const row = report.tables
      .find(t => t.title === 'Tracks')!
      .rows.find(r => r[0] === 'conversation-history')!
    expect([row[2], row[3]]).toEqual([
      false,
      expect.stringMatching(
        /^none of \d+ rows of chat_sessions keep their messages as a list of objects with a role/,
      ),
    ])
    await db.sql`update chat_sessions set messages = '[{"role": "user", "content": "hello"}]' where title = 'Chat 1'`
    const again = (await rethread(db.url, ['doctor'])).report.tables.find(t => t.title === 'Tracks')!.rows
    expect(again.find(r => r[0] === 'conversation-history')!.slice(2)).toEqual([
      true,
      expect.stringMatching(/^has .*; 1 of \d+ rows of chat_sessions keep/),
    ])
  })

  test('a track on a database of another kind is refused, and told which one fits', async () => {
    await using db = await database(server, 'trip-sessions')
    const before = await picture(db.sql)
    const ran = await rethread(db.url, ['migrate', '--track', 'conversation-history'])
    expect([ran.code, ran.report.findings.find(f => f.code === 'OTHER_TRACK')!.facts.tracks]).toEqual([
      3,
      ['trip-sessions'],
    ])
    expect(await picture(db.sql)).toEqual(before)
  })

  test('a chat_messages of another shape is in the way: refused, nothing changed', async () => {
    await using db = await database(server, 'helper-chats')
    await db.sql`create table chat_messages (id bigint primary key, body text)`
    const ran = await rethread(db.url, ['migrate', '--track', 'helper-chats'])
    expect([ran.code, ran.report.findings.find(f => f.code === 'ALREADY_EXISTS')!.subject]).toEqual([
      3,
      'public.chat_messages',
    ])
  })

  test('what is in the way is told beforehand: policies that recurse, dependants of a table that is to go', async () => {
    await using talk = await database(server, 'conversation-history')
    await talk.sql`
      create policy circle on tenant_users for select to authenticated
        using (tenant_id in (select t.tenant_id from tenant_users t where t.user_id = (select auth.uid())))`
    await using trip = await database(server, 'trip-sessions')
    await trip.sql`create view who_is_in as select iso_agent_id from chatkit_sessions`
    const told = async (url: string) =>
      (await rethread(url, ['doctor'])).report.findings.filter(f => f.code === 'OUTLOOK').map(f => f.subject)
    expect(await told(talk.url)).toContain('circle')
    expect(await told(trip.url)).toContain('view who_is_in')
  })

  test('a drop that sorts before the file that creates the table is an error of the files', async () => {
    await using db = await database(server, 'trip-sessions')
    const { cpSync, mkdtempSync, writeFileSync } = await import('node:fs')
    const folder = mkdtempSync('/tmp/rethread-drop-')
    for (const kind of ['migrations', 'rollbacks', 'verify'])
      cpSync(join(root, kind, 'trip-sessions'), join(folder, kind, 'trip-sessions'), { recursive: true })
    writeFileSync(
      join(folder, 'migrations/trip-sessions/016_drop.sql'),
      'drop table if exists public.chat_sessions;',
    )
    writeFileSync(join(folder, 'rollbacks/trip-sessions/016_drop.sql'), 'select 1;')
    const ran = await rethread(db.url, ['migrate'], { cwd: folder })
    expect([ran.code, ran.report.findings.find(f => f.code === 'DROP_BEFORE_CREATE')!.facts]).toEqual([
      2,
      { table: 'public.chat_sessions', creates: 'migrations/trip-sessions/017_create_chat_sessions.sql' },
    ])
  })

  test('chatkit_sessions does not go while anything depends on it', async () => {
    await using db = await database(server, 'trip-sessions')
    await db.sql`create view who_is_in as select iso_agent_id from chatkit_sessions`
    const ran = await rethread(db.url, [
      'migrate',
      '--track',
      'trip-sessions',
      '--phase',
      'contract',
      '--allow',
      'ENDS_OLD_APP',
    ])
    expect([ran.code, ran.report.findings.find(f => f.code === 'GATE')!.facts.check]).toEqual([
      1,
      'chatkit_unused',
    ])
    const [still] = await db.sql`select to_regclass('public.chatkit_sessions') is not null as there`
    expect(still!.there).toBe(true)
    const verified = await rethread(db.url, [
      'verify',
      '--track',
      'trip-sessions',
      '--only',
      'chatkit_unused',
    ])
    expect(verified.report.checks[0]!.found).toMatchObject([
      { object: 'view who_is_in', detail: 'reads chatkit_sessions' },
    ])
  })
})
