import { type Explanations, explained } from './explained.js'

/** Findings of migrate, backfill and the quarantine. */
export const runExplanations = {
  NOTHING_TO_DO: explained(
    'Every migration that was asked for is applied.',
    'Nothing was changed.',
    'Nothing.',
  ),
  PENDING: explained(
    'Migrations of the track are not applied yet.',
    'The database is not at the newest state.',
    'Look at them with rethread plan, apply them with rethread migrate.',
  ),
  STOPPED_BEFORE: explained(
    'The run stopped before a migration, as asked or because the old application would not survive it.',
    'Everything before it is done. The rest waits.',
    'Run the command in the message when the old application is gone.',
  ),
  CONSENT_NEEDED: explained(
    'A step has a hazard that must be allowed by name.',
    'Nothing was changed. Each hazard is listed with what it would do.',
    'Read the list. If you agree, run the command again with the flags in the message.',
  ),
  LOCK_TIMEOUT: explained(
    'A step did not get its locks, although it tried many times.',
    'The step was rolled back. The application was never kept waiting for longer than one attempt.',
    'End the session that the message names if it may go, or run the command at a quieter time.',
  ),
  SQL_ERROR: explained(
    'The server refused a statement of a file.',
    'The statement and its transaction were rolled back. Earlier steps are kept.',
    'Follow the advice in the message, then run the same command again.',
  ),
  TRIGGERS_RAISE: explained(
    'New triggers were tried on copies of real rows before the step was committed, and a statement of the application failed.',
    'The live application would have failed in the same way. The step was rolled back, and the application has not noticed the triggers.',
    'Correct the function of the trigger or the table that it reads.',
  ),
  LEFT_IN_PLACE: explained(
    'A step failed, and the earlier steps of the track are in place.',
    'The application continues to work with what is there, triggers included.',
    'Fix the cause and run the command again, or remove everything with the command in the message.',
  ),
  ROLE_CHANGED: explained(
    'A file ended as another role than it began.',
    'The next steps would run with other rights. The step was rolled back.',
    'Use `set local role`, or end the file with `reset role`.',
  ),
  SETTINGS_LEAKED: explained(
    'A file changed settings of the session and did not reset them.',
    'They would have applied to the following files. They were reset.',
    'Use `set local` in the file.',
  ),
  FOREIGN_INVALID_INDEX: explained(
    'An index that a step would create exists and is invalid, or somebody is building it.',
    'Dropping it could destroy the work of somebody else, so the step stopped.',
    'If nobody is building it, drop it with the statement in the message and run the command again.',
  ),
  DIFFERENT_DEFINITION: explained(
    'An object that a step would create exists with another definition.',
    'Continuing would record something that is not true.',
    'Rename or drop the object, then run the same command again.',
  ),
  FENCED: explained(
    'Another run took over the lease while this one was working.',
    'This run stopped writing at once. Nothing was done twice.',
    'Look at the other run with rethread status.',
  ),
  GATE: explained(
    'A check that must pass before a step found something.',
    'The step relies on what the check proves, so it did not run.',
    'See what it found with rethread verify --only <check>, fix it, and run the command again.',
  ),
  THROTTLE_FAILED: explained(
    'The query of --throttle-query was refused by the server, or answered too late for half a minute.',
    'You have set a limit with this query. Without its answer it is not known whether the application needs the resources.',
    'Fix the query: it reads only and answers within half a second. Then run the same command again.',
  ),
  INTERRUPTED: explained(
    'The run was stopped by a signal or by its limit.',
    'Everything that was finished is kept.',
    'Run the same command again. It continues where it stopped.',
  ),
  ROLLBACK_COST: explained(
    'What a rollback would cost now: the number of rows that people made or changed since.',
    'These rows are archived before a rollback and can be restored.',
    'Nothing. The command in the message would start the rollback.',
  ),
  QUARANTINED: explained(
    'Rows do not fit the new schema for a reason that the file gives, so they were set aside.',
    'They are copied to rethread_archive.quarantine. The message says whether they are still in their table.',
    'Look at them with rethread quarantine list. Repair them and try again with rethread quarantine retry.',
  ),
  ROWS_FAILED: explained(
    'A backfill could not change some rows: the server raised an error, or a trigger left them as they were.',
    'They are in place and unchanged, and they are not migrated. The step is not done.',
    'Remove the cause, for example a trigger that refuses updates, and run the same command again.',
  ),
  ROWS_REFERENCED: explained(
    'A step would take rows out of a table that other rows refer to.',
    'The other rows would be deleted with them or lose their reference, without a copy. Nothing was changed.',
    'Repair the rows and run rethread quarantine retry, or remove what refers to them.',
  ),
  BACKFILL_REOPENED: explained(
    'A backfill that was done has rows to do again, usually because the old application wrote more.',
    'Steps that rely on it wait until they are done.',
    'Run rethread migrate.',
  ),
  NOT_RECHECKED: explained(
    'Whether a finished backfill has rows to do again could not be found out in the time allowed.',
    'There may be rows that the old application wrote since.',
    'Find out with rethread verify.',
  ),
  RECHECK_FAILED: explained(
    'The question whether a finished backfill has rows to do again ended with an error.',
    'A table or column that the backfill reads has changed.',
    'Restore what is missing, or correct the file.',
  ),
  RELEASED: explained(
    'Rows were released from the quarantine.',
    'The backfill has tried them again with the present data and settings.',
    'Nothing. The report shows what became of them.',
  ),
  QUARANTINE_EMPTY: explained(
    'No row of the track is in the quarantine.',
    'Every row is migrated or pending.',
    'Nothing.',
  ),
  ASSIGNED: explained(
    'Rows of the quarantine were given to a workspace.',
    'They are migrated as messages of that workspace.',
    'Nothing.',
  ),
  NO_SUCH_ROW: explained(
    'The quarantine has no row of this number, or it cannot be treated in this way.',
    'Nothing was changed.',
    'List the rows with rethread quarantine list.',
  ),
  WORK_LEFT: explained(
    'After many passes rows are still pending, because others write faster than the backfill.',
    'The step is not done.',
    'Run rethread backfill at a quieter time.',
  ),
  HELPED: explained(
    'This process has helped another one with a backfill.',
    'No work is left that it could claim. The process that began the backfill closes it.',
    'See how far it is with rethread backfill --status.',
  ),
  NO_ROWS: explained(
    'A backfill found an empty table.',
    'There was nothing to migrate.',
    'Nothing, if the table was meant to be empty.',
  ),
} satisfies Explanations
