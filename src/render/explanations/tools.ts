import { type Explanations, explained } from './explained.js'

/** Findings about the histories of other migration tools, exports for them, and repairs of the ledger. */
export const toolExplanations = {
  EXPORTED: explained(
    'A track was written as files that another tool applies.',
    'Both tools can apply it now. rethread reads the history of the other one, so that nothing is applied twice.',
    'Read the files and commit them. Let the other tool apply them, or set `history` and run rethread migrate.',
  ),
  EXPORT_HELD: explained(
    'The export ends before a migration that the old application does not survive, or of a later phase.',
    'The other tool applies every file that it finds, at once.',
    'Deploy the new application, then export with --phase contract.',
  ),
  EXPORT_CONFLICT: explained(
    'An exported file is not what would be exported now, or a new one would come too late.',
    'A database may have applied it as it is. Nothing was written.',
    'Delete the exported files from this one on if no database has them. Otherwise keep them.',
  ),
  APPLIED_ELSEWHERE: explained(
    'Another tool says that it has applied migrations that the ledger does not have.',
    'rethread would apply them a second time, so migrate refuses.',
    'Run rethread migrate --adopt: it compares them with the catalog and records them.',
  ),
  HISTORY_BEHIND: explained(
    'rethread applies files of another tool, and that tool keeps a history which rethread does not write.',
    'The tool would find the files pending, and apply them a second time.',
    'Set `history` in the configuration to the tool, and mark what is applied already with its own command.',
  ),
  FOLDER_NOT_READ: explained(
    'The folder that the command was started in has migrations of another tool, and no --dir names a folder.',
    'Without --dir, the tracks that come with rethread are used.',
    'Nothing, if you want a shipped track. Otherwise name the folder: --dir .',
  ),
  ELSEWHERE_FAILED: explained(
    'The history of another tool has a row of a migration that began and did not end.',
    'Some of its work may be there and some not. Nothing is applied or adopted before somebody has looked.',
    'Look at the database. Finish the work or take it back, then run rethread repair with --applied or --not-applied.',
  ),
  ELSEWHERE_CHANGED: explained(
    'A file has another checksum than the one that the other tool has applied.',
    'What is in the database may not be what the file says.',
    'Put the file back. If its effect is the same, run rethread repair with --applied.',
  ),
  HISTORY_NOT_KEPT: explained(
    '`history` names a tool whose table cannot be written for this track.',
    'The tool would apply again what rethread has applied.',
    'Export the track for the tool first, or take `history` out of the configuration.',
  ),
  REPAIRED: explained(
    'The ledger says something else of a migration than before, and keeps the reason and the evidence.',
    'What comes next builds on it.',
    'Run rethread plan, and rethread verify.',
  ),
  REPAIR_NEEDLESS: explained(
    'The ledger says of the migration what it was to say.',
    'Nothing was written.',
    'Nothing. If you meant another migration, rethread status lists them.',
  ),
} satisfies Explanations
