import { expect, test } from 'vitest'
import { hasKey, rowKey } from '../../src/backfill/row_identity.sql.js'
import { keyText, primaryKey } from '../../src/database/row_key.sql.js'
import type { MigrateRequest, Report } from '../../src/index.js'
import { database, newest, picture, some } from '../support/database.js'
import { inProcess, said, sentenceOf } from '../support/in_process.js'

/**
 * Rows are distinguished by what a table has for it: a primary key of several columns, whose texts may hold
 * what separates them, or no more than a unique index.
 */
const rooms = (columns: string, more: string) => `
  create function public.update_updated_at() returns trigger language plpgsql as $$ begin new.updated_at = now(); return new; end $$;
  insert into auth.users (id) select md5('u' || n)::uuid from generate_series(1, 3) n;
  create table public.workspaces (id uuid primary key, name text not null, owner_id uuid references auth.users (id));
  insert into public.workspaces select md5('w' || n)::uuid, 'w', md5('u' || n)::uuid from generate_series(1, 3) n;
  create table public.chats (${columns}, workspace_id uuid references public.workspaces (id), user_id uuid, role text, message text, created_at timestamptz default now());
  insert into public.chats (workspace_id, user_id, role, message) select md5('w' || n)::uuid, md5('u' || n)::uuid, 'user', 'note ' || n from generate_series(1, 3) n;
  insert into public.chats (role, message) values ('user', 'on the doorstep'), ('user', 'on the doorstep');
  ${more}`

const contract: MigrateRequest = {
  phase: 'contract',
  consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS'] },
}

const kinds = [
  {
    name: 'a key of two texts with commas in them',
    key: ['a', 'b'],
    schema: rooms(
      'id uuid not null default gen_random_uuid(), a text, b text',
      `update public.chats set a = message, b = id::text where workspace_id is not null;
       update public.chats set a = 'x,y', b = 'z' where ctid = (select min(ctid) from public.chats where workspace_id is null);
       update public.chats set a = 'x', b = 'y,z' where workspace_id is null and a is null;
       alter table public.chats add primary key (a, b)`,
    ),
  },
  {
    name: 'no key, but a unique index',
    key: ['nr'],
    schema: rooms(
      'id uuid not null default gen_random_uuid(), nr bigint generated always as identity unique',
      'create unique index on public.chats (id, message); create unique index on public.chats (id) where role is null',
    ),
  },
]

const refused = (report: Report) => report.findings.filter(f => f.level === 'error' || f.level === 'refused')

test.each(kinds.flatMap((k, n) => some(n === 0 ? 'oldest' : 'newest').map(server => ({ ...k, server }))))(
  '$name: every row is set aside and brought back as itself',
  async ({ schema, key, server }) => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(schema)
    const before = await picture(db.sql)
    const project = await inProcess(db.url, { track: 'workspace-sessions', config: {}, lockWaitSeconds: 5 })
    try {
      expect(await primaryKey(db.sql as never, 'public.chats')).toEqual(key)
      expect((await project.migrate()).verdict).toBe('clean')
      // the track's own function and the engine write the same text for a row, and no two rows have one
      const [keys] = await db.sql.unsafe(
        `select count(*)::int as rows, count(distinct chat_private.message_key(c))::int as texts,
         bool_and(chat_private.message_key(c) = ${keyText(key.map(k => `c.${k}`))}) as same from public.chats c`,
      )
      expect(keys).toEqual({ rows: 5, texts: 5, same: true })
      const done = await project.migrate(contract)
      expect([done.verdict, refused(done)]).toEqual(['clean', []])
      const [aside] = await db.sql`
      select (select count(*)::int from rethread_archive.quarantine where migration like '009%') as kept, (select count(*)::int from public.chats) as left`
      expect(aside).toEqual({ kept: 2, left: 3 })
      await db.sql`insert into public.chat_sessions (id, workspace_id, user_id, title) values (md5('mine')::uuid, md5('w1')::uuid, md5('u1')::uuid, 'Mine')`
      await db.sql`update public.chats set session_id = md5('mine')::uuid where message = 'note 1'`
      const back = await project.rollback({
        all: true,
        consent: { allow: ['DELETES_DATA', 'IGNORES_RECENT_WRITES'], confirm: db.name },
      })
      expect([back.verdict, refused(back)]).toEqual(['clean', []])
      expect(await picture(db.sql)).toEqual(before)
      const again = await said(project.restore({ archive: 'latest', consent: contract.consent! }))
      expect([again.verdict, again.findings.filter(f => f.code === 'RESTORE_CONFLICT')]).toEqual([
        'clean',
        [],
      ])
      const [mine] =
        await db.sql`select session_id = md5('mine')::uuid as there from public.chats where message = 'note 1'`
      expect(mine!.there).toBe(true)
    } finally {
      await project.close()
    }
  },
)

