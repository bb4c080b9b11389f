import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { setLocal } from '../../src/database/connection.sql.js'
import { connect } from '../../src/database/context.js'
import { takenBack, transaction } from '../../src/database/scopes.js'
import type { Db } from '../../src/database/types.js'
import { become } from '../../src/verify/probes.sql.js'
import { asRealUser } from '../../src/verify/real_users.js'
import { lookTogether, type Sighting, type SightQuestion } from '../../src/verify/row_groups.js'
import { mostIds } from '../../src/verify/row_groups.sql.js'
import { contextOf } from '../support/context.js'
import { type Database, database, newest } from '../support/database.js'
import { inProcess, said } from '../support/in_process.js'

const people = 10
const rows = 9000

const application = `
  create schema app;
  grant usage on schema app to authenticated;
  create table app.members (tenant int not null, person uuid not null);
  create table app.notes (id int primary key, tenant int, owner uuid, hidden boolean, at timestamptz, extra json, said text);
  insert into app.members select n % 4, md5('p' || n)::uuid from generate_series(1, ${people}) n;
  insert into app.notes select n, nullif(n % 5, 4), case when n % 11 <> 0 then md5('p' || n % 13)::uuid end, n % 3 = 0,
    timestamptz '2026-01-01' + n * interval '1 hour', '{}', repeat('x', 400)
  from generate_series(1, ${rows}) n;
  grant select on app.members to authenticated;
  grant select (id, tenant, at) on app.notes to authenticated;
  alter table app.notes enable row level security;
  create function app.tenant_of(person uuid) returns int language sql stable security definer set search_path = ''
    as 'select m.tenant from app.members m where m.person = $1';
  create function app.mine(note app.notes) returns boolean language sql stable
    as 'select $1.owner = (select auth.uid())';
  analyze app.notes`

/** Policies, each alone on the table, and how the rows are looked at. */
const policies: Record<string, { using: string[]; how: 'groups' | 'many groups' | 'sample' }> = {
  own: { using: ['owner = (select auth.uid())'], how: 'groups' },
  'per row': { using: ['owner = auth.uid() or owner is null'], how: 'groups' },
  'another table': {
    using: ['exists (select from app.members m where m.tenant = notes.tenant and m.person = auth.uid())'],
    how: 'groups',
  },
  'a function, and a restriction': {
    using: ['tenant = app.tenant_of((select auth.uid()))', 'not hidden'],
    how: 'groups',
  },
  'the table itself': {
    using: [
      'tenant in (select x.tenant from app.members x where x.person = auth.uid()) and extra is not null',
    ],
    how: 'sample',
  },
  everybody: { using: ['true'], how: 'groups' },
  nobody: { using: [], how: 'groups' },
  'the whole row': { using: ['app.mine(notes)'], how: 'sample' },
  'every row another': { using: ['owner = auth.uid() and id % 2 = 0'], how: 'many groups' },
}

