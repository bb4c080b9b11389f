import { count, defineCommand } from '../command.js'
import { rollback } from '../engine/rollback.js'
import { testRollbacks } from '../engine/updown.js'

export default defineCommand({
  summary: 'undo migrations: loss report first, then the archive, then the files',
  options: [
    ['--to <migration>', 'undo back to this migration, which stays'],
    ['--steps <n>', 'undo the last n migrations'],
    ['--all', 'undo everything'],
    ['--test', 'on a scratch database: up, down and up again for each migration, and whether that is exact'],
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs, config }) => {
    if (options.test) return testRollbacks(ctx, await track(), consent)
    return rollback(ctx, await track(), {
      to: options.to ?? null,
      steps: count(options.steps, '--steps', null),
      all: options.all ?? false,
      consent,
      leaseWaitMs,
      guards: { protected: config.protected, diskFreeBytes: config.diskFreeBytes },
    })
  },
})
