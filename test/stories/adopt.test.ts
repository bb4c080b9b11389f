import { describe, expect, test } from 'vitest'
import { discover } from '../../src/files/discover.js'
import { parseStatements } from '../../src/files/statements.js'
import { counts } from '../../src/model/report.js'
import { type Database, database, open, root, some } from '../support/database.js'
import { byHand } from '../support/half_done.js'
import { inProcess, type Said, said, sentenceOf } from '../support/in_process.js'

/** Databases in which somebody else's SQL has done the work of a track, wholly or in part. */

/** Sends statements one by one, as psql does. */
async function paste(db: Database, text: string): Promise<void> {
  const psql = open(db.url, 1)
  try {
    for (const s of await parseStatements(text)) await psql.unsafe(s.text)
  } finally {
    await psql.end()
  }
}

/** What a person does about each choice of a report. */
const decide = (report: Said): string =>
  report.findings
    .filter(f => f.code === 'ADOPT_CHOICE')
    .map(f =>
      f.fix!.replace(
        '<a value>',
        `(select id from ${f.subject.includes('tenant') ? 'public.tenants' : 'auth.users'} limit 1)`,
      ),
    )
    .join('\n')

/** Every table of the application and its columns. */
const tablesAndColumns = async (db: Database): Promise<string[]> =>
  (
    await db.sql<{ name: string }[]>`
      select format('%s.%s', c.relname, a.attname) as name from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and not a.attisdropped and a.attnum > 0 order by 1`
  ).map(r => r.name)

const wrong = (report: Said): unknown => [
  report.verdict,
  report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message),
  report.checks.filter(
    c => c.outcome === 'failed' || (c.outcome === 'found' && c.level === 'error' && counts(c)),
  ),
]

/** A change of something that a track makes, which leaves its name and its general looks. */
const changed: Record<string, { sql: string; names: RegExp }> = {
  'workspace-sessions': {
    sql: `alter policy chat_sessions_select on public.chat_sessions
      using (user_id = (select auth.uid()) or chat_private.can_use_workspace(workspace_id))`,
    names: /policy chat_sessions_select on public\.chat_sessions as the files make it/,
  },
  'conversation-history': {
    sql: 'alter table public.conversations alter column metadata drop default',
    names: /column public\.conversations\.metadata as the files make it/,
  },
  'helper-chats': {
    sql: `alter table public.chat_messages drop constraint chat_messages_role_known,
      add constraint chat_messages_role_known check (role in ('user', 'assistant', 'tool'))`,
    names: /constraint chat_messages_role_known on public\.chat_messages as the files make it/,
  },
  'codebase-sessions': {
    sql: `create or replace trigger touch_codebase_chat_session before update on public.codebase_chat_sessions
      for each row execute function chat_private.touch_codebase_chat_session()`,
    names: /trigger touch_codebase_chat_session on public\.codebase_chat_sessions as the files make it/,
  },
  'trip-sessions': {
    sql: `drop index public.idx_chat_sessions_activity;
      create index idx_chat_sessions_activity on public.chat_sessions (last_activity_at)`,
    names: /index idx_chat_sessions_activity on public\.chat_sessions as the files make it/,
  },
}

describe.each(some('oldest'))('tracks that were pasted into psql on PostgreSQL $major', server => {
  test.each(Object.entries(changed))(
    'every file of %s runs there; a change since is found and fixed, then all is adopted',
    async (name, { sql, names }) => {
      await using db = await database(server, name, 60)
      const track = discover(root).tracks.find(t => t.name === name)!
      for (const m of track.migrations) {
        // the comment of that file says what is to be copied before
        const copy = /insert into rethread_archive\.quarantine[^;]*;/.exec(m.file.text.replace(/^--/gm, ''))
        if (m.name === '009_set_aside_unassigned') await paste(db, copy![0])
        await paste(db, m.file.text)
      }
      await paste(db, sql)
      const project = await inProcess(db.url, { track: name })
      const to = track.migrations.at(-1)!.name
      const refused = await said(project.baseline({ to }))
      expect(refused.codes).toEqual(['BASELINE_UNPROVEN'])
      expect(sentenceOf(refused, 'BASELINE_UNPROVEN')).toMatch(names)
      const compared = await said(project.adopt())
      expect(sentenceOf(compared, 'ADOPT_DIFFERS')).toMatch(/^1 object/)
      await paste(db, compared.fixUp!)
      const adopted = await said(project.baseline({ to }))
      expect([adopted.verdict, adopted.steps.filter(s => s.outcome === 'done').length]).toEqual([
        'clean',
        track.migrations.length,
      ])
    },
  )
})

