import { describe, expect, test } from 'vitest'
import { ended, rethread, start, undoAll } from '../support/cli.js'
import { database, some } from '../support/database.js'
import { folder } from '../support/folder.js'

/** A track of a user's own, with one backfill. */
function track(backfill: string, first = 'select 1;'): string {
  return folder({
    'migrations/mine/1_prepare.sql': first,
    'migrations/mine/2_fill.sql': backfill,
    'rollbacks/mine/1_prepare.sql': 'select 1;',
    'rollbacks/mine/2_fill.sql': 'select 1;',
    'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
    // rows that fail here fail for good
    'rethread.config.json': '{"retryFailedSeconds": 1}',
  })
}

const explode = `--! phase: backfill
--! table: public.threads
--! pending: case when jsonb_typeof(t.items) = 'array' then jsonb_array_length(t.items) > 0 end and not exists (select from public.items i where i.thread_id = t.id)
insert into public.items (thread_id, position, body, n)
select t.id, e.position, e.value ->> 'body', (e.value ->> 'n')::int
from public.threads t
cross join lateral jsonb_array_elements(t.items) with ordinality as e (value, position)
where jsonb_typeof(t.items) = 'array'
on conflict (thread_id, position) do nothing;`

describe.each(some('oldest'))('a track of one’s own on PostgreSQL $major', server => {
  test('a partitioned table is walked partition by partition', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table events (id int, kind int, done boolean, primary key (id, kind)) partition by list (kind);
      create table events_1 partition of events for values in (1);
      create table events_2 partition of events for values in (2, 3) partition by list (kind);
      create table events_2a partition of events_2 for values in (2);
      create table events_2b partition of events_2 for values in (3);
      insert into events select n, 1 + n % 3, null from generate_series(1, 30000) n;
      analyze`)
    const folder = track(
      '--! phase: backfill\n--! table: public.events\n--! pending: e.done is null\nupdate public.events e set done = true where e.done is null;',
    )
    const ran = await rethread(db.url, ['migrate', '--workers', '2'], { cwd: folder })
    expect([ran.code, ran.report.backfill[0]!.rows]).toEqual([0, 30_000])
    const [left] = await db.sql`select count(*)::int as n from events where done is null`
    expect(left!.n).toBe(0)
    const relations = await db.sql`select distinct relation from rethread.ranges order by 1`
    expect(relations.map(r => r.relation)).toEqual([
      'public.events_1',
      'public.events_2a',
      'public.events_2b',
    ])
  })

  test('an update may say what it did, end in a remark, or have a WITH of its own', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table notes (id uuid primary key, n int, colour text);
      insert into notes select md5(n::text)::uuid, n from generate_series(1, 3000) n;
      analyze`)
    const head = '--! phase: backfill\n--! table: public.notes\n--! pending: t.colour is null\n'
    const paint = `update public.notes t set colour = 'red' where t.colour is null`
    for (const [update, said] of [
      [`${paint} -- all of them`, null],
      [
        `${paint} returning case when t.n % 1000 = 0 then format('painted %s', t.n) end -- some are told`,
        'painted 2000',
      ],
      [`${paint} returning t.id`, 'a9b7ba70-783b-617e-9998-dc4dd82eb3c5'],
      [`${paint} returning t.n`, null],
      [
        `with wished as (select 'red' as colour) update public.notes t set colour = w.colour from wished w where t.colour is null returning format('painted %s', t.n)`,
        'painted 2000',
      ],
    ] as const) {
      await db.sql`update notes set colour = null`
      const cwd = track(head + update)
      const { code, stderr, report } = await ended(
        start(['migrate', '--verbose', '--format', 'json'], { DATABASE_URL: db.url }, cwd),
      )
      expect([code, report.backfill[0]!.rows, update]).toEqual([0, 3000, update])
      if (said) expect(stderr).toContain(said)
      else expect(stderr).not.toMatch(/notice: (painted|\d+$)/m)
      const [red] = await db.sql`select count(*)::int as n from notes where colour = 'red'`
      expect(red!.n).toBe(3000)
      expect((await rethread(db.url, ['rollback', ...undoAll(db.name)], { cwd })).code).toBe(0)
    }
  })

  test('a fault inside a function that a backfill calls is told with that function, not with the batch around it', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table notes (id int primary key, colour text);
      insert into notes select n from generate_series(1, 300) n;
      create function paint() returns text language plpgsql as $$ begin return (select colour from palette limit 1); end $$;
      analyze`)
    const paint = `update public.notes t set colour = public.paint() where t.colour is null`
    for (const update of [paint, `${paint} returning t.id`]) {
      const cwd = track(
        `--! phase: backfill\n--! table: public.notes\n--! pending: t.colour is null\n${update}`,
      )
      const { code, stdout } = await ended(
        start(['migrate', '--format', 'json'], { DATABASE_URL: db.url }, cwd),
      )
      expect([code, stdout]).toEqual([2, expect.stringContaining('relation \\"palette\\" does not exist')])
      expect(stdout).toContain('PL/pgSQL function paint() line 1 at RETURN"')
      expect(stdout).not.toMatch(/inline_code_block|SQL statement/)
    }
  })

  test('a dear pass covers its window in several batches: killed between two, it goes on, and no row is written twice', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table notes (id int primary key, body text, colour text, times int not null default 0);
      insert into notes select n, repeat('x', 100) from generate_series(1, 30000) n;
      -- one row a page, in the first pass, takes a millisecond
      create function paint(at tid) returns text language plpgsql as $$
        begin if get_byte(tidsend(at), 5) = 13 then perform pg_sleep(0.001); end if; return 'red'; end $$;
      analyze`)
    const cwd = track(
      '--! phase: backfill\n--! table: public.notes\n--! pending: t.colour is null\nupdate public.notes t set colour = public.paint(t.ctid), times = times + 1 where t.colour is null;',
    )
    const running = start(['migrate'], { DATABASE_URL: db.url }, cwd)
    const end = ended(running, false)
    // between two batches of a first pass: more rows, and neither another page nor another pass
    let before = ''
    const between = async () => {
      const [now] = await db.sql`
        select cursor_page || ' ' || pass as place, rows::int as rows from rethread.ranges
        where state = 'claimed' and pass = 0 and cursor_page > 0`.catch(() => [])
      const [place, rows] = before.split('/')
      before = now ? `${now.place}/${now.rows}` : ''
      return now?.place === place && now?.rows > Number(rows)
    }
    while (!(await between())) await new Promise(done => setTimeout(done, 5))
    running.kill('SIGKILL')
    await end
    const again = await rethread(db.url, ['migrate'], { cwd })
    expect([again.code, again.report.backfill[0]!.rows]).toEqual([0, 30_000])
    const painted = await db.sql`select colour, times, count(*)::int as n from notes group by 1, 2`
    expect([...painted]).toEqual([{ colour: 'red', times: 1, n: 30_000 }])
  })

  test('beside others only the first of several passes waits for its log: it is the one that logs whole pages', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table notes (id int primary key, body text, colour text);
      insert into notes select n, repeat('x', 100) from generate_series(1, 30000) n;
      analyze`)
    // what each row was written with, and where it stood
    const cwd = track(
      `--! phase: backfill\n--! table: public.notes\n--! pending: t.colour is null\nupdate public.notes t set colour = get_byte(tidsend(t.ctid), 5) || ' ' || current_setting('synchronous_commit') where t.colour is null;`,
    )
    const ran = await rethread(db.url, ['migrate', '--nice', '1'], { cwd })
    const { passes, rows } = ran.report.backfill[0]!
    expect([ran.code, rows, passes > 2]).toEqual([0, 30_000, true])
    const written = await db.sql`
      select split_part(colour, ' ', 1)::int % ${passes} = 0 as first, split_part(colour, ' ', 2) as commit
      from notes group by 1, 2 order by 1`
    expect([...written]).toEqual([
      { first: false, commit: 'off' },
      { first: true, commit: 'local' },
    ])
  })

  test('new log files are not filled with zeros where the role may say so, and nobody minds where it may not', async () => {
    await using db = await database(server, 'empty')
    const role = `keeper_${db.name}`
    await db.sql.unsafe(
      `create role ${role} login; grant create on database ${db.name} to ${role}; grant create on schema public to ${role}`,
    )
    const cwd = track(
      `--! phase: backfill\n--! table: public.notes\n--! pending: t.zeros is null\nupdate public.notes t set zeros = current_setting('wal_init_zero') where t.zeros is null;`,
    )
    const url = new URL(db.url)
    const zeros = async (user: string) => {
      await db.sql.unsafe(`
        drop table if exists notes; drop schema if exists rethread, rethread_archive cascade;
        create table notes (id int primary key, zeros text);
        insert into notes values (1);
        alter table notes owner to ${user}`)
      url.username = user
      const ran = await rethread(url.toString(), ['migrate'], { cwd })
      const [note] = await db.sql`select zeros from notes`
      return [ran.code, note!.zeros]
    }
    expect(await zeros(new URL(db.url).username)).toEqual([0, 'off'])
    expect(await zeros(role)).toEqual([0, 'on'])
    await db.sql.unsafe(`grant set on parameter wal_init_zero to ${role}`)
    expect(await zeros(role)).toEqual([0, 'off'])
    await db.sql.unsafe(`drop owned by ${role} cascade; drop role ${role}`)
  })

  test('two workers leave each other room: the table grows no more than with one', async () => {
    await using db = await database(server, 'empty')
    const cwd = track(
      '--! phase: backfill\n--! table: public.notes\n--! pending: t.colour is null\nupdate public.notes t set colour = gen_random_uuid() where t.colour is null;',
    )
    const growth = async (workers: string) => {
      await db.sql.unsafe(`
        drop table if exists notes;
        drop schema if exists rethread cascade;
        create table notes (id int primary key, body text, colour uuid);
        insert into notes select n, repeat('x', 150 + n % 100) from generate_series(1, 200000) n;
        analyze notes`)
      const size = async () => (await db.sql`select pg_relation_size('notes')::float8 as n`)[0]!.n
      const before = await size()
      const ran = await rethread(db.url, ['migrate', '--workers', workers], { cwd })
      expect([ran.code, ran.report.backfill[0]!.rows]).toEqual([0, 200_000])
      return (await size()) / before - 1
    }
    const alone = await growth('1')
    // were a pass one batch, the other worker's would keep what it left dead from being pruned: a third to a
    // half more, each time. A busy machine, which stops a batch in the middle, comes to 1.0 to 1.31: the
    // best of three is compared
    let together = Number.POSITIVE_INFINITY
    for (let n = 0; n < 3 && together >= 1.3 * alone; n++) together = Math.min(together, await growth('2'))
    expect(together).toBeLessThan(1.3 * alone)
  })

  test('a page whose rows take too long goes in parts: killed between two, it goes on, nothing is done twice, poison is found', async () => {
    await using db = await database(server, 'empty')
    // 5 ms a row, so that a page takes longer than a batch may; no key that would turn a second print away
    await db.sql.unsafe(`
      create table cards (id int primary key);
      create table prints (card int not null);
      insert into cards select generate_series(1, 300);
      create function public.print(card int) returns int language plpgsql as $$
        begin perform pg_sleep(0.005); return card / (card - 142); end $$;
      analyze`)
    const cwd = track(`--! phase: backfill
--! table: public.cards
--! pending: not exists (select from public.prints p where p.card = t.id)
insert into public.prints (card) select t.id from public.cards t where public.print(t.id) is not null;`)
    const running = start(['migrate'], { DATABASE_URL: db.url }, cwd)
    const end = ended(running, false)
    const within = async () => {
      const found = await db.sql`select from rethread.ranges where cursor_page <> floor(cursor_page)`.catch(
        () => [],
      )
      return found.length > 0
    }
    while (!(await within())) await new Promise(done => setTimeout(done, 5))
    running.kill('SIGKILL')
    await end
    const [sofar] = await db.sql`select count(*)::int as n from prints`
    expect(sofar!.n).toBeGreaterThan(0)
    const again = await rethread(db.url, ['migrate'], { cwd })
    const [backfill] = again.report.backfill
    expect([again.code, backfill!.state, backfill!.rows, backfill!.quarantined, backfill!.failed]).toEqual([
      1,
      'failed',
      299,
      0,
      1,
    ])
    const [printed] = await db.sql`select count(*)::int as n, count(distinct card)::int as cards from prints`
    expect(printed).toEqual({ n: 299, cards: 299 })
    const [poison] = await db.sql`select key, sqlstate, reason from rethread_archive.failed_rows`
    expect(poison).toEqual({ key: '142', sqlstate: '22012', reason: 'division by zero' })
    // a batch is ended after 80 ms
    const [batches] =
      await db.sql`select max(rows)::int as most, sum(rows)::int as rows from rethread.batches`
    expect(batches!.rows).toBe(299)
    expect(batches!.most).toBeLessThanOrEqual(16)
  })

  test('a row that a deferred constraint turns away at the commit failed, and is not set aside', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table notes (id int primary key, kind text);
      create function public.sevens() returns trigger language plpgsql as $$
        begin if new.id = 7 then raise exception 'no sevens'; end if; return null; end $$;
      create constraint trigger sevens after update on notes deferrable initially deferred
        for each row execute function public.sevens();
      insert into notes select generate_series(1, 10);
      analyze`)
    const cwd = track(
      `--! phase: backfill\n--! table: public.notes\n--! pending: n.kind is null\nupdate public.notes n set kind = 'note' where n.kind is null;`,
    )
    const ran = await rethread(db.url, ['migrate', '--allow', 'QUARANTINES_ROWS,FIRES_TRIGGERS'], { cwd })
    expect(ran.code).toBe(1)
    expect(ran.report.backfill[0]).toMatchObject({ state: 'failed', rows: 9, quarantined: 0, failed: 1 })
    const [poison] = await db.sql`select key, reason from rethread_archive.failed_rows`
    expect(poison).toEqual({ key: '7', reason: 'no sevens' })
  })

  test('a column that a rollback drops without the word COLUMN is archived like any other', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      'create table notes (id int primary key); insert into notes select generate_series(1, 100)',
    )
    const cwd = folder({
      'migrations/mine/1_colour.sql': 'alter table public.notes add column if not exists colour text;',
      'rollbacks/mine/1_colour.sql': 'alter table public.notes drop if exists colour;',
      'verify/mine/nothing.sql': `select 'x' as object, 'y' as detail where false`,
    })
    expect((await rethread(db.url, ['migrate'], { cwd })).code).toBe(0)
    await db.sql`update notes set colour = 'red' where id <= 7`
    const refused = await rethread(db.url, ['rollback', '--all'], { cwd })
    expect([refused.code, refused.report.findings.map(f => f.code)]).toEqual([
      3,
      expect.arrayContaining(['CONSENT_NEEDED', 'LOSS']),
    ])
    expect((await rethread(db.url, ['rollback', ...undoAll(db.name)], { cwd })).code).toBe(0)
    expect((await rethread(db.url, ['restore', 'latest'], { cwd })).code).toBe(0)
    const [back] = await db.sql`select count(*)::int as n from notes where colour = 'red'`
    expect(back!.n).toBe(7)
  })

  test('arrays explode into rows: killed and resumed, nothing doubled, order kept, a row that fails is named', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table threads (id int primary key, items jsonb);
      insert into threads select n, (select jsonb_agg(jsonb_build_object('body', 'thread ' || n || ' item ' || i, 'n', i) order by i) from generate_series(1, 12) i) from generate_series(1, 8000) n;
      insert into threads values (9001, null), (9002, '[]'), (9003, '{}'), (9004, '"text"'), (9005, '[{"body": "poison", "n": "not a number"}]'), (9006, '[{"body": "fine", "n": 1}, null]');
      analyze`)
    const folder = track(
      explode,
      'create table public.items (thread_id int not null, position bigint not null, body text, n int, primary key (thread_id, position));',
    )
    for (let kill = 0; kill < 4; kill++) {
      const child = start(['migrate', '--format', 'json'], { DATABASE_URL: db.url }, folder)
      const run = ended(child)
      for (let i = 0; i < 500 && child.exitCode === null; i++) {
        const [seen] = await db.sql`select count(*)::int as n from rethread.batches`.catch(() => [{ n: 0 }])
        if (seen!.n > kill * 3) break
        await new Promise(done => setTimeout(done, 5))
      }
      child.kill('SIGKILL')
      await run
    }
    const ran = await rethread(db.url, ['migrate', '--workers', '2'], { cwd: folder })
    expect([ran.code, ran.report.findings.filter(f => f.level === 'error')]).toEqual([1, []])
    const [state] = await db.sql`
      select (select count(*)::int from items) as items,
        (select count(*)::int from items where thread_id <= 8000 and body <> 'thread ' || thread_id || ' item ' || position) as disordered,
        (select array_agg(key order by key)::text from rethread_archive.failed_rows) as failed,
        (select count(*)::int from rethread_archive.quarantine) as quarantined`
    expect(state).toEqual({ items: 8000 * 12 + 2, disordered: 0, failed: '{9005}', quarantined: 0 })
  })

  test('a foreign table is walked along its key: resumed, a row that fails is named, one workspace first', async () => {
    await using far = await database(server, 'empty')
    await far.sql.unsafe(`
      create table far (id int, part text collate "C", room int, done boolean, n text, primary key (id, part));
      insert into far select n / 3, chr(97 + n % 3), n % 10, null, case when n = 1700 then 'poison' else '1' end from generate_series(1, 3000) n;
      analyze`)
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create extension postgres_fdw;
      do $$ begin execute format(
        'create server far foreign data wrapper postgres_fdw options (host ''127.0.0.1'', port %L, dbname %L)', current_setting('port'), '${far.name}'); end $$;
      create user mapping for current_user server far options (user 'postgres');
      create foreign table far (id int, part text collate "C", room int, done boolean, n text) server far options (table_name 'far')`)
    const update = `update public.far f set done = f.n::int = 1 where f.done is null;`
    const bare = await rethread(db.url, ['migrate'], {
      cwd: track(`--! phase: backfill\n--! table: public.far\n--! pending: f.done is null\n${update}`),
    })
    expect([bare.code, bare.report.findings.find(f => f.level === 'error')!.message]).toEqual([
      2,
      expect.stringContaining('--! key: id'),
    ])
    const folder = track(
      `--! phase: backfill\n--! table: public.far\n--! key: id, part\n--! unit: room\n--! pending: f.done is null\n${update}`,
    )
    const canary = await rethread(db.url, ['backfill', '--workspace', '3'], { cwd: folder })
    expect(canary.code).toBe(0)
    const counts = () =>
      far.sql`select count(*) filter (where done and room = 3)::int as three, count(*) filter (where done and room <> 3)::int as others from far`
    expect((await counts())[0]).toEqual({ three: 300, others: 0 })
    const piece = await rethread(db.url, ['backfill', '--max-rows', '500'], { cwd: folder })
    expect([piece.code, piece.report.backfill[0]!.state]).toEqual([0, 'stopped'])
    const ran = await rethread(db.url, ['migrate'], { cwd: folder })
    expect([ran.code, ran.report.backfill[0]!.quarantined, ran.report.backfill[0]!.failed]).toEqual([1, 0, 1])
    expect((await counts())[0]).toEqual({ three: 300, others: 3000 - 300 - 1 })
  })

  test('a second machine helps: it claims ranges of the same backfill, and both finish', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `create table big (id int primary key, pad text, done boolean); insert into big select n, repeat('x', 300) from generate_series(1, 120000) n; analyze`,
    )
    const folder = track(
      '--! phase: backfill\n--! table: public.big\n--! pending: b.done is null\nupdate public.big b set done = true where b.done is null;',
    )
    await rethread(db.url, ['migrate', '--no-backfill'], { cwd: folder })
    const first = ended(
      start(['backfill', '--format', 'json', '--nice', '1'], { DATABASE_URL: db.url }, folder),
    )
    for (let i = 0; i < 500; i++) {
      const [seen] = await db.sql`select count(*)::int as n from rethread.batches`.catch(() => [{ n: 0 }])
      if (seen!.n > 0) break
      await new Promise(done => setTimeout(done, 10))
    }
    const helper = await rethread(db.url, ['backfill'], { cwd: folder })
    expect([helper.code, helper.report.findings.map(f => f.code)]).toEqual([0, ['HELPED']])
    const ran = await first
    expect([ran.code, ran.report.backfill[0]!.rows]).toEqual([0, 120_000])
    const [left] =
      await db.sql`select count(*) filter (where done is null)::int as n, (select count(distinct claim)::int from rethread.ranges) as claims from big`
    expect(left!.n).toBe(0)
  })

  test('ranges cover every page once, and become shorter towards the end, so that workers end together', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table wide (id int primary key, pad text);
      alter table wide alter pad set storage plain;
      insert into wide select n, repeat('x', 7000) from generate_series(1, 20000) n;
      create table narrow (id int primary key);
      analyze`)
    const ran = await rethread(db.url, ['migrate', '--workers', '2'], {
      cwd: track(
        '--! phase: backfill\n--! table: public.wide\n--! pending: not exists (select from public.narrow n where n.id = w.id)\ninsert into public.narrow (id) select w.id from public.wide w where w.id is not null;',
      ),
    })
    expect([ran.code, ran.report.backfill[0]!.rows]).toEqual([0, 20_000])
    const ranges = (await db.sql`
      select from_page::int as from, to_page::int as to from rethread.ranges order by id`) as unknown as {
      from: number
      to: number
    }[]
    expect(ranges.map(r => r.from)).toEqual([0, ...ranges.slice(0, -1).map(r => r.to)])
    expect(ranges.at(-1)!.to).toBe(20_000)
    const lengths = ranges.map(r => r.to - r.from)
    expect(lengths.slice(0, 2)).toEqual([2048, 2048])
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a))
    // the last one has what is left over
    expect(lengths.slice(-3, -1)).toEqual([128, 128])
  })

  // what looks whether it rests is somebody else at work
  test.each([
    ['with --nice', ['--nice', '1']],
    ['beside somebody else at work', []],
  ])('%s whatever reads the table rests in short pieces, and misses no row', async (_, flags) => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `create table big (id int primary key, pad text, times int not null default 0, done boolean, room int);
       insert into big select n, repeat('x', 300), 0, null, n % 5000 from generate_series(1, 60000) n;
       create table copies (id int primary key, hash bytea);
       analyze`,
    )
    const folder = track(
      '--! phase: backfill\n--! table: public.big\n--! pending: b.done is null\n--! unit: room\nupdate public.big b set done = true, times = times + 1 where b.done is null;',
      '--! phase: backfill\n--! table: public.big\n--! pending: not exists (select from public.copies c where c.id = b.id)\ninsert into public.copies select b.id, sha512(repeat(b.pad, 8)::bytea) from public.big b where true;',
    )
    let over = false
    const run = ended(
      start(['migrate', '--format', 'json', ...flags], { DATABASE_URL: db.url }, folder),
    ).finally(() => {
      over = true
    })
    const rests = { inserts: 0, passes: 0, sweep: 0, counts: 0 }
    while (!over) {
      const seen = await db.sql`
        select query from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`
      for (const { query } of seen) {
        if (query.includes('"insert into public.copies')) rests.inserts++
        if (query.includes('update public.big b')) rests.passes++
        if (query.startsWith('select json_agg')) rests.counts++
        if (query.startsWith('set local enable_mergejoin')) rests.sweep++
      }
      await new Promise(done => setTimeout(done, 5))
    }
    const { code, report } = await run
    expect([code, report.backfill[1]!.rows, report.backfill[1]!.passes]).toEqual([0, 60_000, 9])
    expect(Math.min(...Object.values(rests)), JSON.stringify(rests)).toBeGreaterThan(2)
    const [left] = await db.sql`
      select count(*) filter (where not done or times <> 1)::int as n, (select count(*)::int from copies) as copies,
        (select sum(rows)::int from rethread.tallies where kind = 'unit') as counted
      from big`
    expect(left).toMatchObject({ n: 0, copies: 60_000, counted: 60_000 })
  })

  test('--nice leaves alone a sweep that asks where a row lies', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      'create table big (id int primary key, done boolean); insert into big values (1), (2)',
    )
    const folder = track(
      "--! phase: backfill\n--! table: public.big\n--! pending: b.done is null and b.tableoid = 'public.big'::regclass\nupdate public.big b set done = true where b.done is null;",
    )
    const ran = await rethread(db.url, ['migrate', '--nice', '1'], { cwd: folder })
    expect([ran.code, ran.report.backfill[0]!.rows]).toEqual([0, 2])
  })

  test('while --throttle-query says so, nothing moves; then it goes on', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(
      `create table big (id int primary key, pad text, done boolean); insert into big select n, repeat('x', 300) from generate_series(1, 120000) n; create table brake (on_ boolean); insert into brake values (true); analyze`,
    )
    const folder = track(
      '--! phase: backfill\n--! table: public.big\n--! pending: b.done is null\nupdate public.big b set done = true where b.done is null;',
    )
    const run = ended(
      start(
        ['migrate', '--format', 'json', '--throttle-query', 'select on_ from brake'],
        { DATABASE_URL: db.url },
        folder,
      ),
    )
    const rows = async () =>
      Number(
        (
          await db.sql`select coalesce(sum(rows), 0)::int as n from rethread.batches`.catch(() => [{ n: 0 }])
        )[0]!.n,
      )
    for (let i = 0; i < 400; i++) {
      const [b] = await db.sql`select advice from rethread.backfills`.catch(() => [])
      if (b?.advice) break
      await new Promise(done => setTimeout(done, 25))
    }
    await new Promise(done => setTimeout(done, 300))
    const held = await rows()
    await new Promise(done => setTimeout(done, 1500))
    expect(await rows()).toBe(held)
    expect(held).toBeLessThan(120_000)
    const status = await rethread(db.url, ['backfill', '--status'], { cwd: folder })
    expect(status.report.backfill[0]!.slowedBy).toContain('--throttle-query says stop')
    await db.sql`update brake set on_ = false`
    const { code, stderr } = await run
    // nobody wonders why nothing moves
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(
        /^ {2}waiting for the server: .*--throttle-query says stop.* \(attempt \d+, next in 1 s\)$/m,
      ),
    ])
    expect(await rows()).toBe(120_000)
  })

  test.each([
    ['nothing that is there', 'select on_ from brake', /"brake" does not exist/],
    ['a write', 'insert into big values (2, null) returning false', /read-only transaction/],
  ])(
    'a --throttle-query of %s stops the run before a row moves, and is no success',
    async (_, query, says) => {
      await using db = await database(server, 'empty')
      await db.sql.unsafe('create table big (id int primary key, done boolean); insert into big values (1)')
      const cwd = track(
        '--! phase: backfill\n--! table: public.big\n--! pending: b.done is null\nupdate public.big b set done = true where b.done is null;',
      )
      const refused = await rethread(db.url, ['migrate', '--throttle-query', query], { cwd })
      expect([
        refused.code,
        refused.report.verdict,
        refused.report.findings.filter(f => f.level === 'error').map(f => [f.code, f.message]),
      ]).toEqual([2, 'failed', [['THROTTLE_FAILED', expect.stringMatching(says)]]])
      expect(await db.sql`select * from big`).toEqual([{ id: 1, done: null }])
      // without it the same command goes on
      const again = await rethread(db.url, ['migrate'], { cwd })
      expect([again.code, again.report.backfill[0]!.rows]).toEqual([0, 1])
    },
  )
})
