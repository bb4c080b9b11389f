import { type Explanations, explained } from './explained.js'

/** Findings about the files of other migration tools. */
export const layoutExplanations = {
  LAYOUT: explained(
    'The files of another migration tool were found, and are read in the way of that tool.',
    'Their order, their way back and their transactions follow the rules of that tool.',
    'Nothing, if it is the right tool. Otherwise name it with --layout.',
  ),
  LAYOUT_UNCLEAR: explained(
    'The layout that was named is nowhere, or several folders have it.',
    'The wrong folder would be the wrong migrations. Nothing ran.',
    'Name the folder with --dir, or another layout with --layout.',
  ),
  BAD_LAYOUT: explained(
    'A file that belongs to the layout, such as a journal or a plan, cannot be read.',
    'It decides which migrations there are and in which order they run.',
    'Correct what the message names, or write the file again with its tool.',
  ),
  UNNUMBERED_FILE: explained(
    'A SQL file in the folder has no version in its name.',
    'The tool that the files belong to ignores it, and so does rethread.',
    'Rename it if it is a migration. Otherwise move it to another folder.',
  ),
  NOT_IN_JOURNAL: explained(
    'A SQL file is in the folder and not in the journal.',
    'The tool that the files belong to does not run it, and neither does rethread.',
    'Generate it again with the tool, or delete it.',
  ),
  MIXED_DIGITS: explained(
    'The versions of the files have different lengths, so text and numbers order them in different ways.',
    'The file may run before or after another than you expect.',
    'Check the order in rethread plan, and give the files versions of one length.',
  ),
  NOT_SQL: explained(
    'A migration is written in another language than SQL.',
    'rethread cannot run it, and the files after it may rely on it.',
    'Run it with its own tool, or write it as SQL.',
  ),
  ONE_WAY: explained(
    'Some migrations have no way back.',
    'They can be applied. rethread rollback refuses to go back beyond them.',
    'Nothing, or write what undoes them in the form that the tool has for it.',
  ),
  OWN_TRANSACTIONS: explained(
    'A file begins or ends transactions in a way that cannot be kept as it is.',
    'A COMMIT in the middle would leave half of the file behind when the rest fails.',
    'Put the whole file between one BEGIN and one COMMIT, or divide it.',
  ),
  PART_CHANGED: explained(
    'A migration was applied in part, and a statement of that part has changed since.',
    'What is in the database is not what the file says, so the rest cannot simply be run.',
    'Restore the statement as it was, finish the migration, and write the change as a new one.',
  ),
  PARTLY_APPLIED: explained(
    'A file that cannot run in one transaction failed after some of its statements.',
    'The statements in the list are done and stay done.',
    'Fix the statement that failed and run the same command again. It continues after those that are done.',
  ),
} satisfies Explanations