describe.each(some('newest'))('half-done databases on PostgreSQL $major', server => {
  test.each([
    ['workspace-sessions', 3, 2],
    ['workspace-sessions', 5, 5],
    ['helper-chats', 2, 3],
    ['codebase-sessions', 2, 1],
    ['trip-sessions', 2, 1],
  ] as const)(
    '%s after %d parts of its own SQL: the fix-up, then %d are adopted',
    async (name, parts, adopts) => {
      await using db = await database(server, name, 100)
      await db.sql.unsafe(byHand[name]!.slice(0, parts).join('\n'))
      const before = await tablesAndColumns(db)
      const project = await inProcess(db.url, { track: name })
      const compared = await said(project.adopt())
      expect([compared.verdict, compared.codes.includes('ADOPT_DIFFERS')]).toEqual(['refused', true])
      expect(await tablesAndColumns(db)).toEqual(before)
      await paste(db, compared.fixUp!)
      await paste(db, decide(compared))
      const adopted = await said(project.adopt())
      expect(wrong(adopted)).toEqual(['clean', [], []])
      expect(adopted.steps.map(s => s.outcome)).toEqual(Array(adopts).fill('done'))
      const after = new Set(await tablesAndColumns(db))
      expect(before.filter(t => !after.has(t))).toEqual([])
      expect(wrong(await said(project.migrate()))).toEqual(['clean', [], []])
      expect(wrong(await said(project.verify()))).toEqual(['clean', [], []])
      if (name !== 'trip-sessions') return
      // a session that was there before the fix-up is found by the trip of its request
      const listed = await said(project.sessions({ filter: { trip: ['atrip-3'] } }))
      expect(listed.tables[0]!.rows.length).toBeGreaterThan(0)
    },
  )

  test('conversation-history after its table was renamed: it gets its name back, and nothing is in the way', async () => {
    await using db = await database(server, 'conversation-history', 100)
    const { n } = (await db.sql`select count(*)::int as n from chat_sessions`)[0] as { n: number }
    await db.sql.unsafe(byHand['conversation-history']!.slice(0, 2).join('\n'))
    const project = await inProcess(db.url, { track: 'conversation-history' })
    const lost = await said(project.adopt())
    expect(lost.verdict).toBe('refused')
    expect(sentenceOf(lost, 'ADOPT_LOST_TABLE')).toMatch(/public\.conversations.* was probably renamed/)
    await paste(db, lost.fixUp!)
    expect((await said(project.adopt())).codes).toEqual(['ADOPT_NOTHING'])
    expect(wrong(await said(project.migrate()))).toEqual(['clean', [], []])
    expect(wrong(await said(project.verify()))).toEqual(['clean', [], []])
    expect(await db.sql`select count(*)::int as n from chat_sessions`).toEqual([{ n }])
  })

  test('conversation-history after its arrays were dropped: an empty table takes their place', async () => {
    await using db = await database(server, 'conversation-history', 100)
    await db.sql.unsafe(byHand['conversation-history']!.join('\n'))
    const content = async () =>
      db.sql`select count(*)::int as n, md5(string_agg(content, ',' order by id)) as hash from messages`
    const before = await content()
    const project = await inProcess(db.url, { track: 'conversation-history' })
    const lost = await said(project.adopt())
    expect(sentenceOf(lost, 'ADOPT_LOST_TABLE')).toMatch(/its rows have been moved already/)
    await paste(db, lost.fixUp!)
    const compared = await said(project.adopt())
    await paste(db, compared.fixUp!)
    await paste(db, decide(compared))
    const adopted = await said(project.adopt())
    expect([adopted.verdict, adopted.steps.map(s => s.migration)]).toEqual([
      'clean',
      ['001_create_conversations'],
    ])
    expect(wrong(await said(project.migrate()))).toEqual(['clean', [], []])
    expect(wrong(await said(project.verify()))).toEqual(['clean', [], []])
    expect(await content()).toEqual(before)
  })

  test('a missing column of the new application is found in the rehearsal', async () => {
    await using db = await database(server, 'trip-sessions', 100)
    const project = await inProcess(db.url, { track: 'trip-sessions' })
    const newApp = `-- the new endpoint
      select id, avinode_trip_id from public.chat_sessions;
      select quotes_expected_count from public.chat_sessions;`
    const planned = await said(project.plan({ rehearse: true, newApp }))
    expect(planned.verdict).toBe('attention')
    expect(planned.findings.filter(f => f.code === 'NEW_APP_FAILS').map(f => f.message)).toEqual([
      expect.stringMatching(/quotes_expected_count.*line 3.*after 017_create_chat_sessions: 42703/),
    ])
    expect(sentenceOf(planned, 'NEW_APP_EARLY')).toMatch(/018_sessions_of_conversations/)
  })
})
