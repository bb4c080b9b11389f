import { type Explanations, explained } from './explained.js'

/** Findings of verify and prove. */
export const checkExplanations = {
  CHECK_FAILED: explained(
    'The SQL of a check ended with an error.',
    'What the check would have found is unknown, so the verdict cannot be clean.',
    'Read the reason: a timeout, a missing privilege or a fault of the file. Remove it and run verify again.',
  ),
  PROBE_SKIPPED: explained(
    'A probe could not act as the people whose access it tests.',
    'Nothing shows that isolation holds, so the verdict cannot be clean.',
    'Grant the roles with the statement in the message, or follow the reason that it gives.',
  ),
  POLICY_PER_ROW: explained(
    'A policy calls a function for every row to find out who is asking.',
    'Queries become slower with each row of the table.',
    'Write `(select auth.uid())` instead of `auth.uid()`: it is then evaluated once per statement.',
  ),
  POLICY_SCANS: explained(
    'A query of the application reads the whole table because of a policy.',
    'The time of the query grows with the table, for every user.',
    'Create an index on the columns that the policy and the query compare.',
  ),
  ACCEPTANCE_OVER: explained(
    'A finding was accepted in the configuration until a date, and the date has passed.',
    'It counts again.',
    'Fix it, or accept it until a later date.',
  ),
  ACCEPTANCE_UNUSED: explained(
    'The configuration accepts a finding that no longer occurs.',
    'A stale entry would hide the same finding if it came back.',
    'Remove the entry from `accepted` in rethread.config.json.',
  ),
  NO_ACCESS_FILE: explained(
    'The track has no access file that applies to its present state.',
    'Nobody can be impersonated, so isolation is not tested.',
    'Migrate further, or write verify/<track>/access.sql. docs/verification.md describes it.',
  ),
  RECOUNTED: explained(
    'The workspaces, or other units, of a track were counted and hashed again and compared with what the backfill recorded.',
    'A difference means that messages changed since the backfill. The application may have done that.',
    'Look at the units that differ, if there are any.',
  ),
  NOT_ACCOUNTED: explained(
    'Some of what came in was neither migrated nor set aside nor failed.',
    'These rows may be lost, or the backfill has not reached them yet.',
    'Find the rows with rethread verify, and run rethread backfill for pending ones.',
  ),
  NOTHING_CAME_IN: explained(
    'The tables had no rows to migrate.',
    'There is nothing to prove. This is normal for a new installation.',
    'Nothing, if the tables were meant to be empty.',
  ),
  SEES_MORE: explained(
    'A sampled user or role can read rows that they could not read before the migration.',
    'Private data may be visible to the wrong people.',
    'Check whether the track means it to be so (docs/tracks.md). If not, find the policy with rethread verify --only access.',
  ),
  SEES_LESS: explained(
    'A sampled user or role can no longer read rows that they could read before the migration.',
    'People may miss their messages.',
    'Check whether the track means it to be so (docs/tracks.md), and whether another grouping fits better.',
  ),
  SAW_EVERYTHING: explained(
    'Before the migration a table had no row level security.',
    'Everybody with access to the API could read all of it, so everybody sees less now.',
    'Nothing. It explains the comparison.',
  ),
  SIGHTS_SAMPLED: explained(
    'The policies of a large table have no index to answer by, and ask for columns in which nearly every row differs. Each sampled person was asked about some of the rows.',
    'A row outside of the sample that somebody sees more or less than before is not noticed.',
    'Nothing. With an index on the columns that the policy compares, every row is looked at.',
  ),
  NO_SIGHTS: explained(
    'Nothing was recorded before the first step about who could see what.',
    'Before and after cannot be compared.',
    'Nothing can be done afterwards. Check the present state with rethread verify --sample.',
  ),
  MUTANT_SURVIVED: explained(
    'The database was broken on purpose, in a transaction that is rolled back, and no check noticed.',
    'A real fault of this kind would stay unnoticed too.',
    'Add a check that notices it. The statement in the message makes the fault.',
  ),
  MUTANT_REFUSED: explained(
    'The database refused the fault that was to be planted.',
    'Nothing shows that the check can fail.',
    'Write a mutant that the database accepts in the header of the check.',
  ),
  MUTANTS: explained(
    'How many of the faults that were planted on purpose were noticed.',
    'It shows how far the checks can be trusted.',
    'Nothing, if all were noticed.',
  ),
  NOTHING_APPLIED: explained(
    'No migration of the track is applied here.',
    'No check could mean anything, so the verdict cannot be clean.',
    'Run rethread migrate, or check the database and the track.',
  ),
  NO_CHECKS_RUN: explained(
    'None of the checks could run.',
    'Nothing was verified, so the verdict cannot be clean.',
    'See why with rethread verify --list.',
  ),
  ISOLATION_UNVERIFIED: explained(
    'Whether each person reaches only their own rows was not tested, or only in part.',
    'A wrong policy would not be noticed.',
    'Follow the fix in the message. Before the policies of the track are applied there is nothing to do.',
  ),
  PRE_EXISTING: explained(
    'Checks found faults in objects that were there before the first step and have not changed since.',
    'The migration did not cause them, so they are warnings and do not change the exit code.',
    'Read them. `--fail-on warn` makes them count.',
  ),
  BAD_PROOF: explained(
    'The file that was named as a proof is not one.',
    'Nothing was compared.',
    'Write one with rethread prove --out proof.json.',
  ),
  PROOF_HOLDS: explained(
    'Everything that was proved is unchanged.',
    'Counts, hashes, schema and files are as they were signed off.',
    'Nothing.',
  ),
  PROOF_DIFFERS: explained(
    'Something has changed since the proof was made.',
    'The sign-off no longer describes this database. On a live application new rows are normal.',
    'Explain each change in the list, then make a new proof.',
  ),
} satisfies Explanations
