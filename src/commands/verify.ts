import { commaList, count, defineCommand } from '../command.js'
import { mutate } from '../engine/mutants.js'
import { listChecks, verify } from '../engine/verify.js'

function failOn(value: string | undefined): 'warn' | 'error' {
  if (value !== undefined && value !== 'warn' && value !== 'error')
    throw new RangeError(`--fail-on wants warn or error, not \`${value}\``)
  return value ?? 'error'
}

export default defineCommand({
  summary:
    'run the checks (read-only, with full sight) and the probes (as persons, rolled back); exit 1 when one finds something',
  options: [
    ['--only <checks>', 'names of checks, separated by commas'],
    ['--list', 'list the checks without running them'],
    ['--fail-on <level>', 'lowest level that fails: warn or error (default error)'],
    ['--sample <n>', 'also compare what n real persons see with what they should'],
    ['--deep', 'also count and hash again what the backfills have left'],
    ['--as-user <id>', 'also tell what this person sees'],
    [
      '--mutants',
      'on a scratch database: break one thing at a time and tell which check notices (wants --confirm)',
    ],
  ],
  run: async ({ ctx, track, options, config, consent }) => {
    const chosen = await track()
    if (options.list) return listChecks(chosen)
    if (options.mutants) return mutate(ctx, chosen, consent)
    return verify(ctx, chosen, {
      only: commaList(options.only),
      failOn: failOn(options.failOn),
      sample: count(options.sample, '--sample', 0)!,
      deep: Boolean(options.deep),
      asUser: options.asUser ?? null,
      accepted: config.accepted,
    })
  },
})
