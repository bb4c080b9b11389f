import { describe, expect, test } from 'vitest'
import { knowsNothing } from '../src/database/known.js'
import { aliasOf, readBackfillStatement } from '../src/files/backfill_statement.js'
import { discover, foreignFolder } from '../src/files/discover.js'
import { lint, shortSql } from '../src/files/lint.js'
import { proofOf } from '../src/files/statement_proof.js'
import { parseStatements, rawChecksum, SyntaxFault, tokenChecksum } from '../src/files/statements.js'
import type { LedgerRow } from '../src/model/plan.js'
import { compareVersions } from '../src/model/versions.js'
import { changedFiles } from '../src/plan/changed_files.js'
import { judgeStatements } from '../src/plan/hazards.js'
import { makePlan } from '../src/plan/make_plan.js'
import { foldLedger } from '../src/run/ledger_history.js'
import { root } from './support/database.js'
import { folder } from './support/folder.js'

const good = {
  'migrations/t/1_one.sql': '--! title: One\n\ncreate table one (id int);\n',
  'rollbacks/t/1_one.sql': 'drop table if exists one;\n',
  'verify/t/one.sql': `select 'one' as object, 'missing' as detail where to_regclass('one') is null`,
}

async function faults(files: Record<string, string | Buffer>): Promise<string[]> {
  const { tracks, faults } = discover(folder({ ...good, ...files }))
  const linted = (await Promise.all(tracks.map(t => lint(t)))).flat()
  return [...faults, ...linted].map(f => `${f.code} ${f.subject}`).sort()
}

