import { defineCommand } from '../command.js'
import { choice, count, flag, list, text } from '../model/options.js'
import { mutate } from '../verify/mutants.js'
import { listChecks, verify } from '../verify/verify.js'

export default defineCommand({
  summary:
    'run the checks (read-only, over every row) and the probes (as users, rolled back); exit 1 when one finds something',
  example: 'rethread verify --only columns,triggers --fail-on warn',
  consents: true,
  fleet: () => false,
  options: {
    only: list('--only <checks>', 'names of checks, separated by commas'),
    list: flag('--list', 'list the checks without running them'),
    failOn: choice(
      '--fail-on <level>',
      'lowest level that fails: warn or error (default error)',
      ['warn', 'error'],
      'error',
    ),
    sample: count('--sample <n>', 'also compare what n real users see with what they should see', 0),
    deep: flag('--deep', 'also count and hash again the rows that the backfills have written'),
    asUser: text('--as-user <id>', 'also show what this user sees'),
    mutants: flag(
      '--mutants',
      'on a scratch database: break one thing at a time and show which check notices (needs --confirm)',
    ),
  },
  run: async ({ ctx, track, options, config, consent }) => {
    const chosen = await track()
    if (options.list) return listChecks(chosen)
    if (options.mutants) return mutate(ctx, chosen, consent)
    return verify(ctx, chosen, {
      only: options.only,
      failOn: options.failOn,
      sample: options.sample,
      deep: options.deep,
      asUser: options.asUser,
      accepted: config.accepted,
    })
  },
})
