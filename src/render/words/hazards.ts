import type { HazardCode } from '../../model/codes.js'

/** What a hazard means. */
export const hazardWords: Record<HazardCode, string> = {
  LOCKS_TABLE:
    'Takes ACCESS EXCLUSIVE: reads and writes of the table wait while it is held or waited for. Kept under 80 ms by lock_timeout and retries.',
  BLOCKS_WRITES: 'Writes of the table wait while the lock is held or waited for; reads go on.',
  SCANS_TABLE: 'Reads the whole table; nobody waits for it unless the entry says so.',
  REWRITES_TABLE:
    'Writes the whole table again under ACCESS EXCLUSIVE: the application stands still for as long as that takes.',
  CANNOT_TELL:
    'Only running the statement tells what it locks and changes: a DO block, a CALL, a function of your own, CASCADE. Read it, and write the locks above it: `-- locks: public.chats ACCESS EXCLUSIVE`, one line for each table, or `-- locks: none`. A rehearsal (`plan --rehearse-url`) shows what it takes.',
  WIDENS_ACCESS:
    'Lets somebody read, write or run what they could not before: row security that is switched off, a grant to everybody, a policy that lets everything through or is changed, a function with the rights of its owner, a new owner.',
  HIDES_ROWS:
    'A role that reads or writes rows of a table reaches none of them afterwards, or none of the sampled persons who read them does: row security is on and no policy lets them through. They get no error from a SELECT, only no rows. Add a policy for the role, or give it BYPASSRLS. `plan --visibility` shows who sees how many rows.',
  SHOWS_ROWS:
    'Somebody will read rows that only others could read before. The entry says who, and whose rows or how many. `plan --visibility` shows who sees how many rows.',
  ENDS_OLD_APP: 'The version of the application that knows nothing of sessions will fail from here on.',
  QUARANTINES_ROWS:
    'Takes rows that do not fit out of the table; they are copied to rethread_archive.quarantine first, and a rollback puts them back.',
  DELETES_DATA: 'Drops a table, a column or rows. A rollback archives them first.',
  FIRES_TRIGGERS:
    'A backfill fires triggers of the application for every row: times move, messages are sent, webhooks are called. `triggers: hold` in the configuration holds them off.',
  RUNS_FOREIGN_CODE:
    'Runs as a superuser what others have put on the tables: a trigger, a default, a constraint, an index or a rule whose function belongs neither to the owner of the table nor to a superuser. It could give its owner every right. Run as the owner of the tables, or read the function.',
  IGNORES_DRIFT:
    'Goes on although somebody has changed objects of the track since the last step: what comes next was not written for them.',
  IGNORES_RECENT_WRITES:
    'Rolls back although the new application has written within the last minute: what it writes next will fail.',
  SKIPS_IRREVERSIBLE: 'Counts a migration as rolled back whose file says that it can not be, and why.',
  PRUNES_MOST:
    'Prunes more than half of all sessions: a retention that is too short, or times that are wrong.',
  FILLS_DISK: 'Archives more than the free space that the configuration tells of.',
}
