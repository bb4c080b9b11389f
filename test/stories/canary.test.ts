import { expect, test } from 'vitest'
import type { FindingOf } from '../../src/model/report.js'
import { database, newest } from '../support/database.js'
import { inProcess, type Said, said, sentenceOf } from '../support/in_process.js'

const failedIn = (ran: Said) =>
  (ran.findings.find(f => f.code === 'ROWS_FAILED') as FindingOf<'ROWS_FAILED'>)?.facts
const consent = { allow: ['FIRES_TRIGGERS' as const, 'IGNORES_DRIFT' as const] }

test('a canary names rows that fail as the whole backfill does, and forgets them when the cause is gone', async () => {
  await using db = await database(newest(), 'workspace-sessions', 400)
  const project = await inProcess(db.url, { track: 'workspace-sessions', config: { retryFailedSeconds: 0 } })
  expect((await said(project.migrate({ to: '004' }))).verdict).toBe('clean')
  const rooms = await db.sql<{ id: string; keys: string[]; rows: number }[]>`
    select workspace_id as id, array_agg(id::text order by id) as keys, count(*)::int as rows from chats
    where workspace_id in (select id from workspaces where owner_id is not null)
    group by workspace_id having count(*) > 4 order by count(*) desc limit 2`
  const [room, other] = rooms
  const [raises, silent] = room!.keys
  await db.sql.unsafe(`
    create function public.on_chats() returns trigger language plpgsql as $$ begin
      if new.id::text in ('${raises}', '${other!.keys[0]}') then raise exception 'frozen' using errcode = '23514'; end if;
      if new.id::text = '${silent}' then return null; end if;
      return new; end $$;
    create trigger on_chats before update on public.chats for each row execute function public.on_chats()`)
  const canary = await said(project.backfill({ workspace: room!.id, consent }))
  expect([canary.verdict, canary.findings.filter(f => f.code === 'ROWS_FAILED').map(f => f.facts)]).toEqual([
    'attention',
    expect.arrayContaining([
      expect.objectContaining({ sqlstate: '23514', reason: 'frozen', rows: 1, keys: [raises] }),
      expect.objectContaining({
        sqlstate: null,
        reason: 'unchanged after the update',
        rows: 1,
        keys: [silent],
      }),
    ]),
  ])
  expect(sentenceOf(canary, 'ROWS_FAILED')).toMatch(/1 row.*fail/)
  // the others of this workspace are done, none of another is touched
  const bound = async (id: string) =>
    (await db.sql`select count(session_id)::int as n from chats where workspace_id = ${id}`)[0]!.n
  expect([await bound(room!.id), await bound(other!.id)]).toEqual([room!.rows - 2, 0])
  // a canary of another workspace leaves what is known of this one
  const second = await said(project.backfill({ workspace: other!.id, consent }))
  expect([second.verdict, failedIn(second)?.rows]).toEqual(['attention', 2])
  await db.sql`drop trigger on_chats on public.chats`
  const again = await said(project.backfill({ workspace: room!.id, consent }))
  expect([again.verdict, failedIn(again)?.keys, await bound(room!.id)]).toEqual([
    'attention',
    [other!.keys[0]],
    room!.rows,
  ])
  expect((await said(project.migrate({ consent }))).verdict).toBe('clean')
})