describe('faults of files are gathered and told with file and line', () => {
  const pair = (name: string, sql: string | Buffer) => ({
    [`migrations/t/${name}.sql`]: sql,
    [`rollbacks/t/${name}.sql`]: 'select 1;',
  })
  const cases: [string, Record<string, string | Buffer>, string[]][] = [
    ['nothing is wrong', {}, []],
    ['duplicate version', pair('01_again', 'select 1;'), ['DUPLICATE_VERSION migrations/t/1_one.sql']],
    [
      'a name that is none',
      pair('two', 'select 1;'),
      ['BAD_FILE_NAME migrations/t/two.sql', 'ORPHAN_ROLLBACK rollbacks/t/two.sql'],
    ],
    [
      'missing rollback',
      { 'migrations/t/2_two.sql': 'select 1;' },
      ['MISSING_ROLLBACK migrations/t/2_two.sql'],
    ],
    [
      'irreversible with its reason',
      { 'migrations/t/2_two.sql': '--! irreversible: sends mail\nselect 1;' },
      [],
    ],
    ['undone by another', { 'migrations/t/2_two.sql': '--! undone-by: 1_one\nselect 1;' }, []],
    [
      'undone by nobody',
      { 'migrations/t/2_two.sql': '--! undone-by: 9_nine\nselect 1;' },
      ['UNKNOWN_REFERENCE migrations/t/2_two.sql'],
    ],
    [
      'a rollback of nothing',
      { 'rollbacks/t/3_three.sql': 'select 1;' },
      ['ORPHAN_ROLLBACK rollbacks/t/3_three.sql'],
    ],
    [
      'a rollback of comments only',
      { ...pair('2_two', 'select 1;'), 'rollbacks/t/2_two.sql': '-- later\n/* or never */' },
      ['EMPTY_ROLLBACK rollbacks/t/2_two.sql'],
    ],
    [
      'a track without a check',
      { 'migrations/u/1_one.sql': 'select 1;', 'rollbacks/u/1_one.sql': 'select 1;' },
      ['MISSING_VERIFY verify/u/'],
    ],
    [
      'phases in the wrong order',
      {
        ...pair('2_two', '--! phase: contract\nselect 1;'),
        ...pair('3_three', '--! phase: expand\nselect 1;'),
      },
      ['PHASE_ORDER migrations/t/3_three.sql'],
    ],
    ['an empty file', pair('2_two', '  \n'), ['EMPTY_FILE migrations/t/2_two.sql']],
    ['a file of comments only', pair('2_two', '-- nothing\n'), ['EMPTY_FILE migrations/t/2_two.sql']],
    [
      'transaction control',
      pair('2_two', 'select 1;\nbegin;\nselect 2;\ncommit;'),
      ['TRANSACTION_CONTROL migrations/t/2_two.sql:2', 'TRANSACTION_CONTROL migrations/t/2_two.sql:4'],
    ],
    [
      'the word commit in a body is none',
      pair('2_two', 'do $$ begin perform 1; end $$;\nselect $q$commit;$q$;'),
      [],
    ],
    [
      'a psql meta-command',
      pair('2_two', 'select 1;\n\\restrict abc\nselect 2;'),
      ['PSQL_META_COMMAND migrations/t/2_two.sql:2'],
    ],
    ['a backslash in a literal is none', pair('2_two', "select '\n\\d not a command';"), []],
    [
      'copy from stdin',
      pair('2_two', 'create table c (a int);\ncopy c from stdin;'),
      ['PSQL_META_COMMAND migrations/t/2_two.sql:2'],
    ],
    [
      'an unterminated quote',
      pair('2_two', "select 1;\nselect 'abc;\n"),
      ['SYNTAX migrations/t/2_two.sql:2'],
    ],
    [
      'an unterminated dollar quote',
      pair('2_two', 'select 1;\ndo $a$ begin end $b$;'),
      ['SYNTAX migrations/t/2_two.sql:2'],
    ],
    [
      'a statement that breaks off',
      pair('2_two', 'create table c (\n  a int\n\n\n'),
      ['SYNTAX migrations/t/2_two.sql:2'],
    ],
    ['a byte order mark', pair('2_two', '\uFEFFselect 1;'), ['BYTE_ORDER_MARK migrations/t/2_two.sql']],
    [
      'CR in a function body',
      pair('2_two', 'select 1;\r\ndo $$\r\nbegin\r\nend\r\n$$;'),
      ['CR_IN_BODY migrations/t/2_two.sql:2'],
    ],
    ['CR elsewhere is harmless', pair('2_two', 'select 1;\r\nselect 2;\r\n'), []],
    [
      'not UTF-8',
      pair('2_two', Buffer.from([0x73, 0xe9, 0x3b])),
      ['NOT_UTF8 migrations/t/2_two.sql', 'ORPHAN_ROLLBACK rollbacks/t/2_two.sql'],
    ],
    [
      'a name that would be cut',
      pair('2_two', `create table ${'x'.repeat(64)} (a int);`),
      ['NAME_TOO_LONG migrations/t/2_two.sql:1'],
    ],
    [
      'a concurrent index in a transaction',
      pair('2_two', 'create index concurrently i on one (id);'),
      ['NEEDS_NO_TRANSACTION migrations/t/2_two.sql:1'],
    ],
    [
      'vacuum in a transaction',
      pair('2_two', 'vacuum one;'),
      ['NEEDS_NO_TRANSACTION migrations/t/2_two.sql:1'],
    ],
    ['analyze in a transaction is allowed', pair('2_two', 'analyze one;'), []],
    [
      'what the catalog cannot prove',
      pair(
        '2_two',
        '--! transaction: none\ncreate index concurrently i on one (id);\nupdate one set id = 1;',
      ),
      ['BULK_WRITE migrations/t/2_two.sql:3', 'UNPROVABLE_STATEMENT migrations/t/2_two.sql:3'],
    ],
    [
      'a rollback that drops a column without a transaction',
      {
        ...pair('2_two', 'select 1;'),
        'rollbacks/t/2_two.sql': '--! transaction: none\nalter table one drop id;',
      },
      ['UNPROVABLE_STATEMENT rollbacks/t/2_two.sql:2'],
    ],
    [
      'an index without a name',
      pair('2_two', '--! transaction: none\ncreate index concurrently on one (id);'),
      ['UNPROVABLE_STATEMENT migrations/t/2_two.sql:2'],
    ],
    [
      'an unknown header key',
      pair('2_two', '--! titel: Two\nselect 1;'),
      ['BAD_HEADER migrations/t/2_two.sql:1'],
    ],
    [
      'a repeated header key',
      pair('2_two', '--! title: a\n--! title: b\nselect 1;'),
      ['BAD_HEADER migrations/t/2_two.sql:2'],
    ],
    [
      'a header below a statement',
      pair('2_two', 'select 1;\n--! title: late'),
      ['BAD_HEADER migrations/t/2_two.sql:2'],
    ],
    [
      'a header after blank lines and comments, with the line ends of Windows',
      pair(
        '2_two',
        '\uFEFF-- ours\r\n\r\n--! title: a\r\n  \r\n-- more --! title: b\r\n--! title: c\r\nselect 1;',
      ),
      ['BAD_HEADER migrations/t/2_two.sql:6', 'BYTE_ORDER_MARK migrations/t/2_two.sql'],
    ],
    [
      'a comment within a line that only looks like a header',
      pair('2_two', "select '--! title: no' as a; --! title: no\nselect 2; -- --! phase: later"),
      [],
    ],
    [
      'an indented comment above a header',
      pair('2_two', '  -- not at its beginning\n--! title: late\nselect 1;'),
      ['BAD_HEADER migrations/t/2_two.sql:2'],
    ],
    [
      'a header value that cannot be',
      pair('2_two', '--! phase: later\nselect 1;'),
      ['BAD_HEADER migrations/t/2_two.sql:1'],
    ],
    [
      'an unknown hazard',
      pair('2_two', '--! hazard: SCARY\nselect 1;'),
      ['BAD_HEADER migrations/t/2_two.sql:1'],
    ],
    [
      'a backfill without its table',
      pair('2_two', '--! phase: backfill\nupdate one set id = 1 where id = 0;'),
      ['BAD_HEADER migrations/t/2_two.sql:1', 'BULK_WRITE migrations/t/2_two.sql:2'],
    ],
    [
      'a backfill without WHERE',
      pair(
        '2_two',
        '--! phase: backfill\n--! table: public.one\n--! pending: id = 0\nupdate one set id = 1;',
      ),
      ['BAD_BACKFILL migrations/t/2_two.sql'],
    ],
    [
      'a backfill of two statements',
      pair(
        '2_two',
        '--! phase: backfill\n--! table: public.one\n--! pending: id = 0\nupdate one set id = 1 where id = 0; select 1;',
      ),
      ['BAD_BACKFILL migrations/t/2_two.sql'],
    ],
    [
      'a backfill of another table',
      pair(
        '2_two',
        '--! phase: backfill\n--! table: public.one\n--! pending: id = 0\nupdate two set id = 1 where id = 0;',
      ),
      ['BAD_BACKFILL migrations/t/2_two.sql'],
    ],
    [
      'several at once',
      {
        ...pair('2_two', 'begin;'),
        'migrations/t/3_three.sql': "select 'x",
        'verify/t/bad.sql': 'delete from one',
      },
      [
        'BAD_HEADER verify/t/bad.sql:1',
        'MISSING_ROLLBACK migrations/t/3_three.sql',
        'SYNTAX migrations/t/3_three.sql:1',
        'TRANSACTION_CONTROL migrations/t/2_two.sql:1',
      ],
    ],
  ]
  test.each(cases)('%s', async (_, files, expected) => expect(await faults(files)).toEqual(expected))

  test('the shipped tracks have none', async () => {
    const { tracks, faults } = discover(root)
    expect([...faults, ...(await Promise.all(tracks.map(t => lint(t)))).flat()]).toEqual([])
  })
})

