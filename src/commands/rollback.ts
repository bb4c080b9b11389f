import { defineCommand } from '../command.js'
import { count, flag, text } from '../model/options.js'
import { rollback } from '../rollback/rollback.js'
import { testRollbacks } from '../rollback/test_rollbacks.js'

export default defineCommand({
  summary: 'undo migrations: loss report first, then the archive, then the files',
  example: 'rethread rollback --to 005_assign_messages',
  consents: true,
  options: {
    to: text('--to <migration>', 'undo back to this migration, which stays'),
    steps: count('--steps <n>', 'undo the last n migrations'),
    all: flag('--all', 'undo everything'),
    test: flag(
      '--test',
      'on a scratch database: apply, undo and apply again each migration, and show what differs',
    ),
  },
  run: async ({ ctx, track, options, consent, leaseWaitMs, config }) => {
    if (options.test) return testRollbacks(ctx, await track(), consent)
    return rollback(ctx, await track(), {
      to: options.to,
      steps: options.steps,
      all: options.all,
      consent,
      leaseWaitMs,
      guards: { protected: config.protected, diskFreeBytes: config.diskFreeBytes },
    })
  },
})
