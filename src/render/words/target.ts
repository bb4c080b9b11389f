import type { Facts } from '../../model/facts.js'
import { agreeing, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { partText } from '../../model/table_name.js'
import { bullets, endPrepared, type Group, listed, say, sentence } from './say.js'

/** SQL for prerequisites that are often missing. */
const prerequisites: Record<string, string> = {
  'function public.update_updated_at()': `create function public.update_updated_at() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at = now();
  return new;
end
$$;`,
  'function auth.uid()': `create schema if not exists auth;
create function auth.uid() returns uuid language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub',
    nullif(current_setting('app.user_id', true), '')
  )::uuid
$$;
grant usage on schema auth to authenticated, anon;`,
  'role authenticated':
    'create role authenticated nologin; create role anon nologin; create role service_role nologin bypassrls;',
}

/** SQL that returns an object of the tool's schemas to its owner. */
function takeBack({ kind, name, owner, role, grants }: Facts['FOREIGN_OBJECT']): string {
  if (grants.length > 0)
    return grants
      .map(grant => grant.split(' to '))
      .map(
        ([privilege, to]) => `revoke ${privilege} on ${kind === 'view' ? 'table' : kind} ${name} from ${to};`,
      )
      .join(' ')
  if (kind === 'trigger') return `drop trigger ${name};`
  return `If ${owner} is the role that runs rethread, connect as it. Otherwise read what is in it, then: alter ${kind} ${name} owner to ${role};   or drop it.`
}

/** The meaning of an error code of the system. */
const reasons: Record<string, string> = {
  ENOTFOUND: 'the host name was not found, ENOTFOUND',
  EAI_AGAIN: 'the name server does not answer, EAI_AGAIN',
  ECONNREFUSED: 'nothing listens on this port, ECONNREFUSED',
  ECONNRESET: 'the server closed the connection, ECONNRESET',
  ENOENT: 'there is no such socket, ENOENT',
  ENETUNREACH: 'the network is unreachable, ENETUNREACH: IPv6 only?',
}
const reasonOf = (f: { code: string | null; reason: string }): string => reasons[f.reason] ?? f.reason

/** The resource that a server lacks, by SQLSTATE. */
const lackOf = (sqlstate: string): string =>
  ({ '53100': 'disk space', '53200': 'memory', '53300': 'connections', '58030': 'a working disk' })[
    sqlstate
  ] ?? 'resources'

const checkName =
  'Check the host name. Supabase: the direct host is IPv6 only; use the session pooler, port 5432.'
/** How to fix each error code. */
const fixes: Record<string, string> = {
  ENOTFOUND: checkName,
  EAI_AGAIN: checkName,
  ENETUNREACH: checkName,
  NOT_POSTGRES: 'Check the port: 5432 unless the server was set to another.',
  '53300': 'Close connections that are idle, or raise max_connections or the connection limit of the role.',
  '53100': 'Give the server more disk space.',
  '57P03': 'Wait until the server has started.',
}

/** The words of findings about the server, the role and the objects in the database. */
export const targetWords = {
  NO_DATABASE_URL: say(
    () => 'No database is named.',
    () =>
      'export DATABASE_URL=postgres://user:password@host:5432/database   or use --database-url. --embedded starts a PostgreSQL of its own.',
  ),
  BAD_URL: say(
    // a URL that cannot be read is not shown, because any part of it may be the password
    (s, f) =>
      sentence`${s.startsWith('(') ? 'The address of the database' : sentence`\`${s}\``} is not a database URL: ${f.reason}.`,
    () =>
      'It looks like postgres://user:password@host:5432/database; encode @ : / in a password as %40 %3A %2F.',
  ),
  NO_SERVER: say(
    (s, f) =>
      f.code?.startsWith('53')
        ? sentence`The server at ${s} refused the connection because it lacks ${lackOf(f.code)}: ${f.reason}.`
        : sentence`No PostgreSQL answers at ${s} (${reasonOf(f)}).`,
    (_, f) =>
      fixes[f.code ?? ''] ?? 'Check host and port, and that the server runs and lets this machine in.',
  ),
  SESSION_CUT_OFF: say(
    (s, f) =>
      sentence`The server at ${s} ended a new session of ${f.role} before rethread could set its own limits, because ${f.setting} leaves too little time: ${f.reason}.`,
    (_, f) =>
      sentence`alter role ${partText(f.role)} in database ${partText(f.database)} set ${f.setting} = '1s';   rethread sets its own limits then, for its sessions only.`,
  ),
  TLS_FAILED: say(
    (s, f) => sentence`No encrypted connection could be made to ${s} with sslmode=${f.mode}: ${f.reason}.`,
    (_, f) =>
      f.mode.startsWith('verify')
        ? 'Add the root certificate of the server to the URL, as in sslrootcert=/etc/ssl/root.crt, and use the host name that is in its certificate.'
        : 'Enable TLS in the server, or remove sslmode from the URL if the network is trusted.',
  ),
  WRONG_PASSWORD: say(
    (s, f) => sentence`The server at ${s} refused the login: ${f.reason}.`,
    (_, f) =>
      /no encryption|SSL off/.test(f.reason)
        ? 'Add sslmode=require to the URL.'
        : 'Check user and password; encode @ : / in a password as %40 %3A %2F.',
  ),
  NO_SUCH_DATABASE: say(
    (s, f) => sentence`There is no database \`${s}\` on ${f.server}.`,
    s => sentence`createdb ${s}   or fix the name at the end of the URL.`,
  ),
  CONNECTION_LOST: say(
    (s, f) => sentence`The connection broke during ${s}: ${f.reason}.`,
    () => 'Run the same command again: it continues from the last checkpoint.',
  ),
  OUT_OF_RESOURCES: say(
    (s, f) =>
      sentence`${s} lacks ${lackOf(f.sqlstate)}, so the command stopped: ${f.reason} (SQLSTATE ${f.sqlstate}). What is finished is kept.`,
    (_, f) => sentence`Provide ${lackOf(f.sqlstate)}, then run the same command: it continues there.`,
  ),
  SERVER_TOO_OLD: say(
    (s, f) => sentence`PostgreSQL ${s} is too old. The oldest supported version is ${f.oldest}.`,
    () => 'Upgrade the server.',
  ),
  SERVER_UNTESTED: say(s => sentence`PostgreSQL ${s} is not among the tested versions, 15 to 18.`, null),
  READ_ONLY_SERVER: say(
    (s, f) =>
      f.since === 'run'
        ? sentence`The server began to refuse writes during ${s}: ${f.why}. What is finished is kept.`
        : sentence`The server at ${s} does not accept writes: ${f.why}.`,
    (_, f) =>
      f.since === 'run'
        ? 'Connect to the primary, or let this server accept writes again, then run the same command: it continues there.'
        : 'Connect to the primary.',
  ),
  TRANSACTION_POOLER: say(
    s => sentence`${s} is a pooler in transaction mode: settings and locks would be lost between statements.`,
    () => 'Use the direct connection or the session pooler (Supabase: port 5432, not 6543).',
  ),
  POOL_USED_UP: say(
    (s, f) => sentence`The pooler at ${s} has no session left after ${f.most}, and a run needs more.`,
    () => 'Raise its pool size to 6, or use the direct connection.',
  ),
  FOREIGN_OBJECT: say(
    (s, f) =>
      f.grants.length > 0
        ? sentence`Other roles can change ${s} (${f.grants.join(', ')}): code that they put there would run as ${f.role}.`
        : sentence`${s} belongs to ${f.owner}, not to ${f.role}, a superuser or the owner of the database: code in it would run as ${f.role}.`,
    (_, f) => takeBack(f),
  ),
  RUNS_AS_SUPERUSER: say(
    (s, f) =>
      sentence`${s} is a superuser. For track ${f.track} the rights of ${f.instead} are enough, and a mistake could do less harm.`,
    (_, f) =>
      f.statements.length === 0
        ? `Run rethread as ${f.instead}.`
        : `${f.statements.map(s => `${s};`).join('\n')}\n-- then run rethread as ${f.instead}`,
  ),
  MISSING_PRIVILEGE: say(
    (s, f) =>
      f.wants === 'CREATE'
        ? sentence`Role \`${f.role}\` may not create a schema in ${s}.`
        : f.wants === 'SELECT'
          ? sentence`This role may not read \`${s}\`, which belongs to \`${f.owner}\`.`
          : f.wants === 'REFERENCES'
            ? sentence`This role may not create a foreign key to \`${s}\`, which belongs to \`${f.owner}\`.`
            : f.wants === 'USAGE'
              ? sentence`This role may not use what is in ${s}, which belongs to \`${f.owner}\`.`
              : f.wants === 'LEDGER'
                ? sentence`\`${f.owner}\` has run rethread here, and role \`${f.role}\` may not read its records in ${s}.`
                : 'by' in f
                  ? sentence`A backfill fires \`${f.by}\`, which writes \`${s}\` with the rights of this role, and it may not ${f.wants} there.`
                  : sentence`\`${s}\` belongs to \`${f.owner}\`; this role may not alter it.`,
    (s, f) =>
      f.wants === 'CREATE'
        ? sentence`grant create on ${s} to ${f.role};`
        : ['SELECT', 'REFERENCES', 'USAGE', 'INSERT', 'UPDATE', 'DELETE'].includes(f.wants)
          ? sentence`grant ${f.wants.toLowerCase()} on ${s} to ${f.role};   as ${f.owner} or an administrator.`
          : f.wants === 'LEDGER'
            ? sentence`Connect as ${f.owner}, or as a role that is a member of it: grant ${f.owner} to ${f.role};`
            : sentence`grant ${f.owner} to ${f.role};   as an administrator, or connect as ${f.owner}.`,
  ),
  ROWS_HIDDEN: say(
    (s, f) =>
      sentence`Row level security hides rows of \`${s}\` from this role${f.forced ? ' (the table forces it also on its owner)' : ''}: a backfill would miss them and a check would not see them.`,
    (_, f) => sentence`alter role ${f.role} bypassrls;   as an administrator.`,
  ),
  MISSING_PREREQUISITE: say(
    s => sentence`${s} is missing.`,
    s => prerequisites[s] ?? 'Create it first, or choose another track with --track.',
  ),
  WRONG_TYPE: say(
    (s, f) =>
      sentence`${s} is ${f.found}; ${f.wanted.join(' or ')} is needed${f.ids === undefined ? '' : sentence`, as it names rows by \`${f.ids}\``}.`,
    (s, f) =>
      f.ids !== undefined
        ? f.change
          ? sentence`${f.change}   where the application may send and read it so; else give \`${f.ids}\` the type ${f.found}`
          : sentence`Decide which of the two gets the type of the other, and give it that: ${s} is ${f.found}, \`${f.ids}\` is not. Its values, or what depends on it, are in the way of a plain ALTER TABLE.`
        : 'Change its type, or choose another track with --track. For other types of ids, times and roles `rethread init` writes a copy; docs/files.md lists those that it can read.',
  ),
  NAME_TAKEN: say(
    (s, f) => sentence`${s} already exists, and \`${f.migration}\` would create another of that name.`,
    (_, f) => sentence`${f.rename}   or drop it, if nobody uses it.`,
  ),
  NO_REPLICA_IDENTITY: say(
    (s, f) =>
      sentence`\`${s}\` is published by ${listed(f.publications)} and has ${f.clashes ? 'a replica identity that a column list or a row filter there does not fit' : 'no replica identity'}: the server refuses every UPDATE and DELETE there, and so those of \`${f.migration}\`.`,
    (s, f) =>
      f.clashes
        ? sentence`alter publication ${f.publications[0]!} drop table ${s}; alter publication ${f.publications[0]!} add table ${s};   without the list and the filter, or with columns that fit.`
        : sentence`alter table ${s} replica identity full;   or give it a primary key.`,
  ),
  ROWS_VIOLATE: say(
    (s, f) =>
      sentence`Rows of \`${s}\` violate \`${f.constraint}\`, which was never validated (${f.definition}): \`${f.migration}\` cannot update them.`,
    (s, f) => sentence`Correct the rows, then: alter table ${s} validate constraint ${f.constraint};`,
  ),
  ROWS_NOT_LOOKED_AT: say(
    (s, f) =>
      sentence`Rows of \`${s}\` may violate \`${f.constraint}\`, which was never validated (${f.definition}). Whether \`${f.migration}\` must update one of them is not known: ${f.reason}.`,
    (s, f) => sentence`To know before the run: alter table ${s} validate constraint ${f.constraint};`,
  ),
  PARTITIONED_TABLE: say(
    (s, f) => sentence`\`${s}\` is partitioned; \`${f.migration}\` would fail at \`${f.sql}\`: ${f.reason}.`,
    () => 'Copy the track with rethread init, and write the statement for each partition.',
  ),
  INHERITED_TABLE: say(
    (s, f) =>
      sentence`${listed(f.children)} ${agreeing(f.children.length, 'inherit')} from \`${s}\`: \`${f.migration}\` would add its column there too, and no rollback could keep the values.`,
    (s, f) => sentence`alter table ${f.children[0]!} no inherit ${s};`,
  ),
  DISTRIBUTED_TABLE: say(
    (s, f) =>
      sentence`\`${s}\` is on several servers (Citus, ${f.column === null ? 'a copy on each' : sentence`by \`${f.column}\``}): \`${f.migration}\` would change its rows, and was never tried with such tables.`,
    (_, f) =>
      f.needs.length === 0
        ? 'Copy the track with rethread init, and change its files for tables that every server has.'
        : sentence`Copy the track with rethread init, and change its files:${bullets(f.needs)}`,
  ),
  COLUMNS_USED_UP: say(
    (s, f) =>
      sentence`\`${s}\` has ${f.columns} columns, and ${f.dropped} that were dropped still count: PostgreSQL allows ${f.most} in a table, and \`${f.migration}\` would add ${f.added}.`,
    s =>
      sentence`Copy the rows of ${s} into a new table with the same columns, and give it the name: nothing else removes dropped columns from the count.`,
  ),
  UNFIT_TABLE: say(
    (s, f) => {
      switch (f.is) {
        case 'foreign':
          return sentence`\`${s}\` is a foreign table of server \`${f.of}\`: its rows are elsewhere, and what \`${f.migration}\` does would not reach them.`
        case 'typed':
          return sentence`\`${s}\` is a table of type \`${f.of}\`, which defines its columns: \`${f.migration}\` cannot add one.`
        case 'partition':
          return sentence`\`${s}\` is a partition of \`${f.of}\` and has the columns of that table: \`${f.migration}\` cannot change it alone.`
        case 'view':
          return sentence`\`${s}\` is a view of ${f.of}: \`${f.migration}\` can only change a table.`
        default:
          return sentence`Subscription \`${f.of}\` writes to \`${s}\` without firing triggers: rows that arrive that way would lack what \`${f.migration}\` adds to every row.`
      }
    },
    (s, f) => {
      switch (f.is) {
        case 'foreign':
          return 'Migrate the database that has the rows, or copy them into a table of this one.'
        case 'typed':
          return sentence`alter table ${s} not of;`
        case 'partition':
          return sentence`alter table ${f.of} detach partition ${s};   or copy the track for ${f.of} with rethread init --map.`
        case 'view':
          return sentence`Copy the track for a table that has the rows: rethread init --map.`
        default:
          return sentence`Migrate the database that publishes the rows. Or, once the application writes here: drop subscription ${f.of};`
      }
    },
  ),
  GENERATED_COLUMN: say(
    (s, f) =>
      sentence`The server computes column \`${s}\` (GENERATED), and refuses what \`${f.migration}\` writes into it.`,
    (_, f) =>
      sentence`alter table ${f.table} alter column ${f.column} drop expression;   or copy the track with rethread init --map, with the column that the application writes.`,
  ),
  REWRITTEN_BY_RULE: say(
    (s, f) =>
      f.instead
        ? sentence`Rule \`${f.rule}\` of \`${s}\` does something else instead of ${f.event}: the statement of \`${f.migration}\` would not do what it says.`
        : sentence`\`${s}\` has rule \`${f.rule}\` for ${f.event}, and the statement of \`${f.migration}\` has WITH or ON CONFLICT, or is in a WITH. PostgreSQL refuses that for a table with such a rule.`,
    (s, f) =>
      sentence`drop rule ${f.rule} on ${s};   A trigger can do the same for the statements of the application.`,
  ),
  COUNTS_COLUMNS: say(
    (s, f) =>
      sentence`${s} works only with the columns that \`${f.table}\` has now: \`${f.sql}\`. \`${f.migration}\` adds one, and the application's statement would fail from then on.`,
    () =>
      'List the columns in that statement with create or replace function, then run the same command again.',
  ),
  EVENT_TRIGGER_RAISES: say(
    (s, f) =>
      sentence`Event trigger \`${s}\` refuses a statement of the files: ${f.sqlstate}: ${f.reason} (\`${f.sql}\`). It was tried on empty copies of the tables, which are removed again.`,
    s => sentence`alter event trigger ${s} disable;   while you migrate, and enable it again afterwards.`,
  ),
  WOULD_FAIL: say(
    (s, f) =>
      sentence`${s} would fail: ${f.sqlstate}: ${f.reason} (\`${f.sql}\`). It was run on empty copies of the tables, which are removed again.`,
    () =>
      'Correct the statement, or change the table so that it fits. For a track of the package: copy it with rethread init, and adapt the file.',
  ),
  NOT_TRIED: say(
    (s, f) =>
      sentence`Whether \`${s}\` would fail is not known (\`${f.sql}\`). On empty copies of the tables it fails: ${f.reason} (${f.sqlstate}). What it needs may be created by \`${f.leftOut}\`, which builds its SQL when it runs and was not run there.`,
    () =>
      'Write the statement as plain SQL, or try the track on a copy of the database: rethread plan --rehearse-url',
  ),
  NOT_REHEARSED: say(
    (s, f) =>
      sentence`The files of track \`${s}\` were not tried on empty copies of the tables: ${f.reason}.`,
    null,
  ),
  VISIBILITY_UNKNOWN: say(
    (s, f) =>
      f.migration === null
        ? sentence`Who sees which rows of ${s} could not be found out: ${f.reason}.`
        : sentence`Who will see which rows of ${s} after \`${f.migration}\` could not be found out: ${f.reason}.`,
    (_, f) =>
      f.migration === null
        ? null
        : 'Run the steps before it first, or plan all of them on a copy: rethread plan --visibility --phase contract --rehearse-url <a copy>',
  ),
  SAME_VISIBILITY: say(
    s =>
      sentence`No pending step of track \`${s}\` changes policies, row security, rights or roles of an existing table: everybody will see what they see now.`,
    null,
  ),
  ALREADY_EXISTS: say(
    (s, f) => sentence`\`${s}\` already exists, and \`${f.migration}\` would create it.`,
    (_, f) =>
      sentence`If it was made by the same SQL: rethread migrate --track ${shellWord(f.track)} --baseline ${shellWord(f.name)}   If it was made by other SQL for the same purpose: rethread migrate --track ${shellWord(f.track)} --adopt   If it is something else: rename it, or choose another name.`,
  ),
  BASELINE_UNPROVEN: say(
    (s, f) => sentence`\`${s}\` cannot be adopted; the catalog does not show:${bullets(f.missing)}`,
    () =>
      'Adopt up to the migration before it, then migrate. Or: rethread migrate --adopt --fix-up fix_up.sql   writes the SQL for what is missing.',
  ),
  ADOPT_DIFFERS: say(
    (s, f) =>
      sentence`${plural(f.differences, 'object', 'differ')} from what the files up to \`${s}\` create${f.choices === 0 ? '' : sentence`; ${f.choices} of them ${agreeing(f.choices, 'need')} your decision first`}. Nothing was changed or recorded.`,
    (_, f) =>
      sentence`rethread migrate --track ${shellWord(f.track)} --adopt${f.to === null ? '' : sentence` --to ${shellWord(f.to)}`} --fix-up fix_up.sql   Read the file, run it with psql -v ON_ERROR_STOP=1 -f fix_up.sql, then run migrate --adopt again.`,
  ),
  ADOPT_CHOICE: say(
    (s, f) => sentence`No fix-up is made for ${s}: ${f.reason}.`,
    (_, f) => f.choice,
  ),
  ADOPT_LOST_TABLE: say(
    (s, f) =>
      f.renamed === null
        ? sentence`\`${s}\`, the table that track \`${f.track}\` starts from, does not exist, and no table has its columns: its rows have been moved already.`
        : sentence`\`${s}\`, the table that track \`${f.track}\` starts from, does not exist. \`${f.renamed}\` has all of its columns: it was probably renamed.`,
    (_, f) =>
      f.rename === null
        ? sentence`${f.empty}   This makes an empty table: the track then has nothing to move, and keeps both sides in step. Then run migrate --adopt again.`
        : sentence`${f.rename}   The track then creates the new tables from its rows. If people have written into the new tables since, keep those and create an empty table in its place: ${f.empty}   Then run migrate --adopt again.`,
  ),
  ADOPT_BESIDE: say(
    (s, f) =>
      sentence`The tables of track \`${s}\` have objects that its files do not create. They stay as they are:${bullets(f.objects)}`,
    null,
  ),
  ADOPT_NOT_COMPARED: say(
    (s, f) =>
      sentence`These statements of track \`${s}\` could not be tried on empty copies, so what they create was not compared:${bullets(f.statements)}`,
    null,
  ),
  ADOPT_NOTHING: say(
    s => sentence`The database has nothing of track \`${s}\` that could be adopted.`,
    () => 'rethread plan   shows what migrate would do from the start.',
  ),
  ANOTHER_RUN: say(
    (s, f) =>
      sentence`Another run is at work: ${s}${f.pid === null ? '' : sentence` (backend ${f.pid})`}. This one waited ${f.waitedSeconds} s for it.`,
    () => 'Wait for it, or give it longer: --lock-wait 600',
  ),
  TRACK_UNCLEAR: say(
    (_, f) => sentence`The track is not clear. ${f.reason}.`,
    // NEAREST_TRACK has the command
    (_, f) =>
      f.command === null
        ? f.tracks.map(track => sentence`${f.ask} --track ${shellWord(track)}`).join('\n') || null
        : null,
  ),
  OTHER_TRACK: say(
    (s, f) => sentence`Track \`${s}\` does not fit this database. What fits it: ${listed(f.tracks)}.`,
    (_, f) => sentence`rethread plan --track ${shellWord(f.tracks[0])}`,
  ),
  NEAREST_TRACK: say(
    (s, f) =>
      sentence`Track \`${s}\` is the closest: ${f.found} of the ${f.roles} tables and columns that it is about were recognized.${f.differs.length > 0 ? ' What differs:' : ''}${bullets(f.differs)}`,
    (_, f) =>
      f.typesFirst ? sentence`${f.command}   once the types above are those that are needed` : f.command,
  ),
  SESSIONS_ALREADY: say(
    (s, f) =>
      sentence`A row of \`${s}\` may be what a session is: \`${f.owner}\` names one person, and ${
        f.author === null
          ? sentence`the messages in \`${f.messages}\` lead to it and name no author of their own`
          : sentence`the messages in \`${f.messages}\` lead to it`
      }.`,
    (_, f) =>
      f.author === null
        ? 'Nothing to migrate then. If several people write in one row, messages need a column for their author.'
        : 'Nothing to migrate then. If a row holds everything that its members ever wrote, go on.',
  ),
  QUESTION_AND_ANSWER: say(
    (s, f) =>
      sentence`A row of \`${s}\` holds two messages: \`${f.question}\` and \`${f.answer}\`. A track takes a row for one.`,
    (_, f) =>
      sentence`Make a table with a row for each message and a column for who says it, fill it from both columns, and let the application write there. Then map the track to that table. Otherwise only one of \`${f.question}\` and \`${f.answer}\` becomes a message; the other one stays in its row.`,
  ),
  MAPPING_OPEN: say(
    (s, f) =>
      sentence`Track \`${s}\` was not copied, because these tables or columns are not certain:${bullets(f.questions)}`,
    (_, f) => f.command,
  ),
  MAPPING_UNUSED: say(
    (s, f) =>
      sentence`Track \`${s}\` does not use these columns; the mapping was written without them:${bullets(f.roles)}`,
    () => 'Nothing to do, unless another column was meant.',
  ),
  WITHOUT_API: say(
    (s, f) =>
      sentence`This database has no API${f.secured ? '' : ' and no row security'}: track \`${s}\` is written without probes and grants to the API, ${f.secured ? 'and with policies for the roles of the application; its own policies stay as they are' : 'and without policies'}. ${f.roles.length > 0 ? `These roles get the same rights on the new tables as on messages: ${f.roles.join(', ')}.` : 'Only the owner of the tables may use them.'}`,
    () => 'Grant the new tables to further roles after the first step, where they need them.',
  ),
  GRANTED_IN_PART: say(
    (s, f) =>
      sentence`${f.role} may ${f.privilege} ${listed(f.on)} of ${f.messages}, not all of it. On \`${s}\` it ${f.gets.length > 0 ? `may ${f.privilege} ${listed(f.gets)}` : `may not ${f.privilege} anything: no column of it means the same`}.`,
    (s, f) => `grant ${f.privilege} on ${s} to ${f.role};   where the application needs more`,
  ),
  MAPPING_DIFFERS: say(
    (s, f) =>
      sentence`\`${s}\` was written as ${f.written ?? 'nothing'}; the database now needs ${f.now ?? 'nothing'}.${f.files.length > 0 ? ' Files that would change:' : ''}${bullets(f.files)}`,
    (_, f) =>
      sentence`${f.command} --dir track-now   writes the track as the database now needs it; compare it with yours.${f.written === 'none' ? ' If it is something else: `passedOver` in rethread.config.json, see docs/files.md.' : ''}`,
  ),
  MAPPING_HOLDS: say(
    (s, f) => sentence`Track \`${s}\` still agrees with the database: ${plural(f.names, 'binding')}.`,
    null,
  ),
  EVENT_TRIGGERS: say((s, f) => sentence`DDL in \`${s}\` fires event triggers: ${listed(f.triggers)}.`, null),
  PUBLISHED_TABLE: say(
    (s, f) =>
      sentence`\`${s}\` is published by ${listed(f.publications)}: every row that a backfill writes is sent to its subscribers.`,
    (s, f) =>
      sentence`alter publication ${f.publications[0]} drop table ${s};   and add it again afterwards.`,
  ),
  FOREIGN_CODE: say(
    (s, f) =>
      sentence`${s} runs functions that belong neither to its owner nor to a superuser, as ${f.role}: ${f.code.join(', ')}.`,
    null,
  ),
  FIRING_TRIGGERS: say(
    (s, f) =>
      f.held
        ? sentence`\`${f.migration}\` writes rows of \`${s}\`. These triggers and rules are off in its own sessions: ${listed(f.triggers)}.`
        : sentence`\`${f.migration}\` fires triggers or rules of \`${s}\` for each row that it writes${f.rows === null ? '' : sentence` (the table has about ${plural(f.rows, 'row')})`}: ${listed(f.triggers)}.`,
    (_, f) =>
      f.held
        ? null
        : 'Turn them off for the backfill with "triggers": "hold" in rethread.config.json, give them a WHEN (...) that is false in a backfill, or let them fire: --allow FIRES_TRIGGERS',
  ),
  TRIGGER_NEEDS_PATH: say(
    (s, f) =>
      sentence`Trigger \`${f.trigger}\` of \`${s}\` uses ${listed(f.names)} without a schema, and \`${f.function}\` sets no search_path. It fails when a function of the track fires it, because that function searches only schemas of the default search_path in which no other role may create. The failure is caught, and what was left undone is done after the function has a search_path.`,
    (_, f) => sentence`alter function ${f.function} set search_path = ${f.path.join(', ')}, pg_temp;`,
  ),
  CHANGES_UNKNOWN_ROWS: say(
    (s, f) =>
      sentence`\`${s}\` changes rows, or may, of a table that is known only when it runs: \`${f.sql}\`. Whether the server would refuse that, because the table is published without a replica identity, was not checked.`,
    () => 'Write the name of the table in the statement, or check its replica identity yourself.',
  ),
  ELEMENTS_SET_ASIDE: say(
    (s, f) =>
      sentence`${String(f.elements)} of ${String(f.of)} elements of \`${s}\` that were looked at would be set aside, of these shapes: ${listed(f.shapes)}.${f.roles.length > 0 ? sentence` Roles that are not known: ${listed(f.roles.map(pair => pair.split('=')[0]!))}.` : ''}`,
    (_, f) =>
      f.roles.length > 0
        ? sentence`"settings": { "role_map": "${f.roles.join(', ')}" }   in rethread.config.json, if these are what they are here: user, assistant or system`
        : 'See their structure with `rethread plan --rehearse`; docs/tracks.md lists the shapes that are read.',
  ),
  OUTLOOK: say((s, f) => sentence`${s}: ${f.detail}`, null),
  BLOCKER_NOW: say(
    (s, f) => sentence`A run would have to wait for \`${s}\` now: ${f.mode} is held by ${f.who}.`,
    (_, { prepared }) => (prepared === null ? null : endPrepared(prepared)),
  ),
  SERVER_STRAINED: say(
    (_, f) =>
      sentence`The server is under load now (${listed(f.reasons)}): a backfill would run slowly, or wait.`,
    () => 'Run it at a quieter time; rethread backfill --status   shows what it waits for.',
  ),
  INVALID_INDEX: say(
    s => sentence`Index \`${s}\` is invalid: every write updates it, and no query uses it.`,
    s => sentence`drop index concurrently ${s};`,
  ),
  FITS: say(
    s => sentence`Track \`${s}\` fits this database.`,
    s => sentence`rethread plan --track ${shellWord(s)}`,
  ),
  FITS_AS_COPY: say(
    (s, f) =>
      sentence`Track \`${s}\` fits this database, but its files write and read other values than ${listed(f.columns)} ${agreeing(f.columns.length, 'have')}: the probes of \`verify\` would be refused. \`init\` writes the track for them.`,
    (_, f) => f.command,
  ),
} satisfies Group
