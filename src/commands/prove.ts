import { defineCommand } from '../command.js'
import { count } from '../model/options.js'
import { prove } from '../verify/prove.js'
import { plainVerifyOptions } from '../verify/verify.js'

export default defineCommand({
  summary: 'one page to sign off after a run: what came in, what it became, who sees what',
  options: {
    sample: count('--sample <n>', 'real persons that are compared with what they should see (default 5)', 5),
  },
  run: async ({ ctx, track, options, config }) =>
    prove(ctx, await track(), {
      ...plainVerifyOptions,
      sample: options.sample,
      accepted: config.accepted,
    }),
})
