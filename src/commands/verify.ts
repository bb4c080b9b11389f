import { defineCommand } from '../command.js'
import { listChecks, verify } from '../engine/verify.js'

export default defineCommand({
  summary: 'run the checks, read-only and with full sight; exit 1 when one finds something',
  options: [
    ['--only <checks>', 'names of checks, separated by commas'],
    ['--list', 'list the checks without running them'],
    ['--fail-on <level>', 'lowest level that fails: warn or error (default error)'],
  ],
  run: async ({ ctx, track, options }) => {
    const chosen = await track()
    if (options.list) return listChecks(chosen)
    const only = String(options.only ?? '')
      .split(',')
      .map(s => s.trim())
      .filter(Boolean)
    return verify(ctx, chosen, { only, failOn: options.failOn === 'warn' ? 'warn' : 'error' })
  },
})