test('with a deferrable key, what a contract took out is not called lost, and what is lost is', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(rooms('id uuid default gen_random_uuid() primary key deferrable', ''))
  expect(await primaryKey(db.sql as never, 'public.chats')).toEqual([])
  const project = await inProcess(db.url, { track: 'workspace-sessions', config: {}, lockWaitSeconds: 5 })
  const counted = async () =>
    (await project.prove({})).checks
      .find(c => c.check === 'same_as_backfilled')!
      .found.map(f => f.detail.split(':')[0])
  try {
    expect((await project.migrate()).verdict).toBe('clean')
    expect(await counted()).toEqual([])
    expect((await project.migrate(contract)).verdict).toBe('clean')
    expect((await db.sql`select from public.chats`).length).toBe(3)
    expect(await counted()).toEqual([])
    await db.sql`delete from public.chats where message = 'note 1'`
    expect(await counted()).toEqual(['1 of 1 row is gone since the backfill'])
  } finally {
    await project.close()
  }
})

test('rows without a key that are wholly equal are refused before anything is changed, and fit with a key', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(
    rooms(
      'id uuid, twin text',
      `alter table public.chats drop column twin;
       insert into public.chats select (c).* from (select c from public.chats c where workspace_id is null limit 1) x`,
    ),
  )
  const [before] = await db.sql`select count(*)::int as n from public.chats`
  const project = await inProcess(db.url, { track: 'workspace-sessions', config: {}, lockWaitSeconds: 5 })
  try {
    const gate = /001_create_chat_sessions. does not run while its gate .told_apart. finds something: 1 row/
    const planned = await said(project.plan())
    expect([planned.verdict, sentenceOf(planned, 'GATE')]).toEqual(['attention', expect.stringMatching(gate)])
    const report = await said(project.migrate())
    expect([report.verdict, sentenceOf(report, 'GATE')]).toEqual(['refused', expect.stringMatching(gate)])
    const asked = await said(project.verify({ only: ['told_apart'] }))
    expect(asked.checks.map(c => [c.outcome, c.found[0]?.detail])).toEqual([
      ['found', '3 messages are equal, and the table has no key'],
    ])
    const [after] = await db.sql`
      select (select count(*)::int from public.chats) as n, to_regclass('public.chat_sessions') is null as untouched`
    expect(after).toEqual({ n: before!.n, untouched: true })
    await db.sql`alter table public.chats add column row_id bigint generated always as identity primary key`
    // who has changed the tables says that it was them
    const again = await said(project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } }))
    expect(again.verdict).toBe('clean')
    expect(refused(await project.migrate(contract))).toEqual([])
    const [kept] = await db.sql`
      select (select count(*)::int from rethread_archive.quarantine where migration like '009%') + (select count(*)::int from public.chats) as n`
    expect(kept!.n).toBe(before!.n)
  } finally {
    await project.close()
  }
})

