import { count, defineCommand } from '../command.js'
import { rollback } from '../engine/rollback.js'

export default defineCommand({
  summary: 'undo migrations: loss report first, then the archive, then the files',
  options: [
    ['--to <migration>', 'undo back to this migration, which stays'],
    ['--steps <n>', 'undo the last n migrations'],
    ['--all', 'undo everything'],
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs }) =>
    rollback(ctx, await track(), {
      to: options.to ?? null,
      steps: count(options.steps, '--steps', null),
      all: options.all ?? false,
      consent,
      leaseWaitMs,
    }),
})
