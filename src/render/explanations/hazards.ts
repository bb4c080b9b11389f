import { explained, type HazardExplanations } from './explained.js'

/** An explanation with its example. */
const explainedHazard = (means: string, matters: string, action: string, example: string) => ({
  ...explained(means, matters, action),
  example,
})

const allow = (name: string): string => `If you agree, allow it by name: --allow ${name}.`

/** What each hazard means. */
export const hazardExplanations: HazardExplanations = {
  LOCKS_TABLE: explainedHazard(
    'A statement takes the lock ACCESS EXCLUSIVE on a table.',
    'Reads and writes of the table wait while the lock is held, and also while it is waited for. rethread asks for it with a short timeout and tries again, so nobody waits for long.',
    'Nothing, by default. Choose a quiet time for tables with long transactions.',
    'alter table public.chats add column session_id uuid;',
  ),
  BLOCKS_WRITES: explainedHazard(
    'A statement takes a lock that conflicts with INSERT, UPDATE and DELETE.',
    'Writes of the table wait while the lock is held or waited for. Reads continue.',
    'Nothing, by default. For an index, CREATE INDEX CONCURRENTLY avoids it.',
    'create trigger fill_session before insert on public.chats for each row execute function fill_session();',
  ),
  SCANS_TABLE: explainedHazard(
    'A statement reads the whole table.',
    'It takes time in proportion to the size of the table. Whether somebody waits depends on the lock beside it.',
    'Nothing, by default.',
    'alter table public.chats validate constraint chats_session_id_fkey;',
  ),
  REWRITES_TABLE: explainedHazard(
    'A statement writes the whole table again under the lock ACCESS EXCLUSIVE.',
    'The application cannot use the table for as long as that takes.',
    `Split it into steps that do not rewrite: a new column, a backfill, a rename. ${allow('REWRITES_TABLE')}`,
    'alter table public.chats alter column id type bigint;',
  ),
  CANNOT_TELL: explainedHazard(
    'What a statement locks and changes shows only when it runs: a DO block, a procedure, a function of yours.',
    'The report cannot say who would wait and what could be lost.',
    `Read the statement and write its locks above it: \`-- locks: public.chats ACCESS EXCLUSIVE\`, or \`-- locks: none\`. ${allow('CANNOT_TELL')}`,
    'select public.archive_old_chats();',
  ),
  WIDENS_ACCESS: explainedHazard(
    'Somebody could read, write or execute more than before.',
    'Private data may become visible. Row security that is disabled, grants to PUBLIC and permissive policies are the usual causes.',
    `Check that the statement means it. ${allow('WIDENS_ACCESS')}`,
    'alter table public.chats disable row level security;',
  ),
  HIDES_ROWS: explainedHazard(
    'A role that reads rows of a table today, or every sampled person who does, would see none of them after row level security is enabled.',
    'A worker or report would continue without an error and find nothing.',
    `Look at rethread plan --visibility. Add a policy for the role, or give it BYPASSRLS. ${allow('HIDES_ROWS')}`,
    'alter table public.chats enable row level security;   while the role `reporting` reads the table and no policy is for it',
  ),
  SHOWS_ROWS: explainedHazard(
    'Somebody would read rows that only others can read today.',
    'Private messages may become visible to another person.',
    `See who with rethread plan --visibility, and check which setting decides it. ${allow('SHOWS_ROWS')}`,
    'A policy lets the owner of a workspace read messages that only their author can read today.',
  ),
  ENDS_OLD_APP: explainedHazard(
    'From this step on, a version of the application that does not know sessions fails.',
    'Instances of the old version that still run would return errors.',
    `Deploy the new version everywhere first. ${allow('ENDS_OLD_APP')}`,
    'alter table public.chats alter column session_id set not null;   while the old application inserts messages without a session',
  ),
  QUARANTINES_ROWS: explainedHazard(
    'Rows that do not fit are taken out of their table.',
    'They are copied to rethread_archive.quarantine first, and a rollback puts them back. The application no longer shows them.',
    `Look at them with rethread quarantine list. ${allow('QUARANTINES_ROWS=<rows>')} The number is the most that may go.`,
    '9 messages have no workspace, and a workspace is required from this step on: --allow QUARANTINES_ROWS=9',
  ),
  DELETES_DATA: explainedHazard(
    'A statement drops a table, a column or rows.',
    'A rollback archives them first and restore brings them back. A migration file that drops data is not archived.',
    `Check the loss report. ${allow('DELETES_DATA')} A rollback also needs --confirm with the name of the database.`,
    'alter table public.chats drop column session_id;',
  ),
  FIRES_TRIGGERS: explainedHazard(
    'A backfill fires triggers of the application for every row that it writes.',
    'Times change, messages are sent again, webhooks are called.',
    `Hold the triggers off with \`"triggers": "hold"\` in the configuration. ${allow('FIRES_TRIGGERS')}`,
    'A backfill updates 40,000 rows of public.chats, and each update fires a trigger that calls a webhook.',
  ),
  RUNS_FOREIGN_CODE: explainedHazard(
    'A superuser would run functions that other roles have put on the tables.',
    'Such a function could give its owner every right on the server.',
    `Connect as the owner of the tables, or read the function. ${allow('RUNS_FOREIGN_CODE')}`,
    'A trigger of public.chats runs a function that belongs to the role `intern`.',
  ),
  IGNORES_DRIFT: explainedHazard(
    'The run continues although others have changed objects of the track.',
    'The steps were not written for the changed objects. They could fail or destroy the change.',
    `Undo the change or write it as a migration. ${allow('IGNORES_DRIFT')}`,
    'Somebody has dropped the index public.idx_chats_session_id since the last step.',
  ),
  IGNORES_RECENT_WRITES: explainedHazard(
    'A rollback continues although the new application has written within the last minute.',
    'The new application still runs, and its next statements will fail.',
    `Stop the new application first. ${allow('IGNORES_RECENT_WRITES')}`,
    '3 rows of public.chat_sessions were written within the last 60 s: is the new application gone?',
  ),
  SKIPS_IRREVERSIBLE: explainedHazard(
    'A rollback counts a migration as undone although its file says that it cannot be.',
    'The effects of the migration stay.',
    `Read the reason in its header. ${allow('SKIPS_IRREVERSIBLE')}`,
    'rethread rollback --all, where the file of a migration has the line `--! irreversible: the old values are overwritten`',
  ),
  PRUNES_MOST: explainedHazard(
    'A retention would take more than half of all sessions.',
    'The retention may be too short, or the times may be wrong.',
    `Check the count of the dry run. ${allow('PRUNES_MOST')}`,
    'rethread prune --older-than 7d --apply, where 620 of 1,000 sessions are older than that',
  ),
  RECORDS_UNPROVEN: explainedHazard(
    'The ledger is to say that a migration is applied, or is not, and the catalog does not show it.',
    'What comes next builds on the ledger: a step may fail, or work may be missing or done twice.',
    `Finish the work by hand, so that the catalog shows it. ${allow('RECORDS_UNPROVEN')}`,
    'rethread repair 004_link_messages --applied, where public.chats has no column session_id',
  ),
  FILLS_DISK: explainedHazard(
    'An archive needs more space than the configuration says is free.',
    'A full disk stops the server.',
    `Free space, or correct the configuration. ${allow('FILLS_DISK')}`,
    'The archive of a rollback may take 40 GB, and the configuration says that 12 GB are free.',
  ),
}
