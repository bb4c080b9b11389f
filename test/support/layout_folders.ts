/** A small folder of another tool, and what is read from it. */
export interface FolderCase {
  /** Files by path; of an empty text one statement is made, so that only what matters is written down. */
  files: Record<string, string | Buffer>
  /** Folder that is named; the root by default. */
  dir?: string
  named?: string
  /** Tracks that are found; of the first, its migrations in order. */
  tracks: string[]
  order?: string[]
  /** Migrations that have a way back. */
  back?: string[]
  /** Codes of what is wrong or odd, each with the file; without those that are info. */
  says?: string[]
}

const up = (sql = 'select 1') => `-- migrate:up\n${sql};\n-- migrate:down\nselect 2;\n`
const goose = (sql = 'select 1;') => `-- +goose Up\n${sql}\n-- +goose Down\nselect 2;\n`
const journal = (...tags: string[]) =>
  JSON.stringify({
    version: '7',
    dialect: 'postgresql',
    entries: tags.map((tag, idx) => ({
      idx,
      version: '7',
      when: 1700000000000 + idx,
      tag,
      breakpoints: true,
    })),
  })
const committed = (previous: string, hash: string, sql = 'select 1;') =>
  `--! Previous: ${previous}\n--! Hash: sha1:${hash}\n\n${sql}\n`
const planned = (...lines: string[]) => `%syntax-version=1.0.0\n%project=shop\n\n${lines.join('\n')}\n`
const by = '2024-01-01T10:00:00Z Ada <ada@example.org>'

