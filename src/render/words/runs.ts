import { agreeing, plural } from '../../model/plural.js'
import { shellWord } from '../../model/shell_word.js'
import { duration } from './numbers.js'
import { bullets, caret, endPrepared, type Group, listed, say, sentence } from './say.js'

/** How to fix an error, by the class of its SQLSTATE. Not every error is one of the file. */
const cures: [states: RegExp, cure: string][] = [
  [/^2[23]/, 'The rows do not fit the statement: fix the rows that the message names, or the file.'],
  [/^42501/, 'This role lacks a right: grant it, or connect as the owner of what the message names.'],
  [/^(53|58|XX)/, 'The server could not do it: provide what it lacks.'],
  [
    /^(3F000|42P01)/,
    'Name the schema in the file, as in `public.chats`: a name without one is looked for only in schemas where no other role may create functions.',
  ],
  [/^57014/, 'It exceeded its time limit: find out what it waits for or reads.'],
  [
    /^(P0|0A|2F|38|39|44|55)/,
    'The database refuses it: look at the trigger, rule or setting that causes this.',
  ],
]

const cure = (sqlstate: string | null): string =>
  cures.find(([states]) => states.test(sqlstate ?? ''))?.[1] ??
  'Fix the file, or the object that the message names.'

/** How to fix a trigger function of the application that does not find a name when ours fires it. */
function cureInside({
  sqlstate,
  context,
}: {
  sqlstate: string | null
  context: string | null
}): string | null {
  const [, inner] = /^PL\/pgSQL function ((?!chat_private\.|rethread)\S+\(.*?\)) /.exec(context ?? '') ?? []
  return inner === undefined || !/^(3F000|42P01|42883|42704)$/.test(sqlstate ?? '')
    ? null
    : sentence`A function of the track fired this function of the application, and searches fewer schemas than the application: alter function ${inner} set search_path = ..., pg_temp   with the schemas of the names that it uses.`
}

/** Hazards for `--allow`, with the number of rows if the consent is limited to it. */
const withRows = (allow: string[], rows: number | undefined): string[] =>
  allow.map(name => (name === 'QUARANTINES_ROWS' && rows !== undefined ? `${name}=${rows}` : name))

