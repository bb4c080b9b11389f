import { defineCommand, throttleOptions } from '../command.js'
import { backfill, backfillStatus, pause } from '../migrate/backfill_only.js'
import { count, flag, text } from '../model/options.js'

export default defineCommand({
  summary: 'start or resume the backfills, or try them on one workspace first',
  example: 'rethread backfill --workspace 7d4f... --max-rows 10000',
  consents: true,
  fleet: ({ status, pause }) => !status && !pause,
  options: {
    workspace: text('--workspace <id>', 'canary: only rows of this workspace; the backfill stays open'),
    maxRows: count('--max-rows <n>', 'stop after about this many rows'),
    workers: count('--workers <n>', 'connections that share the work (default 1)', 1),
    ...throttleOptions,
    pause: flag('--pause', 'let running backfills stop after their batch'),
    resume: flag('--resume', 'end the pause and continue'),
    status: flag('--status', 'only show how far the backfills are'),
  },
  run: async ({ ctx, track, options, consent, leaseWaitMs }) => {
    const chosen = await track()
    if (options.status) return backfillStatus(ctx, chosen)
    if (options.pause) return pause(ctx, chosen)
    return backfill({ ...ctx, cores: options.workers }, chosen, {
      unit: options.workspace,
      maxRows: options.maxRows,
      workers: options.workers,
      nice: options.nice,
      throttleQuery: options.throttleQuery,
      resume: options.resume,
      consent,
      leaseWaitMs,
    })
  },
})