export const folderCases: Record<string, FolderCase> = {
  'supabase: by name, in the order of texts': {
    files: { 'supabase/migrations/20240102000000_b.sql': '', 'supabase/migrations/20240101000000_z.sql': '' },
    tracks: ['supabase'],
    order: ['20240101000000_z', '20240102000000_b'],
  },
  'supabase: the folder itself is named': {
    files: { 'supabase/migrations/20240101000000_a.sql': '' },
    dir: 'supabase/migrations',
    tracks: ['supabase'],
    order: ['20240101000000_a'],
  },
  'supabase: what the CLI leaves out is named': {
    files: {
      'supabase/migrations/20240101000000_a.sql': '',
      'supabase/migrations/seed.sql': '',
      'supabase/migrations/20240102000000.sql': '',
      'supabase/migrations/README.md': 'x',
      'supabase/migrations/.DS_Store': 'x',
      'supabase/migrations/20240101000000_a.sql~': 'x',
      'supabase/migrations/.#20240101000000_a.sql': 'x',
    },
    tracks: ['supabase'],
    order: ['20240101000000_a'],
    says: [
      'UNNUMBERED_FILE supabase/migrations/20240102000000.sql',
      'UNNUMBERED_FILE supabase/migrations/seed.sql',
    ],
  },
  'supabase: one version twice': {
    files: { 'supabase/migrations/20240101000000_a.sql': '', 'supabase/migrations/20240101000000_b.sql': '' },
    tracks: ['supabase'],
    order: ['20240101000000_a', '20240101000000_b'],
    says: ['DUPLICATE_VERSION supabase/migrations/20240101000000_b.sql'],
  },
  'supabase: numbers of several lengths are compared as texts': {
    files: { 'supabase/migrations/10_b.sql': '', 'supabase/migrations/9_a.sql': '' },
    tracks: ['supabase'],
    order: ['10_b', '9_a'],
    says: ['MIXED_DIGITS supabase/migrations/9_a.sql'],
  },
  'plain: compared as numbers': {
    files: { '10_c.sql': '', '2_b.sql': '', '1_a.sql': '' },
    tracks: ['plain'],
    order: ['1_a', '2_b', '10_c'],
  },
  'plain: the way back beside it is no migration': {
    files: {
      '001_a.sql': '',
      '001_a.down.sql': '',
      '002_b.sql': '',
      '002_b_rollback.sql': '',
      '003_c.down.sql': '',
    },
    tracks: ['plain'],
    order: ['001_a', '002_b'],
    back: ['001_a', '002_b'],
    says: ['ORPHAN_ROLLBACK 003_c.down.sql'],
  },
  'plain: dates of 8 and of 14 digits': {
    files: { '20240105_b.sql': '', '20240101120000_a.sql': '' },
    tracks: ['plain'],
    order: ['20240105_b', '20240101120000_a'],
    says: ['MIXED_DIGITS 20240101120000_a.sql'],
  },
  'plain: small numbers, then timestamps, are one order': {
    files: { '001_a.sql': '', '20240101120000_b.sql': '' },
    tracks: ['plain'],
    order: ['001_a', '20240101120000_b'],
  },
  'plain: unnumbered files, duplicates, spaces and dots in names': {
    files: { 'schema.sql': '', '01_a.sql': '', '1-b.sql': '', '2 c d.sql': '', '3.e.sql': '' },
    tracks: ['plain'],
    order: ['01_a', '1-b', '2 c d', '3.e'],
    says: ['DUPLICATE_VERSION 1-b.sql', 'UNNUMBERED_FILE schema.sql'],
  },
  'plain: a byte order mark and CRLF are no fault': {
    files: { '1_a.sql': '\uFEFFselect 1;\r\nselect 2;\r\n' },
    tracks: ['plain'],
    order: ['1_a'],
  },
  'plain: latin1, NUL and UTF-16 are found with their files': {
    files: {
      '1_latin.sql': Buffer.from("select 'caf\xe9'", 'latin1'),
      '2_nul.sql': Buffer.from('select 1;\nselect 2\0;'),
      '3_utf16.sql': Buffer.from('select 1', 'utf16le'),
    },
    tracks: ['plain'],
    order: ['1_latin', '2_nul', '3_utf16'],
    says: ['NOT_UTF8 1_latin.sql', 'SYNTAX 2_nul.sql:2', 'SYNTAX 3_utf16.sql:1'],
  },
  'plain: psql’s own commands, COPY FROM stdin and DELIMITER are refused with the line': {
    files: {
      '1_include.sql': 'select 1;\n\\i other.sql\n',
      '2_connect.sql': '\\connect shop\nselect 1;',
      '3_set.sql': "\\set name 'x'\nselect 1;",
      '4_copy.sql': 'select 1;\ncopy t from stdin;\n',
      '5_copy_data.sql': 'copy t (a) from stdin;\n1\n\\.\n',
      '6_delimiter.sql': 'DELIMITER //\nselect 1//\n',
    },
    tracks: ['plain'],
    says: [
      'PSQL_META_COMMAND 1_include.sql:2',
      'PSQL_META_COMMAND 2_connect.sql:1',
      'PSQL_META_COMMAND 3_set.sql:1',
      'PSQL_META_COMMAND 4_copy.sql:2',
      'PSQL_META_COMMAND 5_copy_data.sql:1',
      'SYNTAX 6_delimiter.sql:1',
    ],
  },
  'plain: transaction control is refused unless the file is exactly one': {
    files: {
      '1_one.sql': 'begin;\nselect 1;\ncommit;\n',
      '2_set.sql': "-- why\nset lock_timeout = '2s';\nstart transaction;\nselect 1;\nend;\n-- done\n",
      '3_two.sql': 'begin;\nselect 1;\ncommit;\nbegin;\nselect 2;\ncommit;\n',
      '4_middle.sql': 'select 1;\ncommit;\nselect 2;\n',
      '5_savepoint.sql': 'begin;\nsavepoint a;\nselect 1;\nrollback to a;\ncommit;\n',
      '6_back.sql': 'begin;\nselect 1;\nrollback;\n',
      '7_body.sql': 'create function f() returns void language plpgsql as $$ begin perform 1; end; $$;\n',
      '8_level.sql': 'begin isolation level serializable;\nselect 1;\ncommit;\n',
      '9_inside.sql': 'begin;\ncreate index concurrently i on t (a);\ncommit;\n',
    },
    tracks: ['plain'],
    says: [
      'NEEDS_NO_TRANSACTION 9_inside.sql:2',
      'OWN_TRANSACTIONS 3_two.sql:3',
      'OWN_TRANSACTIONS 3_two.sql:4',
      'OWN_TRANSACTIONS 4_middle.sql:2',
      'OWN_TRANSACTIONS 6_back.sql:1',
      'OWN_TRANSACTIONS 6_back.sql:3',
      'OWN_TRANSACTIONS 8_level.sql:1',
      'OWN_TRANSACTIONS 8_level.sql:3',
    ],
  },
  'plain: a file that does not parse, with line': {
    files: { '1_a.sql': 'select 1;\n\ncreate tabel x ();' },
    tracks: ['plain'],
    says: ['SYNTAX 1_a.sql:3'],
  },
  'plain: our headers work, wrong ones are found': {
    files: { '1_a.sql': '--! title: Rooms\n--! hazard: NOPE\nselect 1;' },
    tracks: ['plain'],
    says: ['BAD_HEADER 1_a.sql:2'],
  },
  'dbmate: both ways in one file': {
    files: { 'db/migrations/20240101000000_a.sql': up(), 'db/migrations/20240102000000_b.sql': up() },
    tracks: ['dbmate'],
    order: ['20240101000000_a', '20240102000000_b'],
    back: ['20240101000000_a', '20240102000000_b'],
  },
  'dbmate: an empty way back is none': {
    files: { '1_a.sql': '-- migrate:up\nselect 1;\n\n-- migrate:down\n\n' },
    tracks: ['dbmate'],
    order: ['1_a'],
    back: [],
  },
  'dbmate: statements above the marker, no marker, the wrong order, two of them': {
    files: {
      '1_a.sql': `select 0;\n${up()}`,
      '2_b.sql': 'select 1;',
      '3_c.sql': '-- migrate:down\nselect 2;\n-- migrate:up\nselect 1;',
      '4_d.sql': `${up()}${up()}`,
      '5_e.sql': '-- a comment\n--! title: Rooms\n-- migrate:up transaction:false\nselect 1;',
      'schema.sql': '',
    },
    tracks: ['dbmate'],
    order: ['1_a', '2_b', '3_c', '4_d', '5_e'],
    says: [
      'BAD_LAYOUT 1_a.sql:1',
      'BAD_LAYOUT 2_b.sql:1',
      'BAD_LAYOUT 3_c.sql:1',
      'BAD_LAYOUT 4_d.sql:5',
      'UNNUMBERED_FILE schema.sql',
    ],
  },
  'dbmate: a fault below the marker has the line of the file': {
    files: { '1_a.sql': '-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;\ndrop tabel a;\n' },
    tracks: ['dbmate'],
    says: ['SYNTAX 1_a.sql:5'],
  },
  'golang-migrate: pairs, compared as numbers': {
    files: {
      '10_c.up.sql': '',
      '10_c.down.sql': '',
      '9_b.up.sql': '',
      '000001_a.up.sql': '',
      '000001_a.down.sql': '',
    },
    tracks: ['golang-migrate'],
    order: ['000001_a', '9_b', '10_c'],
    back: ['000001_a', '10_c'],
  },
  'golang-migrate: duplicates, a way back alone, other files': {
    files: {
      '1_a.up.sql': '',
      '01_b.up.sql': '',
      '2_c.down.sql': '',
      'seed.sql': '',
      'embed.go': 'package db',
      '3_d.sql': '',
    },
    tracks: ['golang-migrate'],
    order: ['01_b', '1_a'],
    says: [
      'DUPLICATE_VERSION 1_a.up.sql',
      'ORPHAN_ROLLBACK 2_c.down.sql',
      'UNNUMBERED_FILE 3_d.sql',
      'UNNUMBERED_FILE seed.sql',
    ],
  },
  'golang-migrate: in migrations/ of a repository': {
    files: { 'migrations/1_a.up.sql': '', 'README.md': 'x' },
    tracks: ['golang-migrate'],
    order: ['1_a'],
  },
  'goose: annotations, statement blocks, both ways': {
    files: {
      '00001_a.sql': goose(
        '-- +goose StatementBegin\ncreate function f() returns int language sql as $$ select 1; $$;\n-- +goose StatementEnd',
      ),
      '00010_c.sql': goose(),
      '9_b.sql': goose(),
    },
    tracks: ['goose'],
    order: ['00001_a', '9_b', '00010_c'],
    back: ['00001_a', '9_b', '00010_c'],
  },
  'goose: a migration in Go is not ours to run': {
    files: { '00001_a.sql': goose(), '00002_fill.go': 'package m', '00003_test_test.go': 'package m' },
    tracks: ['goose'],
    says: ['NOT_SQL 00002_fill.go'],
  },
  'goose: no marker, values of the environment, two markers': {
    files: {
      '1_a.sql': goose(),
      '2_b.sql': 'select 1;',
      '3_c.sql': '-- +goose Up\n-- +goose ENVSUB ON\nselect 1;',
      '4_d.sql': `${goose()}${goose()}`,
    },
    tracks: ['goose'],
    says: ['BAD_LAYOUT 2_b.sql:1', 'BAD_LAYOUT 3_c.sql:2', 'BAD_LAYOUT 4_d.sql:5'],
  },
  'flyway: versions part by part, repeatable ones last, by description': {
    files: {
      'V1_10__c.sql': '',
      'V1.9__b.sql': '',
      'V1__a.sql': '',
      'V2__d.sql': '',
      'R__b_view.sql': '',
      'R__a_view.sql': '',
      'U2__d.sql': '',
    },
    tracks: ['flyway'],
    order: ['V1__a', 'V1.9__b', 'V1_10__c', 'V2__d', 'R__a_view', 'R__b_view'],
    back: ['V2__d'],
  },
  'flyway: 1 and 1.0 are one version; names that are none': {
    files: { 'V1__a.sql': '', 'V1.0__b.sql': '', 'V2_missing_one.sql': '', 'U7__x.sql': '', 'v3__c.sql': '' },
    tracks: ['flyway'],
    order: ['V1__a', 'V1.0__b'].sort(),
    says: [
      'DUPLICATE_VERSION V1__a.sql',
      'ORPHAN_ROLLBACK U7__x.sql',
      'UNNUMBERED_FILE V2_missing_one.sql',
      'UNNUMBERED_FILE v3__c.sql',
    ],
  },
  'flyway: folders below, callbacks, Java, placeholders': {
    files: {
      'src/main/resources/db/migration/common/V1__a.sql': '',
      'src/main/resources/db/migration/views/R__v.sql': '',
      'src/main/resources/db/migration/afterMigrate.sql': '',
      'src/main/resources/db/migration/V3__fill.java': 'class V3__fill {}',
      'src/main/resources/db/migration/V2__b.sql': "select '\u0024{schema}';",
      'pom.xml': '<project/>',
    },
    tracks: ['flyway'],
    order: ['V1__a', 'V2__b', 'R__v'],
    says: [
      'BAD_LAYOUT src/main/resources/db/migration/V2__b.sql:1',
      'NOT_SQL src/main/resources/db/migration/V3__fill.java',
      'NOT_SQL src/main/resources/db/migration/afterMigrate.sql',
    ],
  },
  'sqitch: the plan is the order': {
    files: {
      'sqitch.plan': planned(
        `schema ${by} # The schema`,
        `users [schema] ${by} # Users`,
        '',
        `@v1 ${by} # One`,
      ),
      'deploy/schema.sql': 'begin;\ncreate schema shop;\ncommit;',
      'deploy/users.sql': '',
      'revert/users.sql': '',
    },
    tracks: ['sqitch'],
    order: ['schema', 'users'],
    back: ['users'],
  },
  'sqitch: rework, needs, conflicts, files that are missing': {
    files: {
      'sqitch.plan': planned(
        `f ${by} # first`,
        `@v1 ${by}`,
        `f [f@v1] ${by} # second`,
        `g [later !f] ${by}`,
        `later [@v9] ${by}`,
        `gone ${by}`,
        'what is this',
      ),
      'deploy/f@v1.sql': 'select 1;',
      'deploy/f.sql': 'select 2;',
      'deploy/g.sql': '',
      'deploy/later.sql': '',
    },
    tracks: ['sqitch'],
    order: ['f', 'f~2', 'g', 'later'],
    says: [
      'BAD_LAYOUT sqitch.plan:10',
      'BAD_LAYOUT sqitch.plan:7',
      'BAD_LAYOUT sqitch.plan:7',
      'BAD_LAYOUT sqitch.plan:8',
      'BAD_LAYOUT sqitch.plan:9',
    ],
  },
  'sqitch: another top folder, changes in folders': {
    files: {
      'sqitch.plan': planned(`app/users ${by}`),
      'sqitch.conf': '[core]\n\tengine = pg\n\ttop_dir = db\n',
      'db/deploy/app/users.sql': '',
      'db/revert/app/users.sql': '',
    },
    tracks: ['sqitch'],
    order: ['app/users'],
    back: ['app/users'],
  },
  'diesel: folders, compared as texts without dashes': {
    files: {
      'migrations/2024-01-02-000000_b/up.sql': '',
      'migrations/00000000000000_diesel_initial_setup/up.sql': '',
      'migrations/00000000000000_diesel_initial_setup/down.sql': '',
      'migrations/.keep': '',
      'migrations/2024-01-03-000000_empty/notes.md': 'x',
    },
    dir: 'migrations',
    tracks: ['diesel'],
    order: ['00000000000000_diesel_initial_setup', '2024-01-02-000000_b'],
    back: ['00000000000000_diesel_initial_setup'],
  },
  'diesel: in a repository, with a folder that only goes back': {
    files: { 'migrations/1_a/up.sql': '', 'migrations/2_b/down.sql': '', 'Cargo.toml': '' },
    tracks: ['diesel'],
    order: ['1_a'],
    says: ['UNNUMBERED_FILE migrations/2_b/'],
  },
  'drizzle: the journal is the order': {
    files: {
      'drizzle/meta/_journal.json': journal('0001_b', '0000_a'),
      'drizzle/0000_a.sql': '',
      'drizzle/0001_b.sql': 'create table a (id int)\n--> statement-breakpoint\ncreate table b (id int);',
    },
    tracks: ['drizzle'],
    order: ['0001_b', '0000_a'],
  },
  'drizzle: files outside the journal, and entries without a file': {
    files: { 'meta/_journal.json': journal('0000_a', '0001_gone'), '0000_a.sql': '', '0002_new.sql': '' },
    tracks: ['drizzle'],
    order: ['0000_a'],
    says: ['BAD_LAYOUT meta/_journal.json', 'NOT_IN_JOURNAL 0002_new.sql'],
  },
  'drizzle: a journal that cannot be read, or is for MySQL': {
    files: { 'meta/_journal.json': '{"dialect":"mysql","entries":[]}', '0000_a.sql': '' },
    tracks: ['drizzle'],
    order: [],
    says: ['BAD_LAYOUT meta/_journal.json'],
  },
  'drizzle: a journal that is cut off': {
    files: { 'meta/_journal.json': '{"entries":[', '0000_a.sql': '' },
    tracks: ['drizzle'],
    order: [],
    says: ['BAD_LAYOUT meta/_journal.json'],
  },
  'drizzle: an older entry behind a younger one': {
    files: {
      'meta/_journal.json': JSON.stringify({
        entries: [
          { idx: 0, tag: '0000_a', when: 2000 },
          { idx: 1, tag: '0001_b', when: 1000 },
        ],
      }),
      '0000_a.sql': '',
      '0001_b.sql': '',
    },
    tracks: ['drizzle'],
    order: ['0000_a', '0001_b'],
    says: ['MIXED_DIGITS 0001_b.sql'],
  },
  'drizzle: folders without a journal': {
    files: {
      'drizzle/20240102000000_b/migration.sql': '',
      'drizzle/20240102000000_b/snapshot.json': '{}',
      'drizzle/20240101000000_a/migration.sql': '',
      'drizzle/20240101000000_a/snapshot.json': '{}',
    },
    tracks: ['drizzle'],
    order: ['20240101000000_a', '20240102000000_b'],
  },
  'prisma: folders in the order of their names': {
    files: {
      'prisma/migrations/migration_lock.toml': 'provider = "postgresql"',
      'prisma/migrations/20240102000000_b/migration.sql': '',
      'prisma/migrations/20240101000000_a/migration.sql':
        '-- CreateTable\nCREATE TABLE "User" ("id" TEXT NOT NULL);',
      'prisma/schema.prisma': 'x',
    },
    tracks: ['prisma'],
    order: ['20240101000000_a', '20240102000000_b'],
  },
  'prisma: of another database, and a folder without its file': {
    files: {
      'migration_lock.toml': 'provider = "mysql"',
      '20240101000000_a/migration.sql': '',
      '20240102000000_b/notes.txt': 'x',
    },
    tracks: ['prisma'],
    order: ['20240101000000_a'],
    says: ['BAD_LAYOUT 20240102000000_b/', 'BAD_LAYOUT migration_lock.toml'],
  },
  'prisma: --dir prisma': {
    files: { 'prisma/migrations/20240101000000_a/migration.sql': '' },
    dir: 'prisma',
    tracks: ['prisma'],
    order: ['20240101000000_a'],
  },
  'node-pg-migrate: both ways in one file': {
    files: {
      '1700000000001_b.sql': '-- Up Migration\nselect 1;\n-- Down Migration\nselect 2;\n',
      '1700000000000-a.sql': '-- Up Migration\nselect 1;\n',
    },
    tracks: ['node-pg-migrate'],
    order: ['1700000000000-a', '1700000000001_b'],
    back: ['1700000000001_b'],
  },
  'node-pg-migrate: JavaScript is not ours to run': {
    files: { '1_a.sql': '-- Up Migration\nselect 1;', '2_b.js': '', '3_c.ts': '', 'types.d.ts': '' },
    tracks: ['node-pg-migrate'],
    order: ['1_a'],
    says: ['NOT_SQL 2_b.js', 'NOT_SQL 3_c.ts'],
  },
  'graphile-migrate: what is committed, with its headers': {
    files: {
      'migrations/committed/000001.sql': committed('-', 'aa'),
      'migrations/committed/000002-rooms.sql': `--! Previous: sha1:aa\n--! Hash: sha1:bb\n--! Message: Rooms\n\nselect 1;`,
      'migrations/current.sql': 'select 3;',
    },
    tracks: ['graphile-migrate'],
    order: ['000001', '000002-rooms'],
  },
  'graphile-migrate: a chain that is broken, a placeholder': {
    files: {
      'committed/000001.sql': committed('-', 'aa'),
      'committed/000002.sql': committed('sha1:zz', 'bb', 'grant connect on database :DATABASE_NAME to app;'),
      'current.sql': '',
    },
    tracks: ['graphile-migrate'],
    order: ['000001', '000002'],
    says: [
      'BAD_LAYOUT committed/000002.sql:1',
      'BAD_LAYOUT committed/000002.sql:4',
      'SYNTAX committed/000002.sql:4',
    ],
  },
  'a repository with several tools has a track for each': {
    files: {
      'supabase/migrations/20240101000000_a.sql': '',
      'db/migrations/1_a.sql': up(),
      'prisma/migrations/20240101000000_a/migration.sql': '',
      'drizzle/meta/_journal.json': journal('0000_a'),
      'drizzle/0000_a.sql': '',
    },
    tracks: ['dbmate', 'drizzle', 'prisma', 'supabase'],
  },
  'a layout that is named reads only its own': {
    files: { 'supabase/migrations/20240101000000_a.sql': '', 'db/migrations/1_a.sql': up() },
    named: 'dbmate',
    tracks: ['dbmate'],
    order: ['1_a'],
  },
  'a layout that is named beats what the files look like': {
    files: { '20240101000000_a.sql': up() },
    named: 'plain',
    tracks: ['plain'],
    order: ['20240101000000_a'],
    back: [],
  },
  'two folders of one layout are unclear': {
    files: { 'db/migrations/1_a.sql': '', 'sql/1_b.sql': '' },
    tracks: [],
    says: ['LAYOUT_UNCLEAR plain'],
  },
  'a folder with nothing to run': { files: { 'README.md': 'x' }, tracks: [], says: ['NO_TRACKS .'] },
  'tracks of ours stay tracks': {
    files: {
      'migrations/own/001_a.sql': 'select 1;',
      'rollbacks/own/001_a.sql': 'select 1;',
      'verify/own/a.sql': "select 'a' as object, 'b' as detail where false;",
    },
    tracks: ['own'],
    order: ['001_a'],
    back: ['001_a'],
  },
  'a way back for a tool that has none, and a check': {
    files: {
      'supabase/migrations/20240101000000_a.sql': 'create table public.a (id int);',
      'rollbacks/supabase/20240101000000_a.sql': 'drop table public.a;',
    },
    tracks: ['supabase'],
    order: ['20240101000000_a'],
    back: ['20240101000000_a'],
  },
}