describe('what several persons see of a table is found out by reading it once', () => {
  let db: Database
  beforeAll(async () => {
    db = await database(newest(), 'empty')
    await db.sql.unsafe(application)
  })
  afterAll(() => db[Symbol.asyncDispose]())

  const ids = async () =>
    (await db.sql.unsafe(`select md5('p' || n)::uuid::text as id from generate_series(1, ${people}) n`)).map(
      r => String(r.id),
    )
  /** Looks in a transaction that is taken back, after `prepare`; also how often the table was read whole. */
  const look = async (
    small: number,
    changed: Partial<SightQuestion> = {},
    prepare = '',
  ): Promise<Sighting & { scans: number }> => {
    await using connection = await connect(contextOf(db.url), 'probe')
    const people = await ids()
    return await takenBack(transaction(connection.sql, 'isolation level repeatable read'), async tx => {
      await setLocal(tx, 1000, 20_000)
      if (prepare) await tx.unsafe(prepare)
      const sighting = await lookTogether(tx, {
        of: { table: 'app.notes', id: 'id' },
        lookers: people.map(person => ({
          enter: (inside: Db) => become(inside, asRealUser('sub', person, { role: 'authenticated' })),
          filter: 'true',
        })),
        where: "at <= '2026-05-01'",
        columns: [],
        persons: { column: 'app.notes.owner', ids: people },
        also: [],
        sample: null,
        alike: false,
        small,
        ...changed,
      })
      const [row] = await tx<
        { scans: number }[]
      >`select pg_stat_get_xact_numscans('app.notes'::regclass)::int as scans`
      return { ...sighting, scans: row!.scans }
    })
  }
  const inOrder = ({ seen }: Sighting) =>
    seen.map(
      s => s && { ...s, ids: [...s.ids].sort(), others: { ...s.others, ids: [...s.others.ids].sort() } },
    )

  for (const [name, { using, how }] of Object.entries(policies))
    test(name, async () => {
      await db.sql.unsafe(
        `do $$ declare p record; begin
           for p in select polname from pg_policy where polrelid = 'app.notes'::regclass loop execute format('drop policy %I on app.notes', p.polname); end loop;
         end $$;
         ${using.map((u, i) => `create policy p${i} on app.notes as ${i === 0 ? 'permissive' : 'restrictive'} for select to authenticated using (${u})`).join(';')}`,
      )
      const alone = await look(Infinity)
      expect(alone.seen.every(s => s !== null && s.of === null)).toBe(true)
      const together = await look(0)
      if (how !== 'sample') {
        // ids are read only of who sees few rows in all
        const few = (s: (typeof alone.seen)[number]) =>
          s && (s.rows + s.others.rows > mostIds ? { ...s, ids: [], others: { ...s.others, ids: [] } } : s)
        expect(inOrder(together)).toEqual(inOrder(alone).map(few))
        expect(together.sample).toBeNull()
        // once in groups, and once more for the ids of who sees little
        if (how === 'groups') expect(together.scans).toBeLessThanOrEqual(2)
        expect(alone.scans).toBe(using.length === 0 ? 0 : people)
      } else {
        // of so few rows the sample is all
        expect(together.sample!.length).toBe(rows)
        expect(inOrder(together).map(s => s && [s.rows, s.ids, s.others])).toEqual(
          inOrder(alone).map(s => s && [s.rows, s.ids, s.others]),
        )
      }
      if (name !== 'nobody') expect(alone.seen.some(s => s!.rows > 0 && s!.others.rows > 0)).toBe(true)
    })

  test('who may not read the table sees nothing, and who reads by index reads alone', async () => {
    await db.sql.unsafe(
      `create policy by_owner on app.notes for select to authenticated using (owner = (select auth.uid()))`,
    )
    const refused = await look(0, {}, 'revoke all on app.notes from authenticated')
    expect(refused.seen.map(s => s!.rows)).toEqual(refused.seen.map(() => 0))
    // the time is ours to read, the rows are theirs to see
    const untimed = await look(Infinity, {}, 'revoke select (at) on app.notes from authenticated')
    expect(untimed.seen.every(s => s!.rows > 0 && s!.others.rows > 0)).toBe(true)
    const indexed = await look(0, {}, 'create index notes_owner on app.notes (owner) include (id, at)')
    expect(indexed.seen.every(s => s!.ids.length > 0 && s!.of === null)).toBe(true)
    // who owns much of the table reads it whole
    expect(indexed.scans).toBeLessThan(people)
  })
})

test('prove compares persons by groups of rows and by a sample as it does row by row', async () => {
  const messages = 300
  for (const [using, sampled] of [
    ['user_id = (select auth.uid())', false],
    ["to_jsonb(chats) ->> 'user_id' = auth.uid()::text", true],
  ] as const) {
    await using db = await database(newest(), 'workspace-sessions', messages)
    // as of a large table, which nobody reads by index
    await db.sql.unsafe(`
      alter database ${db.name} set seq_page_cost = 100000;
      alter database ${db.name} set random_page_cost = 100000;
      alter table public.chats enable row level security;
      create policy mine on public.chats for select to authenticated using (${using})`)
    const project = await inProcess(db.url, {
      track: 'workspace-sessions',
      config: { settings: { legacy_grouping: 'author' } },
    })
    try {
      await project.migrate({
        phase: 'contract',
        consent: { allow: ['ENDS_OLD_APP', 'QUARANTINES_ROWS', 'SHOWS_ROWS', 'HIDES_ROWS'] },
      })
      const stored =
        await db.sql`select rows::int, sampled::int as of, jsonb_array_length(ids) as ids from rethread.sights`
      expect(stored.length).toBeGreaterThan(5)
      expect(stored.some(s => s.rows > 0)).toBe(true)
      for (const s of stored) expect([s.ids, s.of !== null]).toEqual([s.rows, sampled])
      const proved = await said(project.prove({ sample: 5 }))
      const sights = proved.tables.find(t => t.title === 'What people saw before and see now')!
      expect(sights.rows.map(r => r[3])).toEqual(stored.map(() => expect.any(Number)))
      expect(proved.checks.find(c => c.check === 'real_persons')!.outcome).toBe('pass')
      expect(proved.findings.some(f => f.code === 'SIGHTS_SAMPLED')).toBe(sampled)
      // one row of somebody's goes, and everybody sees another
      const [who] = sights.rows.filter(r => Number(r[3]) > 2)
      const [other] =
        await db.sql`select id from public.chats where user_id <> ${who![0] as string} order by id limit 1`
      await db.sql.unsafe(`
        delete from public.chats where id = (select (ids ->> 0)::uuid from rethread.sights where person = '${who![0]}');
        create policy more on public.chats for select to authenticated using (id = '${other!.id}')`)
      const again = await project.prove({})
      const after = again.tables.find(t => t.title === sights.title)!.rows.find(r => r[0] === who![0])!
      // what nobody sees any more because it is deleted is not hidden from them
      expect([4, 5, 6].map(c => Number(after[c]) - Number(who![c]))).toEqual([1, 0, 1])
    } finally {
      await project.close()
    }
  }
})