describe('checksums', () => {
  test('line ends and a byte order mark do not change the raw one', () =>
    expect(rawChecksum('\uFEFFselect 1;\r\nselect 2;\r\n')).toBe(rawChecksum('select 1;\nselect 2;\n')))

  test.each([
    ['comments', 'select 1; -- why', 'select 1;', true],
    ['white space', 'select   1\n;', 'select 1;', true],
    ['case of keywords and names', 'SELECT A FROM T', 'select a from t', true],
    ['a quoted name', 'select "A"', 'select a', false],
    ['a literal', "select 'A'", "select 'a'", false],
    ['two tokens run together', "select 'a' 'b'", "select 'ab'", false],
    ['a body', 'do $$ begin end $$', 'do $$ begin  end $$', false],
  ])('%s', async (_, a, b, same) => expect((await tokenChecksum(a)) === (await tokenChecksum(b))).toBe(same))

  test.each(["select 'no end", 'select $a$ no end', '/* no end'])('%s has none', text =>
    expect(tokenChecksum(text)).rejects.toBeInstanceOf(SyntaxFault),
  )

  test('an applied file that can no longer be read has changed; one with other comments was reformatted', async () => {
    const files = {
      'migrations/own/001_a.sql': "select 'no end\n",
      'migrations/own/002_b.sql': 'SELECT  1; -- as before\n',
    }
    const track = discover(folder(files)).tracks[0]!
    const applied = {
      track: 'own',
      direction: 'up',
      outcome: 'done',
      checksum: 'x',
      reached: 0,
      at: '',
      run: 1,
    }
    const tokens = await tokenChecksum('select 1;')
    const rows = ['001_a', '002_b'].map(migration => ({ ...applied, migration, tokens }) as LedgerRow)
    expect([...(await changedFiles(track, foldLedger(rows, 'own')))]).toEqual([
      ['001_a', 'changed'],
      ['002_b', 'reformatted'],
    ])
  })
})

