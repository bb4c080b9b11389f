import { describe, expect, test } from 'vitest'
import { render } from '../../src/index.js'
import { objects } from '../../src/run/schema_snapshot.sql.js'
import { disableAutoAnalyze, restoreAutoAnalyze } from '../../src/run/table_settings.sql.js'
import { database, inTurn, newest, root, servers } from '../support/database.js'
import { folder } from '../support/folder.js'
import { inProcess, said, sentenceOf } from '../support/in_process.js'

const tracks = [
  'workspace-sessions',
  'conversation-history',
  'helper-chats',
  'codebase-sessions',
  'trip-sessions',
]

/** As a run leaves the ledger that is killed after its last step: no look at the schema is stored with it. */
const killed = 'update rethread.ledger set fingerprint = null, catalog = null'

describe.each(servers())('the drift gate on PostgreSQL $major', server => {
  const test = inTurn(server)

  test('a function of the track in chat_private that somebody changed is drift', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(project.migrate({ phase: 'expand' }))).verdict).toBe('clean')
    const [made] = await db.sql`
      select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as definition
      from pg_proc p where pronamespace = 'chat_private'::regnamespace and prorettype = 'trigger'::regtype order by 1 limit 1`
    await db.sql.unsafe(made!.definition.replace(/begin/i, 'begin perform 1;'))
    const refused = await said(project.migrate())
    expect(refused.verdict).toBe('refused')
    expect(sentenceOf(refused, 'CONSENT_NEEDED')).toContain(`~ function ${made!.name}`)
    expect((await said(project.plan())).verdict).toBe('attention')
    await db.sql.unsafe(made!.definition)
    expect((await said(project.migrate())).verdict).toBe('clean')
  })

  test('a function of the track in a schema of the application is compared too', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe('create table public.notes (id int primary key, size int)')
    const text = (n: number) =>
      `create or replace function public.size_of(id int) returns int language sql set search_path = '' as 'select ${n}'`
    const dir = folder({
      'migrations/mine/1_function.sql': `${text(1)};`,
      'rollbacks/mine/1_function.sql': 'drop function public.size_of(int);',
      'migrations/mine/2_column.sql': 'alter table public.notes add column colour text;',
      'rollbacks/mine/2_column.sql': 'alter table public.notes drop column colour;',
      'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
    const project = await inProcess(db.url, { dir })
    const first = await said(project.migrate({ to: '1', consent: { allow: ['WIDENS_ACCESS'] } }))
    expect([first.verdict, first.findings.filter(f => f.level === 'error')]).toEqual(['clean', []])
    await db.sql.unsafe(text(2))
    expect(sentenceOf(await said(project.migrate()), 'CONSENT_NEEDED')).toContain(
      '~ function public.size_of(integer)',
    )
    await db.sql.unsafe(text(1))
    expect((await said(project.migrate())).verdict).toBe('clean')
  })

  test('constraints as a dump restores them are no drift', async () => {
    await using db = await database(server, 'conversation-history', 40)
    const project = await inProcess(db.url, { track: 'conversation-history' })
    expect((await said(project.migrate({ phase: 'expand' }))).verdict).toBe('clean')
    const checks = () =>
      db.sql<{ table: string; name: string; definition: string }[]>`
        select conrelid::regclass::text as table, quote_ident(conname) as name, pg_get_constraintdef(oid) as definition
        from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace order by 1, 2`
    const before = [...(await checks())]
    for (const { table, name, definition } of before)
      await db.sql.unsafe(
        `alter table ${table} drop constraint ${name}, add constraint ${name} ${definition}`,
      )
    // the server prints a list of texts in another way when it has read its own text
    expect([...(await checks())]).not.toEqual(before)
    const ran = await said(project.migrate())
    expect([ran.verdict, ran.codes]).toEqual(['clean', expect.not.arrayContaining(['DRIFT'])])
  })

  test('what others have changed outlives a rollback, and a migrate with nothing to do is not clean', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(`
      create table public.notes (id int primary key, size int);
      insert into public.notes values (1, 1)`)
    const dir = folder({
      'migrations/mine/1_colour.sql': 'alter table public.notes add column colour text;',
      'rollbacks/mine/1_colour.sql': 'alter table public.notes drop column colour;',
      'migrations/mine/2_table.sql': 'create table public.more (id int primary key);',
      'rollbacks/mine/2_table.sql': 'drop table public.more;',
      'migrations/mine/3_paint.sql': `--! phase: backfill
--! table: public.notes
--! pending: n.colour is null
--! undone-by: 1_colour
update public.notes n set colour = 'red' where n.colour is null;`,
      'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
    const project = await inProcess(db.url, { dir })
    expect((await said(project.migrate())).verdict).toBe('clean')
    expect((await said(project.status())).backfill).toMatchObject([{ migration: '3_paint', state: 'done' }])

    await db.sql.unsafe(`
      create table public.elsewhere (id int);
      create index by_size on public.notes (size);
      alter table public.more add column extra int`)
    const idle = await said(project.migrate())
    expect([idle.verdict, idle.steps]).toEqual(['attention', []])
    expect(idle.codes).toEqual(expect.arrayContaining(['DRIFT', 'NOTHING_TO_DO']))
    expect((await said(project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } }))).verdict).toBe('clean')

    const consent = { allow: ['IGNORES_DRIFT' as const, 'DELETES_DATA' as const], confirm: db.name }
    const back = await said(project.rollback({ all: true, consent }))
    expect([back.steps.map(s => s.outcome), back.codes]).toEqual([
      ['done', 'done', 'done'],
      expect.arrayContaining(['DRIFT', 'ROLLBACK_DIFFERS']),
    ])
    expect((await said(project.status())).backfill).toEqual([])
    // the index is on a table of the track; what went with the rollback is no drift any more
    const again = await said(project.migrate())
    expect(again.verdict).toBe('refused')
    const [drift] = again.findings.filter(f => f.code === 'DRIFT').map(f => f.facts)
    expect(drift).toEqual({
      objects: expect.arrayContaining(['+ index public.notes.by_size', '+ table public.elsewhere']),
    })
    expect(JSON.stringify(drift)).not.toMatch(/more|colour/)
    await db.sql.unsafe('drop index public.by_size')
    // a table of the application's own is named and stops nothing
    const forth = await said(project.migrate())
    expect([forth.verdict, forth.codes]).toEqual(['clean', expect.arrayContaining(['DRIFT'])])
    expect((await said(project.migrate())).codes).not.toContain('DRIFT')
  })

  test('settings that a backfill has left on its table are the tool’s, not the schema’s', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    await db.sql.unsafe('alter table public.chats set (fillfactor = 90, autovacuum_analyze_threshold = 500)')
    expect((await said(project.migrate({ phase: 'expand' }))).verdict).toBe('clean')
    const before = await objects(db.sql)
    await disableAutoAnalyze(db.sql, 'public.chats')
    const [table] = await db.sql`select reloptions::text as now from pg_class where relname = 'chats'`
    expect(table!.now).toContain('autovacuum_analyze_scale_factor')
    expect(await objects(db.sql)).toEqual(before)
    // another setting is a change, whoever put it there and whenever
    await restoreAutoAnalyze(db.sql, 'public.chats', 1000)
    await db.sql.unsafe('alter table public.chats set (fillfactor = 80)')
    expect(await objects(db.sql)).not.toEqual(before)
  })

  test('where nobody could look, the verdict is not clean, and the next step stores a look', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(project.migrate({ to: '001' }))).verdict).toBe('clean')
    await db.sql.unsafe(`${killed}; delete from rethread.catalogs`)
    const planned = await said(project.plan({ to: '002' }))
    expect([planned.verdict, sentenceOf(planned, 'DRIFT_UNKNOWN')]).toEqual([
      'attention',
      'Whether the schema has changed since the last step of rethread could not be found out: no run has stored how the schema looked.',
    ])
    expect((await said(project.migrate({ to: '002' }))).verdict).toBe('attention')
    expect((await said(project.migrate({ to: '003' }))).verdict).toBe('clean')
    await db.sql.unsafe(
      `update rethread.ledger set server_version = '14.2'; update rethread.catalogs set major = 14, at = at - interval '1 day'`,
    )
    expect(sentenceOf(await said(project.plan()), 'DRIFT_UNKNOWN')).toContain('stored by PostgreSQL 14')
  })

  test('status does not wait for whoever has locked a table, and says what it could not compare', async () => {
    await using db = await database(server, 'workspace-sessions', 50)
    const project = await inProcess(db.url, { track: 'workspace-sessions' })
    expect((await said(project.migrate({ phase: 'expand' }))).verdict).toBe('clean')
    await db.sql.unsafe('create view public.owned as select id, owner_id from public.workspaces')
    // a view's definition waits for the lock on its table
    await db.sql.begin(async tx => {
      await tx.unsafe('lock table public.workspaces in access exclusive mode')
      const seen = await said(project.status())
      expect(sentenceOf(seen, 'DRIFT_UNKNOWN')).toContain('lock timeout')
      expect(seen.codes).not.toContain('NOT_DRIFTED')
    })
    expect((await said(project.status())).codes).not.toContain('DRIFT_UNKNOWN')
  })
})

