import { type Explanations, explained } from './explained.js'

/** Findings about lists of databases. */
export const fleetExplanations = {
  BAD_TARGETS: explained(
    'The list of databases cannot be used: a line is wrong or doubled, the file is not there, or the program that prints it failed.',
    'Nothing ran. All lines that are wrong are named at once, by their numbers only, because a line may hold a password.',
    'Correct the lines. Each is name=postgres://user@host/database, or the URL alone.',
  ),
  TARGETS_READABLE: explained(
    'The file of databases has passwords in it, and its permissions let other users of the machine read it.',
    'Whoever reads it can connect to every database of the list.',
    'Take the permission away with chmod 600, or leave passwords out: PGPASSWORD and the password file work for each database.',
  ),
  TARGET_TWICE: explained(
    'Two entries of the list lead to the same database, under two addresses.',
    'A database would count twice in the report, and two runs would wait for each other.',
    'Take one of the two out of the list.',
  ),
  TARGET_LATE: explained(
    'A database took longer than --deadline and was stopped, as Ctrl-C would.',
    'What had been finished there is kept. The others continued.',
    'Run the same command again, with a longer deadline or none. Look at that database with rethread status.',
  ),
  NOT_STARTED: explained(
    'Databases of the list were left as they were, because a canary or too many others had failed, or somebody pressed Ctrl-C.',
    'A fault that one database has, the others probably have too.',
    'Fix what stopped it, then run the same command again. Each database keeps its own ledger, so those that are done have nothing to do.',
  ),
  MORE_FINDINGS: explained(
    'Many databases have findings of the same codes, each with facts of its own, and only the first are shown.',
    'The report stays readable. None of them is lost.',
    'Write the report as JSON: `targets` has the whole report of each database.',
  ),
} satisfies Explanations
