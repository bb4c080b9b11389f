import { defineCommand } from '../command.js'
import { flag } from '../model/options.js'
import { archives, restore } from '../rollback/restore.js'

export default defineCommand({
  summary:
    'bring an archive back after a rollback (`latest`, or its name); migrates again first where needed',
  example: 'rethread restore latest',
  consents: true,
  args: '[archive]',
  options: { list: flag('--list', 'list the archives') },
  run: async ({ ctx, track, options, args, consent, leaseWaitMs }) => {
    if (options.list) return archives(ctx)
    return restore(ctx, await track(), { archive: args[0] ?? '', consent, leaseWaitMs })
  },
})