/** The words of findings about runs. */
export const runWords = {
  NOTHING_TO_DO: say(
    (s, f) =>
      sentence`Nothing to do: ${plural(f.applied, 'migration')} of \`${s}\` ${agreeing(f.applied, 'are')} applied.`,
    null,
  ),
  PENDING: say(
    (s, f) =>
      sentence`${plural(f.count, 'migration')} of \`${s}\` ${agreeing(f.count, 'are')} pending, first \`${f.first}\`.`,
    () => 'rethread plan   shows them, rethread migrate   applies them.',
  ),
  STOPPED_BEFORE: say(
    (s, f) =>
      f.because === null
        ? sentence`Stopped before \`${s}\`, as asked. ${plural(f.left, 'migration', 'are')} left.`
        : sentence`Stopped before \`${s}\`: ${f.because}. ${plural(f.left, 'migration', 'wait')} until the old application is gone${!f.takesOut ? '' : sentence`; they take ${plural(f.takesOut, 'row')} out of their tables`}.`,
    (_, f) => f.command,
  ),
  CONSENT_NEEDED: say(
    (_, f) => sentence`This needs your consent by name:${bullets(f.because)}`,
    (_, f) =>
      [
        f.allow.length > 0 ? sentence`--allow ${withRows(f.allow, f.rows).join(',')}` : '',
        f.confirm ? sentence`--confirm ${shellWord(f.confirm)}` : '',
      ]
        .filter(Boolean)
        .join(' '),
  ),
  LOCK_TIMEOUT: say(
    (s, f) =>
      sentence`\`${s}\` did not get its locks in ${f.attempts} attempts over ${f.seconds} s. Blocked by:${bullets(f.blockers) || ' a session that ended before it could be identified'}`,
    (_, { pids: [first], prepared: [gid] }) =>
      gid !== undefined
        ? endPrepared(gid)
        : first === undefined
          ? 'Run the same command again at a quieter time.'
          : sentence`select pg_terminate_backend(${first});   if that session may be ended. Then run the same command again.`,
  ),
  PARTLY_APPLIED: say(
    (s, f) =>
      sentence`\`${s}\` cannot run in one transaction: ${f.done} of its ${f.of} statements are applied:${bullets(f.statements)}`,
    () =>
      'Correct the statement that failed and run migrate again: it continues after these, if they are not changed.',
  ),
  PART_CHANGED: say(
    (s, f) =>
      sentence`\`${s}\` was stopped in the middle. Its statement ${f.statement} is applied, and was \`${f.sql}\` then.`,
    () => 'Restore the applied statements as they were, and run migrate again.',
  ),
  SQL_ERROR: say(
    (s, f) =>
      sentence`\`${s}\`: ${f.reason}${f.sqlstate ? sentence` (${f.sqlstate})` : ''}` +
      (f.excerpt === null ? '' : caret(f.excerpt, f.column)) +
      (f.detail ? sentence`\n    DETAIL: ${f.detail}` : '') +
      (f.hint ? sentence`\n    HINT: ${f.hint}` : '') +
      (f.context ? sentence`\n    ${f.context}` : ''),
    (_, f) =>
      sentence`Nothing of the statement is kept. ${cureInside(f) ?? cure(f.sqlstate)} Then run the same command.`,
  ),
  TRIGGERS_RAISE: say(
    (s, f) =>
      sentence`With its new triggers (${listed(f.triggers)}) \`${s}\` refuses the application's ${f.statement}: ${f.sqlstate}: ${f.reason}${f.context === null ? '' : sentence` (${f.context})`}. They were tried on copies of rows. The step was rolled back, and the application was not affected.`,
    () => 'Correct the function of the trigger, or the table that it reads, then run the same command again.',
  ),
  LEFT_IN_PLACE: say(
    (s, f) =>
      sentence`\`${f.failed}\` failed. The earlier steps of track \`${s}\` are in place (${listed(f.migrations)})${f.triggers.length === 0 ? '' : sentence`, with triggers on the application's statements: ${listed(f.triggers)}`}. The application continues to write.`,
    (_, f) =>
      f.command === null
        ? 'The same command continues where it stopped.'
        : sentence`${f.command}   undoes all of it. Otherwise the same command continues where it stopped.`,
  ),
  ROLE_CHANGED: say(
    (s, f) =>
      sentence`\`${s}\` began as role \`${f.before}\` and ended as \`${f.after}\`. It was rolled back.`,
    () => 'End the file with `reset role;` or use `set local role`.',
  ),
  SETTINGS_LEAKED: say(
    (s, f) => sentence`\`${s}\` changed settings of the session (${listed(f.settings)}). They were reset.`,
    () => 'Use `set local` in the file.',
  ),
  FOREIGN_INVALID_INDEX: say(
    s => sentence`Index \`${s}\` is invalid or being built, and not by this run.`,
    s => sentence`drop index concurrently ${s};   if nobody is building it. Then run the same command again.`,
  ),
  DIFFERENT_DEFINITION: say(
    (s, f) => sentence`\`${s}\` exists with another definition: ${f.found}`,
    () => 'Rename or drop it, then run the same command again.',
  ),
  FENCED: say(
    s => sentence`Another run took over while \`${s}\` was running. This one wrote nothing after that.`,
    () => 'rethread status',
  ),
  GATE: say(
    (s, f) =>
      sentence`\`${s}\` does not run while its gate \`${f.check}\` finds something: ${plural(f.rows, 'row')}.`,
    (_, f) => sentence`rethread verify --only ${shellWord(f.check)}`,
  ),
  THROTTLE_FAILED: say(
    (s, f) =>
      sentence`\`${s}\` stopped, because the query of --throttle-query gave no answer: ${f.reason} (SQLSTATE ${f.sqlstate}). What is finished is kept.`,
    () => 'Fix the query or leave --throttle-query out, then run the same command: it continues there.',
  ),
  INTERRUPTED: say(
    s => sentence`Stopped at \`${s}\`; everything finished so far is kept.`,
    (_, f) => f.command ?? 'Run the same command again: it continues there.',
  ),
  ROLLBACK_COST: say(
    (_, f) =>
      f.atRisk === null
        ? 'A rollback now: how many rows it would put at risk could not be counted quickly.'
        : sentence`A rollback now would put ${plural(f.atRisk, 'row')} at risk${f.atRisk === 0 ? '. Sessions that people create from now on would be archived, and can be restored' : '; they would be archived first, and can be restored'}.`,
    (_, f) => f.command,
  ),
  QUARANTINED: say(
    (s, f) =>
      f.takenOut
        ? sentence`${plural(f.rows, 'row', 'were')} taken out of \`${s}\`; their copies are in rethread_archive.quarantine, and a rollback of \`${f.migration}\` puts them back.`
        : f.parts
          ? sentence`${plural(f.rows, 'part')} of rows of \`${s}\` ${agreeing(f.rows, 'do')} not fit: \`${f.migration}\` has copied each to rethread_archive.quarantine with its reason. The rows are still in the table, unchanged.`
          : sentence`${plural(f.rows, 'row')} of \`${s}\` ${agreeing(f.rows, 'are')} set aside, each with a reason. They are still in the table.`,
    () => 'rethread quarantine list',
  ),
  ROWS_FAILED: say(
    (s, f) =>
      sentence`${f.stoppedEarly ? 'At least ' : ''}${plural(f.rows, 'row')} of \`${s}\` failed in \`${f.migration}\`: ${f.reason}${f.sqlstate === null ? '' : sentence` (SQLSTATE ${f.sqlstate})`}. Still in the table, unchanged: ${listed(f.keys)}${f.rows > f.keys.length ? ' and others' : ''}.`,
    () => 'Remove the cause, then run the same command: it tries them again. No step removes them.',
  ),
  ROWS_REFERENCED: say(
    (s, f) =>
      sentence`\`${f.migration}\` would take ${plural(f.rows, 'row')} out of \`${s}\` that other rows refer to, through ${listed(f.by)}. Those would be deleted with them or lose their reference, without a copy.`,
    s =>
      sentence`Repair the rows of \`${s}\`, then: rethread quarantine retry   or delete what refers to them. Then run the same command.`,
  ),
  BACKFILL_REOPENED: say(
    (s, f) =>
      sentence`\`${s}\` was done and has rows to do again${f.stops ? ': no later step runs before they are done' : '. It runs once more'}.`,
    (_, f) => (f.stops ? 'rethread migrate' : null),
  ),
  NOT_RECHECKED: say(
    (s, f) =>
      sentence`Whether \`${s}\` has rows to do again could not be found out within ${duration(f.ms)}.`,
    () => 'rethread verify',
  ),
  RECHECK_FAILED: say(
    (s, f) =>
      sentence`Whether \`${s}\` has rows to do again could not be found out: ${f.reason} (SQLSTATE ${f.sqlstate}). No later step has removed what the query reads.`,
    s => sentence`Put back what is missing, or correct the file of \`${s}\`; then run the same command.`,
  ),
  RELEASED: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` ${agreeing(f.rows, 'were')} released from the quarantine and tried again.`,
    null,
  ),
  QUARANTINE_EMPTY: say(s => sentence`No row of \`${s}\` was set aside, and none failed.`, null),
  ASSIGNED: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` now ${agreeing(f.rows, 'belong')} to workspace ${f.unit}.`,
    null,
  ),
  NO_SUCH_ROW: say(
    (s, f) => sentence`\`${s}\`: ${f.reason}.`,
    () => 'rethread quarantine list',
  ),
  WORK_LEFT: say(
    (s, f) =>
      sentence`${plural(f.rows, 'row')} of \`${s}\` ${agreeing(f.rows, 'are')} still to do after ${f.sweeps} passes.`,
    () => 'rethread backfill',
  ),
  HELPED: say(
    s => sentence`Helped with \`${s}\`: no part of it is left to claim. The run that began it finishes it.`,
    () => 'rethread backfill --status',
  ),
  NO_ROWS: say(
    (s, f) =>
      sentence`\`${f.migration}\` found nothing to do in \`${s}\`: the table is empty, which is normal for a fresh installation.`,
    null,
  ),
} satisfies Group