describe('statements', () => {
  test('are split by PostgreSQL’s own grammar', async () => {
    const text = `
      create function f() returns int language sql begin atomic select 1; select 2; end;
      select $a$ ; $b$ ; $b$ $a$, E'\\';', U&'d\\0061t;a', "semi;colon" from (values (1)) as "semi;colon" (x); /* a ; /* nested ; */ */
      select 'é', 'ü;'; -- ; not here
      insert into t values (1)`
    const statements = await parseStatements(text)
    expect(statements.map(s => s.kind)).toEqual([
      'CreateFunctionStmt',
      'SelectStmt',
      'SelectStmt',
      'InsertStmt',
    ])
    for (const s of statements) expect(text.slice(s.offset, s.offset + s.text.length)).toBe(s.text)
    expect(statements[2]!.text).toBe("select 'é', 'ü;'")
  })

  test('proofs name what the catalog must show', async () => {
    const proofs = async (sql: string) => (await parseStatements(sql)).map(s => proofOf(s)?.kind ?? null)
    expect(
      await proofs(`create index concurrently i on t (a); drop index concurrently public.i; alter table t add constraint c check (a > 0) not valid;
        alter table t validate constraint c; alter table t alter column a set not null; alter table t add column b int, drop column c; update t set a = 1`),
    ).toEqual(['index', 'index', 'constraint', 'constraint', 'not-null', null, null])
  })
})

describe('the cut', () => {
  const statement = (sql: string, table = 'public.t') =>
    readBackfillStatement(sql, 'f.sql', {
      table,
      pending: 'true',
      reason: null,
      unit: null,
      key: [],
      until: null,
    })
  const flat = (s: string) => s.replace(/\s+/g, ' ')

  test('an UPDATE by its alias', async () => {
    const { restrict, alias, updatesTable } = await statement(
      'update public.t as x set a = (select 1 from u where u.b = 2) from u where x.a is null or x.b = 1 returning x.id',
    )
    expect([alias, updatesTable]).toEqual(['x', true])
    expect(flat(restrict('x.ctid < $1'))).toContain(
      'where x.ctid < $1 and (x.a is null or x.b = 1 ) returning x.id',
    )
  })

  test.each([
    ['update public.t as x set a = 1 where x.a is null', 'x'],
    ['update only public.t y set a = 1 where y.a is null', 'y'],
    ['update public.t set a = 1 where a is null', 't'],
    ['delete from public.t as "Of" where "Of".a is null', '"Of"'],
    ["insert into s select x.a from u join public.t x on x.id = u.id where x.a <> 'from public.t z'", 'x'],
    ['insert into public.t select z.a from public.t2 y, public.t z where z.a is null', 'z'],
    ['with w as (select from public.t inner_one) insert into s select r.a from public.t r where true', 'r'],
    ['insert into s select (select max(b.a) from public.t b) from public.t c where c.a is null', 'c'],
    [`insert into s select $$ from public.t d $$ from public.t e where e.a is null`, 'e'],
    ['-- from public.t f\ninsert into s select g.a from public.t g where true', 'g'],
    ["insert into s select '--', h.a from public.t h where true -- from public.t i", 'h'],
    ['/* from public.t k */ insert into s select l.a from public.t l where true', 'l'],
    ["insert into s select 'it''s (' from public.t m where true", 'm'],
    [`insert into s select E'\\'', '(' from public.t n where true`, 'n'],
    ['insert into s select "from public.t o" from public.t p where true', 'p'],
  ])('%s: the alias without the parser is that of the parser', async (sql, alias) => {
    const spec = { table: 'public.t', pending: 'true', reason: null, unit: null, key: [], until: null }
    expect([await aliasOf(sql, 'f.sql', spec), (await statement(sql)).alias]).toEqual([alias, alias])
  })

  test('an INSERT ... SELECT with groups and ON CONFLICT, and a non-ASCII literal before the place', async () => {
    const { restrict, updatesTable } = await statement(
      `insert into s select 'ünïcode', t.a from u join t on t.id = u.id where t.a <> 'é' group by t.a on conflict (id) do update set a = 1 where s.a > 2`,
    )
    expect(updatesTable).toBe(false)
    expect(flat(restrict('P'))).toContain(
      `where P and (t.a <> 'é' ) group by t.a on conflict (id) do update set a = 1 where s.a > 2`,
    )
  })

  test('what groups its rows is known, at the top level only', async () => {
    const insert = async (select: string) => (await statement(`insert into s ${select}`)).groups
    expect(await insert('select t.a, count(*) from t where true group by 1')).toBe(true)
    expect(await insert('select distinct t.a from t where true')).toBe(true)
    expect(await insert('select t.a from t where t.a in (select b from u group by b)')).toBe(false)
    expect((await statement('update t set a = 1 where true')).groups).toBe(false)
  })

  test('a comment at the end of the condition does not swallow the rest', async () => {
    const { restrict } = await statement('delete from t where t.a = 1 -- only these\n')
    await expect(parseStatements(restrict('t.ctid < $1'))).resolves.toHaveLength(1)
  })

  test('IS DISTINCT FROM, BETWEEN and CASE inside do not end it', async () => {
    const { restrict } = await statement(
      'update t set a = 1 where t.a is distinct from 1 and t.b between 1 and 2 and case when t.c then true else false end',
    )
    expect(flat(restrict('P'))).toContain(
      '(t.a is distinct from 1 and t.b between 1 and 2 and case when t.c then true else false end )',
    )
  })
})

