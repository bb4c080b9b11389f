import { type Explanations, explained } from './explained.js'

/** Findings about the ledger, pinned plans and rehearsals. */
export const historyExplanations = {
  APPLIED_FILE_CHANGED: explained(
    'The SQL of a migration differs from the SQL that was applied.',
    'The database has the old version. The file no longer says what is in the database.',
    'Restore the file as it was applied, and write the change as a new migration.',
  ),
  APPLIED_FILE_REFORMATTED: explained(
    'A migration that is applied has changed only in comments or white space.',
    'The SQL is the same, so the run continues.',
    'Nothing, unless the change was an accident.',
  ),
  APPLIED_FILE_MISSING: explained(
    'A migration is in the ledger and its file is not on disk.',
    'It cannot be compared, and its rollback cannot be found.',
    'Restore the file from version control. Check that you are on the right branch.',
  ),
  OUT_OF_ORDER: explained(
    'A pending migration has a lower number than one that is applied.',
    'On a new database it would run earlier than it does here, so the two databases could differ.',
    'Give it a number after the last applied migration.',
  ),
  UNFINISHED: explained(
    'A migration was begun and not finished: the run was stopped, or a statement failed.',
    'Only a migration that runs outside of one transaction can be in this state. The statements that were done are recorded.',
    'Run rethread migrate to finish it, or rethread rollback to undo it.',
  ),
  NEWER_LEDGER: explained(
    'The ledger was written by a newer version of rethread.',
    'This version does not know what the new parts mean, so it changes nothing.',
    'Install the newer version.',
  ),
  LEDGER_ABSENT: explained(
    'The database has no ledger of rethread.',
    'Nothing was migrated here by rethread yet.',
    'Nothing. The first rethread migrate creates it.',
  ),
  NOT_SAMPLED: explained(
    'No batch of a backfill could be tried for the estimate.',
    'The time that the plan gives for this backfill is unknown. Usually it needs a table that an earlier step creates.',
    'Apply the steps before it with rethread migrate --no-backfill, or rehearse on a copy.',
  ),
  FAIL_ON: explained(
    'The plan has something for which --fail-on asks to fail.',
    'The exit code is 1, so that the pipeline stops here.',
    'Read what the message names. Allow it, change the files, or choose another level for --fail-on.',
  ),
  BAD_PIN: explained(
    'The file that was named as a pinned plan is not one.',
    'Nothing was executed.',
    'Write one with rethread plan --out plan.json.',
  ),
  PLAN_OUTDATED: explained(
    'Between the approval and the lease another run changed the ledger or the schema.',
    'What you approved is not what would run now, so nothing was executed.',
    'Run the same command again. It makes a new plan.',
  ),
  PLAN_CHANGED: explained(
    'The pinned plan no longer agrees with the files, the ledger, the schema or the database.',
    'A reviewer approved another plan than the one that would run. Nothing was executed.',
    'Make a new plan with rethread plan --out plan.json and have it reviewed.',
  ),
  REHEARSED: explained(
    'The pending steps were executed forwards and back, and nothing of it remains.',
    'The steps work on this schema, and the rollbacks undo them exactly.',
    'Nothing.',
  ),
  OLD_APP_CHANGES: explained(
    'A statement of the old application gives another result after a step than before it.',
    'The running application would notice the migration at that step.',
    'Deploy a version that does not send the statement before that phase, or change the migration.',
  ),
  NEW_APP_FAILS: explained(
    'A statement of the new application fails after the steps that were rehearsed.',
    'The new version would fail in the same way after its deployment.',
    'Change the statement, or add a migration that creates what it needs.',
  ),
  NEW_APP_EARLY: explained(
    'The statements of the new application were tried before all steps were rehearsed.',
    'A statement may fail only because a later step has not run.',
    'Rehearse all steps on a copy with --rehearse-url.',
  ),
  REHEARSED_HERE: explained(
    'The rehearsal ran in a transaction of the target database, which was rolled back.',
    'Its locks were real while it ran, and it wrote to the transaction log.',
    'Use --rehearse-url with a copy where the application must not be disturbed.',
  ),
  REHEARSED_ELSEWHERE: explained(
    'The copy has another number of migrations applied than the target.',
    'The rehearsal was of other steps than those that will run on the target.',
    'Make the copy again from the target.',
  ),
  REHEARSAL_STUCK: explained(
    'A rollback file failed in the rehearsal.',
    'The way back is not proved. A rollback of that migration would fail in the same way.',
    'Correct the rollback file and rehearse again.',
  ),
  REHEARSAL_DIFFERS: explained(
    'After the rollbacks the schema was not what it was before the steps.',
    'A real rollback would leave those objects behind, or take too much away.',
    'Correct the rollback files that concern the objects in the list.',
  ),
} satisfies Explanations
