import { describe, expect, test } from 'vitest'
import { counts } from '../../src/model/report.js'
import { configured, contract, type Ran, rethread, undoAll } from '../support/cli.js'
import { database, picture, some } from '../support/database.js'

describe.each(some('oldest'))('the life cycle on PostgreSQL $major', server => {
  test('before -> up -> rollback is identical to before, in schema and in data', async () => {
    await using db = await database(server)
    const before = await picture(db.sql)
    for (const flags of [[], contract]) {
      const up = await rethread(db.url, ['migrate', ...flags])
      expect(up.report.findings.filter(f => f.level === 'error')).toEqual([])
      expect([up.code, up.report.verdict]).toEqual([0, 'clean'])
    }
    const verified = await rethread(db.url, ['verify'])
    expect(verified.report.checks.filter(c => c.outcome !== 'pass').map(c => [c.check, counts(c)])).toEqual([
      ['access_overlap', false],
      ['fallback_workspace', false],
      ['legacy_groupings', false],
      ['quarantined', true],
      ['told_apart', false],
      // what the application's own tables let the API do, they let it do before
      ['api_privileges', false],
      ['row_security', false],
    ])
    expect(verified.code).toBe(0)
    const down = await rethread(db.url, ['rollback', ...undoAll(db.name)])
    expect([down.code, down.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
    expect(await picture(db.sql)).toEqual(before)
  })

  test('bare migrate stops before what would end the old application, and says how to go on', async () => {
    await using db = await database(server)
    const up = await rethread(db.url, ['migrate'])
    expect(up.code).toBe(0)
    expect(up.report.steps.map(s => s.migration)).toEqual([
      '001_create_chat_sessions',
      '002_link_chats_to_sessions',
      '003_collect_legacy_sessions',
      '004_create_legacy_sessions',
      '005_assign_messages',
      '006_index_and_constrain',
      '007_release_lost_messages',
      '008_prove_foreign_key',
    ])
    const stopped = up.report.findings.find(f => f.code === 'STOPPED_BEFORE')!
    expect(stopped.subject).toBe('009_set_aside_unassigned')
    expect(stopped.fix).toContain('--phase contract --allow ENDS_OLD_APP,QUARANTINES_ROWS')
    // the old application writes as it always did
    await db.sql`insert into chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'hello' from workspaces where owner_id is not null limit 1`
    const [orphan] =
      await db.sql`select count(*)::int as n from chats where message = 'hello' and session_id is null`
    expect(orphan!.n).toBe(0)
    const asked = await rethread(db.url, ['migrate', '--phase', 'contract'])
    expect([asked.code, asked.report.verdict]).toEqual([3, 'refused'])
    expect(asked.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.fix).toBe(
      '--allow ENDS_OLD_APP,QUARANTINES_ROWS',
    )
  })

  test('one legacy session for each workspace with messages, with the right owner and times', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    const wrong = await db.sql`
      select w.name, s.title, s.user_id, s.created_at, s.updated_at, m.first, m.last, m.author, o.id as owner
      from workspaces w
      left join auth.users o on o.id = w.owner_id
      cross join lateral (
        select min(c.created_at) as first, max(c.created_at) as last, count(*) as n,
          case when count(*) = count(u.id) and count(distinct u.id) = 1 then min(u.id::text)::uuid end as author,
          count(u.id) as known
        from chats c left join auth.users u on u.id = c.user_id where c.workspace_id = w.id
      ) m
      left join chat_sessions s on s.id = overlay(md5('rethread:legacy:' || w.id) placing '8' from 13)::uuid
      where case
        when m.n = 0 or (o.id is null and m.known = 0) then s.id is not null
        else s.id is null or s.title <> 'Legacy Chat'
          or s.user_id <> coalesce(m.author, o.id)
          or (m.first is not null and (s.created_at <> m.first or s.updated_at <> m.last))
      end`
    expect(wrong).toEqual([])
    const [counts] = await db.sql`
      select (select count(*)::int from chat_sessions) as sessions,
        (select count(distinct workspace_id)::int from chats where session_id is not null) as workspaces`
    expect(counts!.sessions).toBe(counts!.workspaces)
  })

  test('running everything a second time changes nothing', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    const after = await picture(db.sql)
    const again = await rethread(db.url, ['migrate'])
    expect(again.report.findings.map(f => f.code)).toContain('NOTHING_TO_DO')
    expect(again.report.steps).toEqual([])
    expect(await picture(db.sql)).toEqual(after)
  })

  test('awkward rows end in the quarantine with a reason and their original, and stay in place', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    const reasons =
      await db.sql`select reason, count(distinct key)::int as n from rethread_archive.quarantine group by 1 order by 1`
    expect([...reasons]).toEqual([
      { reason: 'it has no workspace', n: 5 },
      { reason: 'its workspace was deleted', n: 3 },
      { reason: 'neither its author nor the owner of its workspace exists', n: 1 },
    ])
    const [kept] = await db.sql`
      select count(*)::int as n from chats c join rethread_archive.quarantine q on q.key = c.id::text
      where q.original ->> 'message' is not distinct from c.message and c.session_id is null`
    expect(kept!.n).toBe(9)
    const [sum] = await db.sql`
      select (select count(*)::int from chats) as before,
        (select count(*)::int from chats where session_id is not null) + (select count(distinct key)::int from rethread_archive.quarantine) as after`
    expect(sum!.after).toBe(sum!.before)
  })

  test('contract takes unassigned rows out, rollback puts them back', async () => {
    await using db = await database(server)
    const [before] = await db.sql`select count(*)::int as n from chats`
    await rethread(db.url, ['migrate', ...contract])
    const [during] =
      await db.sql`select count(*)::int as n, count(*) filter (where session_id is null)::int as without from chats`
    expect(during).toEqual({ n: before!.n - 9, without: 0 })
    await expect(db.sql`insert into chats (message) values ('no session')`).rejects.toThrow(/not-null/)
    const down = await rethread(db.url, ['rollback', '--to', '008'])
    expect(down.code).toBe(0)
    const [after] = await db.sql`select count(*)::int as n from chats`
    expect(after!.n).toBe(before!.n)
  })

  test('a workspace that is deleted before the foreign key stands: its messages stay, in the quarantine', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate', '--phase', 'backfill'])
    const [room] = await db.sql`
      delete from workspaces where id = (select workspace_id from chats where session_id is not null group by 1 order by count(*) desc limit 1)
      returning id, (select count(*)::int from chats c where c.workspace_id = workspaces.id) as messages`
    const up = await rethread(db.url, ['migrate'])
    expect([up.code, up.report.backfill[0]!.quarantined]).toEqual([0, room!.messages])
    const [left] = await db.sql`
      select count(*)::int as messages, count(session_id)::int as bound, (select count(*)::int from rethread_archive.quarantine q
        where q.migration = '007_release_lost_messages' and q.reason = 'its workspace was deleted') as told
      from chats where workspace_id = ${room!.id}`
    expect(left).toEqual({ messages: room!.messages, bound: 0, told: room!.messages })
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('a setting groups legacy sessions by author', async () => {
    await using db = await database(server)
    const folder = configured({ settings: { legacy_grouping: 'author' } })
    const up = await rethread(db.url, ['migrate'], { cwd: folder })
    expect(up.code).toBe(0)
    const [row] = await db.sql`
      select count(*)::int as sessions, (select count(distinct (workspace_id, user_id))::int from chats where session_id is not null) as pairs from chat_sessions`
    expect(row!.sessions).toBe(row!.pairs)
    const shared =
      await db.sql`select session_id from chats where session_id is not null group by 1 having count(distinct coalesce(user_id::text, '')) > 1`
    expect(shared).toEqual([])
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('a setting gives messages without a workspace one', async () => {
    await using db = await database(server)
    const [room] = await db.sql`select id from workspaces where name = 'Workspace 1'`
    const folder = configured({ settings: { null_workspace: room!.id } })
    await rethread(db.url, ['migrate'], { cwd: folder })
    const rows =
      await db.sql`select s.workspace_id from chats c join chat_sessions s on s.id = c.session_id where c.workspace_id is null`
    expect(rows.map(r => r.workspace_id)).toEqual(Array(5).fill(room!.id))
  })

  test('a setting that the track cannot use is refused before anything is changed', async () => {
    await using db = await database(server)
    const before = await picture(db.sql)
    const nobodys = configured({ settings: { null_workspace: '00000000-0000-4000-8000-00000000000f' } })
    const plan = await rethread(db.url, ['plan'], { cwd: nobodys })
    const up = await rethread(db.url, ['migrate'], { cwd: nobodys })
    const gates = (ran: typeof up) => ran.report.findings.filter(f => f.code === 'GATE').map(f => f.facts)
    const gate = { check: 'fallback_workspace', rows: 1 }
    expect([plan.code, gates(plan), up.code, gates(up)]).toEqual([1, [gate], 3, [gate]])
    expect(await picture(db.sql)).toEqual(before)
  })

  test('works on an empty database: a fresh installation is no error', async () => {
    await using db = await database(server)
    await db.sql`truncate chats`
    const up = await rethread(db.url, ['migrate'])
    expect(up.code).toBe(0)
    expect(up.report.findings.find(f => f.code === 'NO_ROWS')!.level).toBe('info')
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('dropping the schema rethread leaves the application working', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    await db.sql`drop schema rethread cascade`.catch(() => {})
    await db.sql.unsafe('set client_min_messages = warning; drop schema if exists rethread cascade')
    await db.sql`insert into chats (workspace_id, user_id, role, message) select id, owner_id, 'user', 'still here' from workspaces where owner_id is not null limit 1`
    const [row] = await db.sql`select session_id from chats where message = 'still here'`
    expect(row!.session_id).not.toBeNull()
  })

  test('rollback archives what people made, restore brings it back', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    await db.sql.unsafe(`
      with made as (insert into chat_sessions (workspace_id, user_id, title)
        select id, owner_id, 'Mine' from workspaces where owner_id is not null order by id limit 3 returning *)
      insert into chats (workspace_id, user_id, role, message, session_id)
      select workspace_id, user_id, 'user', 'in my session', id from made, generate_series(1, 5);
      update chat_sessions set title = 'Renamed' where id = (select id from chat_sessions where title = 'Legacy Chat' order by id limit 1);`)
    const sessions = await db.sql`select * from chat_sessions where title in ('Mine', 'Renamed') order by id`
    const messages = await db.sql`select * from chats where message = 'in my session' order by id`

    // what goes together has one target, which is named without the consent that it needs
    const near = await rethread(db.url, ['rollback', '--to', '3'])
    const farther = near.report.findings.filter(f => f.code === 'IRREVERSIBLE').map(f => f.fix)
    expect([near.code, near.report.summary.need?.command, [...new Set(farther)]]).toEqual([
      3,
      'rethread rollback --track workspace-sessions --all',
      ['rethread rollback --track workspace-sessions --all'],
    ])
    const refused = await rethread(db.url, ['rollback', '--all'])
    expect(refused.code).toBe(3)
    const loss = refused.report.tables.find(t => t.title === 'What would be removed')!
    expect(loss.rows.map(r => [r[0], r[3], r[4], r[5]])).toEqual([
      ['public.chats.session_id', 0, 15, 15],
      ['public.chat_sessions', 1, 3, 4],
    ])
    // who wrote a moment ago may be writing still: that is told together with the loss
    expect(refused.report.findings.find(f => f.code === 'CONSENT_NEEDED')!.fix).toMatch(
      new RegExp(
        `^--allow (DELETES_DATA,IGNORES_RECENT_WRITES|IGNORES_RECENT_WRITES,DELETES_DATA) --confirm ${db.name}$`,
      ),
    )

    const down = await rethread(db.url, ['rollback', ...undoAll(db.name)])
    expect(down.code).toBe(0)
    const [gone] =
      await db.sql`select to_regclass('chat_sessions') as sessions, (select count(*)::int from chats where message = 'in my session') as kept`
    expect(gone).toEqual({ sessions: null, kept: 15 })

    for (const round of [1, 2]) {
      const back = await rethread(db.url, ['restore', 'latest'])
      expect([round, back.code]).toEqual([round, 0])
      expect(
        await db.sql`select * from chat_sessions where title in ('Mine', 'Renamed') order by id`,
      ).toEqual(sessions)
      expect(await db.sql`select * from chats where message = 'in my session' order by id`).toEqual(messages)
    }
    expect((await rethread(db.url, ['verify'])).code).toBe(0)
  })

  test('rolled back again and again: each archive stands by itself, and the newest comes back', async () => {
    await using db = await database(server)
    const before = await picture(db.sql)
    for (const round of [1, 2, 3]) {
      expect((await rethread(db.url, ['migrate'])).code).toBe(0)
      await db.sql`insert into chat_sessions (workspace_id, user_id, title) select id, owner_id, ${`Round ${round}`} from workspaces where owner_id is not null limit 1`
      const down = await rethread(db.url, ['rollback', ...undoAll(db.name)])
      expect([down.code, down.report.findings.filter(f => f.level === 'error')]).toEqual([0, []])
      expect(await picture(db.sql)).toEqual(before)
    }
    expect((await rethread(db.url, ['restore', 'latest'])).code).toBe(0)
    const titles = await db.sql`select title from chat_sessions where title like 'Round%'`
    expect(titles.map(t => t.title)).toEqual(['Round 3'])
    const list = await rethread(db.url, ['restore', '--list'])
    expect(list.report.tables[0]!.rows.filter(r => r[1] === 'public.chat_sessions').map(r => r[4])).toEqual([
      'restored',
      'kept',
      'kept',
    ])
  })

  test('a rollback without consent changes nothing, proved by fingerprint', async () => {
    await using db = await database(server)
    await rethread(db.url, ['migrate'])
    const before = await picture(db.sql)
    for (const flags of [
      ['--all'],
      ['--all', '--allow', 'DELETES_DATA'],
      ['--all', '--confirm', db.name],
      ['--all', '--allow', 'DELETES_DATA', '--confirm', 'another'],
      ['--all', '--yes'],
    ]) {
      const said = await rethread(db.url, ['rollback', ...flags])
      expect([flags, said.code]).toEqual([flags, 3])
    }
    expect(await picture(db.sql)).toEqual(before)
  })

  test('every printed way back is accepted, and status keeps it current', async () => {
    await using db = await database(server)
    const up = await rethread(db.url, ['migrate'])
    const cost = up.report.findings.find(f => f.code === 'ROLLBACK_COST')!
    expect(cost.facts.atRisk).toBe(0)
    await db.sql`insert into chat_sessions (workspace_id, user_id, title, updated_at) select id, owner_id, 'Mine', now() - interval '1 hour' from workspaces where owner_id is not null limit 1`
    const status = await rethread(db.url, ['status'])
    expect(status.report.findings.find(f => f.code === 'ROLLBACK_COST')!.facts.atRisk).toBe(1)
    // one line a run, at its end: however many steps it had
    const printedBy = (ran: Ran) =>
      ran.stderr
        .split('\n')
        .filter(l => l.includes('  rollback ('))
        .map(l => l.split(': rethread ')[1]!)
    const printed = printedBy(up)
    expect(printed.length).toBe(1)
    expect(printed[0]).toBe((cost.facts.command as string).replace('rethread ', ''))
    // step by step: the way back from each of the eight
    await using other = await database(server)
    const planned = (url: string, way: string) =>
      rethread(url, ['plan', ...way.replace('rollback', '--rollback').split(' ')])
    const plans = [await planned(db.url, printed[0]!)]
    for (const { migration } of up.report.steps) {
      const ways = printedBy(await rethread(other.url, ['migrate', '--to', migration]))
      expect(ways.length).toBe(1)
      plans.push(await planned(other.url, ways[0]!))
    }
    expect(plans.length).toBe(9)
    for (const plan of plans) expect(plan.report.findings.map(f => f.code)).not.toContain('IRREVERSIBLE')
    expect((await rethread(db.url, printed.at(-1)!.split(' '))).code).toBe(0)
  })
})
