import { type Explanations, explained } from './explained.js'

/** Findings of status. */
export const statusExplanations = {
  AT_WORK: explained(
    'A run holds the lease, and its session is there.',
    'No other run begins before it ends.',
    'Watch it with rethread status --watch.',
  ),
  RUN_KILLED: explained(
    'A run has taken the lease, and its session is gone without having ended.',
    'Finished steps and batches are kept. The lease is free for the next run.',
    'Run the same command again: it continues where it stopped.',
  ),
  NOBODY_AT_WORK: explained('No run holds the lease.', 'Nothing of rethread is under way.', 'Nothing.'),
  HOW_FAR: explained(
    'How many migrations are applied, and the backfill that is under way or was begun.',
    'Rate and time left are those of the progress line of the run.',
    'Nothing.',
  ),
  NOT_DRIFTED: explained(
    'The schema is as the last step left it.',
    'The next run meets what the files expect.',
    'Nothing.',
  ),
  ARCHIVE_WAITING: explained(
    'A rollback has archived rows, and nobody has brought them back.',
    "They are safe in the archive, but the application's tables do not have them.",
    'Bring them back with the command in the message, or drop them with rethread prune --archives.',
  ),
  NEXT_STEP: explained(
    'What to type next.',
    'The command changes nothing, or asks before it takes anything away.',
    'Run it.',
  ),
} satisfies Explanations