test('two sessions of one id are refused before anything is changed: one of them would lose its messages', async () => {
  await using db = await database(newest(), 'conversation-history', 20)
  await db.sql.unsafe(`
    alter table public.chat_sessions drop constraint chat_sessions_pkey cascade;
    insert into public.chat_sessions (id, tenant_id, user_id, messages)
    select s.id, s.tenant_id, s.user_id, '[{"role": "user", "content": "another one"}]' from public.chat_sessions s limit 1`)
  const before = await picture(db.sql)
  const project = await inProcess(db.url, { track: 'conversation-history', config: {}, lockWaitSeconds: 5 })
  try {
    for (const [command, verdict] of [
      ['plan', 'attention'],
      ['migrate', 'refused'],
    ] as const) {
      const report = await said(project[command]())
      const gate = report.findings.find(f => f.code === 'GATE')?.facts
      expect([report.verdict, gate]).toEqual([verdict, { check: 'own_ids', rows: 1 }])
    }
    expect(await picture(db.sql)).toEqual(before)
  } finally {
    await project.close()
  }
})

test('a row without a key that becomes equal to another that is set aside is not called set aside: one copy would stand for both', async () => {
  await using db = await database(newest(), 'empty')
  await db.sql.unsafe(rooms('id uuid default gen_random_uuid()', ''))
  const project = await inProcess(db.url, {
    track: 'workspace-sessions',
    config: { retryFailedSeconds: 0 },
    lockWaitSeconds: 5,
  })
  const [before] = await db.sql`select count(*)::int as n from public.chats`
  const again = () => db.sql`
    insert into public.chats (id, workspace_id, user_id, role, message, created_at)
    values (md5('twin')::uuid, null, null, 'user', 'twin', '2025-01-01')`
  try {
    expect((await said(project.migrate())).verdict).toBe('clean')
    await again()
    expect((await said(project.migrate())).verdict).toBe('clean')
    await again()
    const report = await said(project.migrate())
    expect([report.verdict, sentenceOf(report, 'ROWS_FAILED')]).toEqual([
      'attention',
      expect.stringMatching(/another row equals it, and the table has no key/),
    ])
    await db.sql`delete from public.chats where ctid = (select min(ctid) from public.chats where message = 'twin')`
    const through = await said(project.migrate(contract))
    expect([through.verdict, through.codes.includes('ROWS_FAILED')]).toEqual(['clean', false])
    const [kept] = await db.sql`
      select (select count(*)::int from rethread_archive.quarantine where migration like '009%') + (select count(*)::int from public.chats) as n`
    expect(kept!.n).toBe(before!.n + 1)
  } finally {
    await project.close()
  }
})

test.each([
  {
    type: 'uuid',
    value: `md5(n::text)::uuid`,
    others: ['', 'a', 'C4CA4238-A0B9-2382-0DCC-509A6F75849B', ' c4ca4238-a0b9-2382-0dcc-509a6f75849b'],
  },
  {
    type: 'bigint',
    value: `case n when 1 then -9223372036854775808 when 2 then 9223372036854775807 else n end`,
    others: [
      '',
      'x',
      '+3',
      '03',
      '3.0',
      '9223372036854775808',
      '-9223372036854775809',
      '99999999999999999999',
    ],
  },
  { type: 'integer', value: 'n - 3', others: ['9223372036854775807', '-', '1e3', '12345678901'] },
  { type: 'varchar(9)', value: `'k,' || n`, others: ['k', 'K,1'] },
])(
  'a row is found by the text of its key, of type $type, through the index, and by no other text',
  async ({ type, value, others }) => {
    await using db = await database(newest(), 'empty')
    await db.sql.unsafe(
      `create table public.notes (id ${type} primary key);
     insert into public.notes select ${value} from generate_series(1, 2000) n;
     analyze public.notes`,
    )
    const key = [{ name: 'id', type }]
    const found = `select count(*)::int as n from public.notes t join (select ${rowKey('x', key)} as key from public.notes x) k on ${hasKey('t', key, 'k.key')}`
    expect(await db.sql.unsafe(found)).toEqual([{ n: 2000 }])
    const stranger = `select count(*)::int as n from unnest($1::text[]) as k (key) join public.notes t on ${hasKey('t', key, 'k.key')}`
    expect(await db.sql.unsafe(stranger, [others])).toEqual([{ n: 0 }])
    const plan = await db.sql.unsafe(
      `explain select from public.notes t where ${hasKey('t', key, "(select '7'::text)")}`,
    )
    expect(JSON.stringify(plan)).toMatch(/Index (Only )?Scan/)
  },
)
