import { count, defineCommand, pace, pacing } from '../command.js'
import { backfill, backfillStatus, pause } from '../engine/fill.js'

export default defineCommand({
  summary: 'start or resume the backfills, or try them on one workspace first',
  options: [
    ['--workspace <id>', 'canary: only rows of this workspace; the backfill stays open'],
    ['--max-rows <n>', 'stop after about so many rows'],
    ['--workers <n>', 'connections that share the work (default 1)'],
    ...pacing,
    ['--pause', 'let running backfills stop after their batch'],
    ['--resume', 'lift the pause and go on'],
    ['--status', 'only show how far they are'],
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs }) => {
    const chosen = await track()
    if (options.status) return backfillStatus(ctx, chosen)
    if (options.pause) return pause(ctx, chosen)
    const workers = count(options.workers, '--workers', 1)!
    return backfill({ ...ctx, cores: workers }, chosen, {
      unit: options.workspace ?? null,
      maxRows: count(options.maxRows, '--max-rows', null),
      workers,
      ...pace(options),
      resume: options.resume ?? false,
      consent,
      leaseWaitMs,
    })
  },
})
