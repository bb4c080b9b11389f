import { defineCommand } from '../command.js'
import { repair } from '../migrate/repair.js'
import { UsageError } from '../model/failure.js'
import { flag } from '../model/options.js'

export default defineCommand({
  summary: 'record in the ledger that a migration is applied, or is not, after work by hand',
  example: "rethread repair 006_index_and_constrain --applied --reason 'finished by hand'",
  consents: true,
  args: '<migration>',
  options: {
    applied: flag('--applied', 'all of its work is there'),
    notApplied: flag('--not-applied', 'none of its work is there'),
  },
  run: async ({ ctx, track, options, args, consent }) => {
    if (options.applied === options.notApplied)
      throw new UsageError('repair', 'say which: --applied or --not-applied')
    const as = options.applied ? 'applied' : 'not applied'
    return repair(ctx, await track(), { migration: args[0]!, as, consent })
  },
})
