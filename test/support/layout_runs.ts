import type { HazardCode } from '../../src/index.js'

/** A small folder that is migrated, and what becomes of it. */
export interface RunCase {
  /** Files of a folder of numbered files, unless their paths say otherwise. */
  files: Record<string, string>
  allow?: HazardCode[]
  /** Sent to the database before. */
  before?: string
  /** Outcome of each step. */
  steps: Record<string, 'done' | 'failed' | 'not-run'>
  /** Codes of findings that are not info. */
  says?: string[]
  /** Queries with what they give afterwards; each one value. */
  after?: Record<string, string | null>
  /** Files that are changed or added, and the second run. */
  next?: Omit<RunCase, 'before' | 'next'>
  /** Rolled back at the end: outcome of each step, newest first, or codes of a refusal. */
  rollback?: Record<string, string> | string[]
}

const tables = `select coalesce(string_agg(c.relname, ' ' order by c.relname), '') from pg_class c
  join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'r'`
const rows = (table: string) => `select count(*)::text from public.${table}`
const reached = 'select reached::text from rethread.ledger order by id desc limit 1'

export const runCases: Record<string, RunCase> = {
  'names without a schema go where the role looks': {
    files: { '1_a.sql': 'create table a (id int primary key); insert into a values (1);' },
    steps: { '1_a': 'done' },
    after: { [rows('a')]: '1' },
  },
  'empty files and files of comments are applied': {
    files: {
      '1_a.sql': '\n',
      '2_b.sql': '-- nothing\n',
      '3_c.sql': '/* nothing */',
      '4_d.sql': 'create table d ()',
    },
    steps: { '1_a': 'done', '2_b': 'done', '3_c': 'done', '4_d': 'done' },
    after: { [tables]: 'd' },
  },
  'a byte order mark, CRLF in a body, no final line end': {
    files: {
      '1_a.sql':
        '\uFEFFcreate table a (id int);\r\ncreate function f() returns int language plpgsql as $$\r\nbegin\r\n  return 1;\r\nend\r\n$$;\r\nselect f()',
    },
    steps: { '1_a': 'done' },
    after: { 'select public.f()::text': '1' },
  },
  'a file that fails leaves no trace, those before it stay': {
    files: {
      '1_a.sql': 'create table a (id int primary key);',
      '2_b.sql': 'create table b (id int);\ninsert into a values (1);\ninsert into a values (1);',
      '3_c.sql': 'create table c (id int);',
    },
    steps: { '1_a': 'done', '2_b': 'failed', '3_c': 'not-run' },
    says: ['LEFT_IN_PLACE', 'SQL_ERROR'],
    after: { [tables]: 'a', [rows('a')]: '0' },
    next: {
      files: { '2_b.sql': 'create table b (id int);\ninsert into a values (1);' },
      steps: { '2_b': 'done', '3_c': 'done' },
      after: { [tables]: 'a b c' },
    },
  },
  'a file that does not parse is found before anything runs': {
    files: { '1_a.sql': 'create table a (id int);', '2_b.sql': 'create tabel b (id int);' },
    steps: {},
    says: ['SYNTAX'],
    after: { [tables]: '' },
  },
  'CONCURRENTLY among other statements': {
    files: {
      '1_a.sql':
        'create table a (id int); insert into a values (1), (2);\ncreate index concurrently a_id on a (id);\nreindex index concurrently a_id;\ninsert into a values (3);\ndrop index concurrently a_id;',
    },
    steps: { '1_a': 'done' },
    after: { [rows('a')]: '3', [reached]: '6', "select to_regclass('public.a_id')::text": null },
  },
  'what is behind a concurrent build fails: the statements that are applied are said, and the next run goes on':
    {
      files: {
        '1_a.sql':
          'create table a (id int);\ncreate index concurrently on a (id);\ninsert into a values (1);\ninsert into nowhere values (1);',
      },
      steps: { '1_a': 'failed' },
      says: ['PARTLY_APPLIED', 'SQL_ERROR'],
      after: { [rows('a')]: '0', [reached]: '2' },
      next: {
        files: {
          '1_a.sql':
            'create table a (id int);\ncreate index concurrently on a (id);\ninsert into a values (1);',
        },
        steps: { '1_a': 'done' },
        after: { [rows('a')]: '1', [reached]: '3' },
      },
    },
  'statements that are applied were changed': {
    files: { '1_a.sql': 'create table a (id int);\nvacuum a;\ninsert into nowhere values (1);' },
    steps: { '1_a': 'failed' },
    says: ['PARTLY_APPLIED', 'SQL_ERROR'],
    next: {
      files: { '1_a.sql': 'create table a (id bigint);\nvacuum a;' },
      steps: { '1_a': 'failed' },
      says: ['PART_CHANGED', 'UNFINISHED'],
    },
  },
  'a unique build that fails leaves no invalid index': {
    files: {
      '1_a.sql':
        'create table a (id int);\ninsert into a values (1), (1);\ncreate unique index concurrently a_id on a (id);',
    },
    steps: { '1_a': 'failed' },
    says: ['PARTLY_APPLIED', 'SQL_ERROR'],
    after: { "select to_regclass('public.a_id')::text": null },
  },
  'an invalid index that somebody else left is not ours to drop': {
    files: { '1_a.sql': 'create unique index concurrently if not exists a_id on a (id);' },
    before:
      "create table a (id int); insert into a values (1); create unique index a_id on a (id); update pg_index set indisvalid = false where indexrelid = 'a_id'::regclass;",
    steps: { '1_a': 'failed' },
    says: ['FOREIGN_INVALID_INDEX'],
    next: { files: {}, steps: { '1_a': 'done' } },
  },
  'IF NOT EXISTS is content with another definition': {
    files: {
      '1_a.sql':
        'create index concurrently if not exists a_id on a (id);\ncreate table if not exists a (x int);',
    },
    before: 'create table a (id int); create index a_id on a (id desc);',
    steps: { '1_a': 'done' },
  },
  'VACUUM, ALTER SYSTEM and procedures that commit': {
    files: {
      '1_a.sql':
        'create table a (id int);\ncreate procedure fill() language plpgsql as $$ begin for i in 1..3 loop insert into public.a values (i); commit; end loop; end $$;\ncall fill();\nvacuum analyze a;',
      '2_b.sql': 'call fill();\ndo $$ begin insert into public.a values (9); commit; end $$;',
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    after: { [rows('a')]: '7' },
  },
  'a new value of an enum that is used in the same file': {
    files: {
      '1_a.sql': "create type mood as enum ('x'); create table a (m mood);",
      '2_b.sql': "alter type mood add value 'y';\ninsert into a values ('y');",
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    after: { [rows('a')]: '1' },
  },
  'one that the file has made itself needs no more than a transaction': {
    files: {
      '1_a.sql': "create type mood as enum ('x'); create table a (m mood); insert into a values ('x');",
    },
    steps: { '1_a': 'done' },
    after: { [reached]: '0' },
  },
  'BEGIN and COMMIT around the file, a savepoint inside': {
    files: {
      '1_a.sql':
        "set lock_timeout = '1s';\nbegin;\ncreate table a (id int);\nsavepoint s;\ninsert into a values (1);\nrollback to s;\ninsert into a values (2);\ncommit;\n",
    },
    steps: { '1_a': 'done' },
    says: ['SETTINGS_LEAKED'],
    after: { 'select max(id)::text || count(*) from public.a': '21' },
  },
  'transactions in the middle of a file are refused': {
    files: { '1_a.sql': 'create table a (id int);\ncommit;\ncreate table b (id int);' },
    steps: {},
    says: ['OWN_TRANSACTIONS'],
    after: { [tables]: '' },
  },
  'the search_path of a dump does not leak': {
    files: {
      '1_a.sql':
        "set statement_timeout = 0;\nset standard_conforming_strings = on;\nselect pg_catalog.set_config('search_path', '', false);\nset check_function_bodies = false;\ncreate table public.a (id int);",
      '2_b.sql': 'create table b (id int);',
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    says: ['SETTINGS_LEAKED'],
    after: { [tables]: 'a b' },
  },
  'a role that a file takes on does not leak': {
    files: {
      '1_a.sql': 'set role pg_database_owner;\nreset role;\ncreate table a (by text default current_user);',
      '2_b.sql': 'set role pg_monitor;\nselect 1;',
      '3_c.sql': 'set session authorization pg_monitor;\nselect 1;',
      '4_d.sql': 'set local role pg_monitor;\nselect 1;',
      '5_e.sql': 'insert into a default values;',
    },
    steps: { '1_a': 'done', '2_b': 'done', '3_c': 'done', '4_d': 'done', '5_e': 'done' },
    after: { 'select by from public.a': 'postgres' },
  },
  'a search_path of a file holds for all of it, also in parts': {
    files: {
      '1_a.sql':
        'create schema shop;\nset search_path = shop;\ncreate table a (id int);\ncreate index concurrently a_id on a (id);\ninsert into a values (1);',
      '2_b.sql': 'create table b (id int);',
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    after: {
      [tables]: 'b',
      'select count(*)::text from shop.a': '1',
      "select to_regclass('shop.a_id')::text": 'shop.a_id',
    },
  },
  'deferred constraints are checked in the file’s own transaction': {
    files: {
      '1_a.sql':
        'create table a (id int primary key); create table b (a int references a deferrable initially deferred);',
      '2_b.sql': 'insert into b values (7);',
    },
    steps: { '1_a': 'done', '2_b': 'failed' },
    says: ['LEFT_IN_PLACE', 'SQL_ERROR'],
    after: { [rows('b')]: '0' },
  },
  'LOCK TABLE and ALTER DEFAULT PRIVILEGES, COMMENT, GRANT, DO': {
    files: {
      '1_a.sql':
        "create table a (id int);\nlock table a in access exclusive mode;\nalter default privileges in schema public grant select on tables to anon;\ncomment on table a is 'x; y';\ngrant select on a to authenticated;\ndo $do$ begin execute 'insert into a values (1)'; end $do$;",
    },
    steps: { '1_a': 'done' },
    after: { [rows('a')]: '1' },
  },
  'a drop wants consent, and changes nothing without': {
    files: { '1_a.sql': 'create table a (id int);', '2_b.sql': 'drop table x;' },
    before: 'create table x (id int); insert into x values (1);',
    steps: { '1_a': 'not-run', '2_b': 'not-run' },
    says: ['CONSENT_NEEDED'],
    after: { [tables]: 'x' },
    next: {
      files: {},
      allow: ['DELETES_DATA'],
      steps: { '1_a': 'done', '2_b': 'done' },
      after: { [tables]: 'a' },
    },
  },
  'a table that is there and not of the ledger': {
    files: { '1_a.sql': 'create table a (id int);' },
    before: 'create table a (id int);',
    steps: { '1_a': 'not-run' },
    says: ['ALREADY_EXISTS'],
  },
  'a table that is dropped before it is made again': {
    files: { '1_a.sql': 'drop table if exists a;\ncreate table a (id bigint);' },
    before: 'create table a (id int);',
    allow: ['DELETES_DATA'],
    steps: { '1_a': 'done' },
  },
  'a repeatable migration runs again when it has changed': {
    files: {
      'V1__a.sql': 'create table a (id int);',
      'R__v.sql': 'create or replace view v as select 1 as n;',
    },
    steps: { V1__a: 'done', R__v: 'done' },
    next: {
      files: {
        'R__v.sql': 'create or replace view v as select 2 as n;',
        'V2__b.sql': 'create table b (id int);',
      },
      steps: { V2__b: 'done', R__v: 'done' },
      after: { 'select n::text from public.v': '2' },
    },
  },
  'dbmate: up, and down with the archive': {
    files: {
      '1_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n',
      '2_b.sql': '-- migrate:up\ninsert into a values (1);\n',
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    after: { [rows('a')]: '1' },
    rollback: ['IRREVERSIBLE'],
  },
  'goose: NO TRANSACTION, and the way back in the same file': {
    files: {
      '1_a.sql':
        '-- +goose NO TRANSACTION\n-- +goose Up\ncreate table a (id int);\ncreate index concurrently a_id on a (id);\n-- +goose Down\ndrop index concurrently a_id;\ndrop table a;\n',
    },
    steps: { '1_a': 'done' },
    after: { [reached]: '2' },
    rollback: { '1_a': 'done' },
  },
  'golang-migrate: down files': {
    files: {
      '1_a.up.sql': 'create table a (id int);',
      '1_a.down.sql': 'begin;\ndrop table a;\ncommit;',
      '2_b.up.sql': 'alter table a add column b int;',
      '2_b.down.sql': 'alter table a drop column b;',
    },
    steps: { '1_a': 'done', '2_b': 'done' },
    rollback: { '2_b': 'done', '1_a': 'done' },
  },
  'drizzle: breakpoints without semicolons': {
    files: {
      'meta/_journal.json': '{"dialect":"postgresql","entries":[{"idx":0,"when":1,"tag":"0000_a"}]}',
      '0000_a.sql':
        'create table a (id int)\n--> statement-breakpoint\ncreate table b (id int);--> statement-breakpoint\ncreate table c (id int)',
    },
    steps: { '0000_a': 'done' },
    after: { [tables]: 'a b c' },
  },
  'prisma: quoted names, several statements': {
    files: {
      'migrations/20240101000000_a/migration.sql':
        '-- CreateTable\nCREATE TABLE "User" (\n    "id" TEXT NOT NULL,\n\n    CONSTRAINT "User_pkey" PRIMARY KEY ("id")\n);\n\n-- CreateIndex\nCREATE UNIQUE INDEX "User_id_key" ON "User"("id");\n',
      'migrations/migration_lock.toml': 'provider = "postgresql"',
    },
    steps: { '20240101000000_a': 'done' },
    after: { [rows('"User"')]: '0' },
  },
  'sqitch: deploy and revert with their own BEGIN': {
    files: {
      'sqitch.plan': '%project=x\n\na 2024-01-01T10:00:00Z A <a@b> # A\n',
      'deploy/a.sql': '-- Deploy a\n\nBEGIN;\n\ncreate table a (id int);\n\nCOMMIT;\n',
      'revert/a.sql': '-- Revert a\n\nBEGIN;\n\ndrop table a;\n\nCOMMIT;\n',
    },
    steps: { a: 'done' },
    rollback: { a: 'done' },
  },
  'an applied file that has changed, and one behind the newest': {
    files: { '2_b.sql': 'create table b (id int);' },
    steps: { '2_b': 'done' },
    next: {
      files: { '1_a.sql': 'create table a (id int);', '2_b.sql': 'create table c (id int);' },
      steps: {},
      says: ['APPLIED_FILE_CHANGED', 'OUT_OF_ORDER'],
    },
  },
}