test('versions compare as numbers of any length', () => {
  const sorted = ['20260120123456789012', '9', '10', '20260120'].sort(compareVersions)
  expect(sorted).toEqual(['9', '10', '20260120', '20260120123456789012'])
})

describe('hazards', () => {
  const cases: [string, string[]][] = [
    ['create table n (id int)', []],
    ['create table n (id int references old (id))', ['BLOCKS_WRITES public.old']],
    ['create table n (id int); alter table n add column a int', []],
    ['alter table old add column a int', ['LOCKS_TABLE public.old']],
    ['alter table old add column a int default 1', ['LOCKS_TABLE public.old']],
    [
      'alter table old add column a uuid default gen_random_uuid()',
      ['LOCKS_TABLE public.old', 'REWRITES_TABLE public.old'],
    ],
    ['alter table old add column a bigserial', ['LOCKS_TABLE public.old', 'REWRITES_TABLE public.old']],
    ['alter table old alter column a type text', ['LOCKS_TABLE public.old', 'REWRITES_TABLE public.old']],
    ['alter table old drop column a', ['LOCKS_TABLE public.old', 'DELETES_DATA public.old.a']],
    [
      'alter table old add constraint f foreign key (a) references o2 (id)',
      ['BLOCKS_WRITES public.old', 'BLOCKS_WRITES public.o2', 'SCANS_TABLE public.old'],
    ],
    [
      'alter table old add constraint f foreign key (a) references o2 (id) not valid',
      ['BLOCKS_WRITES public.old', 'BLOCKS_WRITES public.o2'],
    ],
    ['alter table old validate constraint f', ['SCANS_TABLE public.old']],
    ['create index i on old (a)', ['BLOCKS_WRITES public.old', 'SCANS_TABLE public.old']],
    ['create index concurrently i on old (a)', ['SCANS_TABLE public.old']],
    [
      'create policy p on old for select using (true)',
      ['LOCKS_TABLE public.old', 'WIDENS_ACCESS public.old'],
    ],
    ['create policy p on old for select to authenticated using (a = 1)', ['LOCKS_TABLE public.old']],
    ['alter table old enable row level security', ['LOCKS_TABLE public.old']],
    ['create trigger g before insert on old for each row execute function f()', ['BLOCKS_WRITES public.old']],
    ['drop table old', ['LOCKS_TABLE public.old', 'DELETES_DATA public.old']],
    [
      'truncate old, o2',
      [
        'LOCKS_TABLE public.old',
        'LOCKS_TABLE public.o2',
        'DELETES_DATA public.old',
        'DELETES_DATA public.o2',
      ],
    ],
    ['delete from old where a', ['DELETES_DATA public.old']],
    ['drop policy p on old', ['LOCKS_TABLE public.old', 'WIDENS_ACCESS public.old']],
    ['cluster old using i', ['LOCKS_TABLE public.old', 'REWRITES_TABLE public.old']],
    ['alter table old rename to o2', ['LOCKS_TABLE public.old']],
    ['alter table old rename column a to b', ['LOCKS_TABLE public.old']],
    ['alter table old set schema o2', ['LOCKS_TABLE public.old']],
    ['refresh materialized view old', ['LOCKS_TABLE public.old', 'REWRITES_TABLE public.old']],
    ['alter policy p on old using (a = 1)', ['LOCKS_TABLE public.old', 'WIDENS_ACCESS public.old']],
    ['drop view old', ['LOCKS_TABLE public.old']],
    ['lock table old', ['LOCKS_TABLE public.old']],
    ['lock table old in share mode', ['BLOCKS_WRITES public.old']],
    ['alter table old alter column a set statistics 500', []],
    ['alter table old set (fillfactor = 80)', []],
    ['do $$ begin end $$', ['CANNOT_TELL statement 1']],
    ['-- locks: none\ndo $$ begin end $$', []],
    ['-- locks: old ACCESS EXCLUSIVE\ndo $$ begin end $$', ['LOCKS_TABLE public.old']],
    ['call p()', ['CANNOT_TELL statement 1']],
    ['select p.f()', ['CANNOT_TELL statement 1']],
    ['select count(*) from old', []],
    ['select 1; drop view old cascade', ['CANNOT_TELL statement 2']],
  ]
  test.each(cases)('%s', async (sql, expected) => {
    const found = judgeStatements(await parseStatements(sql), null, knowsNothing()).hazards
    expect(found.map(h => `${h.code} ${h.subject}`)).toEqual(expected)
  })
})

