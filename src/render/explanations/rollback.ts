import { type Explanations, explained } from './explained.js'

/** Findings of rollback, restore, archives and prune. */
export const rollbackExplanations = {
  TARGET_NEEDED: explained(
    'A rollback was asked for without a target.',
    'Nothing was changed.',
    'Name the migration that stays with --to, a number of steps with --steps, or everything with --all.',
  ),
  UNKNOWN_MIGRATION: explained(
    'The track has no migration of this name.',
    'Nothing was changed.',
    'Use one of the names in the message.',
  ),
  AMBIGUOUS_MIGRATION: explained(
    'The name fits several migrations.',
    'The wrong one could be taken, so nothing was changed.',
    'Write the whole name, or the number.',
  ),
  DESTROYS_UNARCHIVED: explained(
    'A statement would remove rows or objects that were not archived in this run.',
    'They could not be restored. The statement was not sent, and the transaction of the step was rolled back.',
    'Write the statement so that it names what it removes. The message shows how.',
  ),
  IRREVERSIBLE: explained(
    'The header of a migration says that it cannot be undone.',
    'A rollback beyond it would leave its effects behind.',
    'Roll back to a later migration, or accept it by name with --allow SKIPS_IRREVERSIBLE.',
  ),
  NO_WAY_BACK: explained(
    'Before the rollback, some rows were put back as a trial, and the server refused them.',
    'The rollback would fail in the middle. Nothing was changed.',
    'Remove the cause that the server names, usually a constraint or a trigger, and run the command again.',
  ),
  LEFT_ASIDE: explained(
    'A rollback could not put some rows back in full.',
    'They are not lost: they are still in the quarantine, with their original values.',
    'Look at them with the query in the message, and put them back by hand.',
  ),
  LOSS: explained(
    'The loss report of a rollback: how many rows of a table it takes away, and how many of them people have made or changed.',
    'Rows that a backfill made can be made again. Rows that people made exist nowhere else.',
    'Decide whether to continue. The rows are archived first, and rethread restore brings them back.',
  ),
  DEPENDANTS: explained(
    'Other objects depend on what the rollback would drop.',
    'Dropping them too could break the application. Nothing was changed.',
    'Drop or change those objects first.',
  ),
  ARCHIVED: explained(
    'The rows that the rollback removed are stored in an archive of the database.',
    'They can be brought back.',
    'Run the command in the message to restore them.',
  ),
  NO_ARCHIVE: explained(
    'There is no archive of this name.',
    'Nothing was changed.',
    'List the archives with rethread restore --list.',
  ),
  ROLLED_BACK_EXACTLY: explained(
    'The schema was compared with the snapshot from before the first step, and they are equal.',
    'Nothing of the migration remains.',
    'Nothing.',
  ),
  ROLLBACK_DIFFERS: explained(
    'After the rollback the schema differs from the snapshot that was taken before the migration.',
    'Something was changed meanwhile by others, or a rollback file is incomplete.',
    'Compare the objects in the list. `-` is missing, `+` is new, `~` is different.',
  ),
  UNTESTED_ROLLBACK: explained(
    'The way back of a migration was tried and failed, or could not be tried here.',
    'A real rollback of it is not proved.',
    'Correct the rollback file, or run the test on a database in which nothing is applied.',
  ),
  PRUNABLE: explained(
    'The sessions, or archives, that are past the retention.',
    'Nothing was changed: prune only counts unless --apply is given.',
    'Run the command in the message to apply it.',
  ),
  PRUNED: explained(
    'Sessions, or archives, past the retention were archived or removed.',
    'Sessions that were removed are in an archive, unless the message says otherwise.',
    'Nothing.',
  ),
  ARCHIVE_CHANGED: explained(
    'An archive has other rows than when it was sealed.',
    'Somebody has written to it. Restoring it could bring back rows that never existed.',
    'Compare it with your backups before you restore it.',
  ),
  RESTORE_CONFLICT: explained(
    'Rows of the archive were not brought back, because the table has a newer version of them or because they were deleted after the rollback.',
    'The newer state wins. The archive keeps the old version.',
    'Read the list, and copy from the archive what you still need.',
  ),
  RESTORED: explained(
    'The rows of an archive are back in their tables.',
    'The restore was verified with the gates and checks of the track.',
    'Run rethread verify.',
  ),
  RESTORE_UNPROVEN: explained(
    'The rows are back, and a check of the track finds faults.',
    'The restore is not complete. Some rows lack what refers to them, or the other way round.',
    'Look at the faults with rethread verify, remove the cause, and run the same restore again.',
  ),
  DRIFT: explained(
    'Objects of the track were changed, dropped or added since the last step, and not by rethread.',
    'The next step was written for the schema as it was. It could fail or destroy the change.',
    'Undo the change, or write it as a migration. `--allow IGNORES_DRIFT` continues anyway.',
  ),
  DRIFT_UNKNOWN: explained(
    'The schema could not be compared with its state after the last step.',
    'Changes by others would not be noticed in this run.',
    'Run rethread verify, which compares the objects of the track with what they should be.',
  ),
} satisfies Explanations