describe.each(tracks)('after a run of %s that was killed', track => {
  test('what its files made is no drift, and what somebody changed since is', async () => {
    await using db = await database(newest(), track, 60)
    const project = await inProcess(db.url, { track, dir: root })
    const ran = await said(project.migrate({ phase: 'expand' }))
    expect([ran.verdict, ran.steps.length > 0]).toEqual(['clean', true])
    await db.sql.unsafe(killed)
    const all = await said(project.plan())
    expect(all.findings.filter(f => f.code.startsWith('DRIFT')).map(f => f.message)).toEqual([])
    const [own] = await db.sql`
      select format('%I.%I', schemaname, tablename) as table, policyname as policy from pg_policies where schemaname = 'public' order by 1 limit 1`
    await db.sql.unsafe(`alter table ${own!.table} add column somebodys int`)
    expect(sentenceOf(await said(project.plan()), 'DRIFT')).toContain(`+ column ${own!.table}.somebodys`)
  })
})

describe.each(servers().slice(-1))('triggers that a pending file changes, on PostgreSQL $major', server => {
  /** A track whose second file fills a column of `notes` row by row, after what its first file does. */
  const dirOf = (first: string) =>
    folder({
      'migrations/mine/1_first.sql': first,
      'rollbacks/mine/1_first.sql': 'select 1;',
      'migrations/mine/2_fill.sql': `--! phase: backfill\n--! table: public.notes\n--! pending: n.colour is null
update public.notes n set colour = 'red' where n.colour is null;`,
      'rollbacks/mine/2_fill.sql': 'select 1;',
      'verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
    })
  const before = `
    create table public.notes (id int primary key, colour text, twin int);
    insert into public.notes select n from generate_series(1, 20) n;
    create function public.note() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger theirs before update on public.notes for each row execute function public.note();
    create trigger is_off before update on public.notes for each row execute function public.note();
    alter table public.notes disable trigger is_off`

  test.each<[what: string, first: string, hold: boolean, verdict: string, says: string]>([
    [
      'a trigger of the track that has to fire',
      'create trigger ours before update of colour on public.notes for each row execute function public.note();',
      true,
      'refused',
      'ours of the track has to fire',
    ],
    [
      'a foreign key that would not be looked after',
      'create table public.colours (name text primary key); alter table public.notes add constraint colour_known foreign key (colour) references public.colours;',
      true,
      'refused',
      'a column of the foreign key colour_known',
    ],
    [
      'a trigger of the application that is enabled again',
      'alter table public.notes disable trigger theirs; alter table public.notes enable trigger is_off;',
      false,
      'refused',
      'is_off (public.note)',
    ],
    ['none that still fires', 'drop trigger theirs on public.notes;', false, 'clean', ''],
    [
      'none that fires for this column',
      'create or replace trigger theirs before update of twin on public.notes for each row execute function public.note();',
      false,
      'clean',
      '',
    ],
  ])('are foreseen before the first step: %s', async (_, first, hold, verdict, says) => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(before)
    const project = await inProcess(db.url, { dir: dirOf(first), config: hold ? { triggers: 'hold' } : {} })
    const ran = await said(project.migrate({ consent: { allow: ['CANNOT_TELL', 'WIDENS_ACCESS'] } }))
    expect([ran.verdict, ran.findings.filter(f => f.level === 'error').map(f => f.message)]).toEqual([
      verdict,
      [],
    ])
    if (says) {
      expect(sentenceOf(ran, 'CONSENT_NEEDED')).toContain(says)
      // nothing was begun
      expect((await db.sql`select to_regnamespace('rethread') as made`)[0]!.made).toBeNull()
    }
  })

  test('one that the application makes while the run is under way stops it, and the verdict says what was done before', async () => {
    await using db = await database(server, 'empty')
    await db.sql.unsafe(before.split('create trigger theirs')[0]!)
    const dir = dirOf('alter table public.notes add column note text;')
    const project = await inProcess(db.url, { dir })
    const consent = { allow: ['WIDENS_ACCESS' as const, 'CANNOT_TELL' as const] }
    await db.sql.unsafe(`
      create schema if not exists spare;
      create function spare.meanwhile() returns event_trigger language plpgsql as $f$ begin
        if to_regclass('rethread.ledger') is not null and not exists (select from pg_trigger where tgname = 'meanwhile') then
          create trigger meanwhile before update on public.notes for each row execute function public.note();
        end if; end $f$;
      create event trigger meanwhile on ddl_command_end when tag in ('ALTER TABLE') execute function spare.meanwhile()`)
    const ran = await said(project.migrate({ consent }))
    expect([ran.verdict, ran.steps.map(s => s.outcome)]).toEqual(['refused', ['done', 'failed']])
    expect(sentenceOf(ran, 'CONSENT_NEEDED')).toContain('meanwhile (public.note)')
    const text = await render({ ...ran, findings: [] }, 'table')
    expect(text).toContain('refused: one step finished before; this step changed nothing')
    expect(await render(await project.plan(), 'table')).not.toContain('nothing was changed')
    // the second time no step comes before it
    const again = await project.migrate({ consent: { allow: ['IGNORES_DRIFT'] } })
    expect(await render(again, 'table')).toContain('refused: nothing was changed')
  })
})