describe('the plan', () => {
  const track = discover(root).tracks.find(t => t.name === 'workspace-sessions')!
  const row = (migration: string, change: Partial<LedgerRow> = {}): LedgerRow => ({
    track: track.name,
    migration,
    direction: 'up',
    outcome: 'done',
    checksum: '',
    tokens: '',
    reached: 0,
    at: '',
    run: 1,
    ...change,
  })
  const bare = { to: null, phase: null, backfills: true }
  const names = (rows: LedgerRow[], options: Parameters<typeof makePlan>[3] = bare) =>
    makePlan(track, foldLedger(rows, track.name), new Map(), options).steps.map(s =>
      s.migration.name.slice(0, 3),
    )

  test('bare goes up to what would end the old application', () =>
    expect(names([])).toEqual(['001', '002', '003', '004', '005', '006', '007', '008']))
  test('a phase is where it ends', () =>
    expect(names([], { ...bare, phase: 'expand' })).toEqual(['001', '002']))
  test('contract goes to the end', () => expect(names([], { ...bare, phase: 'contract' })).toHaveLength(11))
  test('a target is the last one', () =>
    expect(names([], { ...bare, to: '003' })).toEqual(['001', '002', '003']))
  test('without backfills it stops at the first', () =>
    expect(names([], { ...bare, backfills: false })).toEqual(['001', '002']))
  test('what was rolled back is pending again', () =>
    expect(
      names([row('001_create_chat_sessions'), row('001_create_chat_sessions', { direction: 'down' })]),
    ).toContain('001'))
  test('out of order is an error that names both files', () => {
    const { findings } = makePlan(
      track,
      foldLedger([row('001_create_chat_sessions'), row('003_collect_legacy_sessions')], track.name),
      new Map(),
      bare,
    )
    expect(findings.map(f => [f.code, f.subject, f.code === 'OUT_OF_ORDER' && f.facts.after])).toEqual([
      [
        'OUT_OF_ORDER',
        'migrations/workspace-sessions/002_link_chats_to_sessions.sql',
        'migrations/workspace-sessions/003_collect_legacy_sessions.sql',
      ],
    ])
  })
})

describe('the folder of another tool that is not read', () => {
  test.each([
    [['supabase/migrations/1_a.sql'], 'supabase/migrations'],
    [['prisma/migrations/1_a/migration.sql'], 'prisma/migrations'],
    [['apps/api/db-migrations/1_a.sql'], 'apps/api/db-migrations'],
    [['packages/core/Migrations/1_a/up.sql'], 'packages/core/Migrations'],
    [['node_modules/tool/migrations/1_a.sql', '.git/migrations/1_a.sql'], null],
    [['a/b/c/migrations/1_a.sql', 'docs/migrations/readme.md', 'sql/1_a.sql'], null],
  ])('%j: %s', (paths, found) => {
    const files = Object.fromEntries(paths.map(path => [path, 'select 1;']))
    expect(foreignFolder(folder(files))).toBe(found)
  })
})

test('a message shows the beginning of a statement on one line, not its first line only', () => {
  expect(shortSql('alter table public.chats\n  add column session_id uuid')).toBe(
    'alter table public.chats add column session_id uuid',
  )
  expect(shortSql(`select ${'x'.repeat(200)}`)).toBe(`select ${'x'.repeat(93)} ...`)
})
