import { resolve } from 'node:path'
import { count, defineCommand, pace, pacing } from '../command.js'
import { baseline } from '../engine/baseline.js'
import { migrate } from '../engine/migrate.js'
import { wishOf } from '../engine/pin.js'
import { readPin } from '../workspace/pin.js'

export default defineCommand({
  summary:
    'apply what is pending, backfills included, up to the first step that the old application would not survive',
  options: [
    ['--to <migration>', 'apply up to and including this migration'],
    ['--phase <phase>', 'apply up to this phase: expand, backfill or contract'],
    ['--no-backfill', 'stop before the first backfill'],
    [
      '--baseline <migration>',
      'adopt an existing database: record as applied what the catalog shows to be there',
    ],
    ['--plan <file>', 'apply a plan that was pinned by plan --out; refused when anything has changed since'],
    ['--workers <n>', 'connections that share a backfill, and cores that build an index (default 1)'],
    ...pacing,
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs, cwd }) => {
    const chosen = await track()
    if (options.baseline) return baseline(ctx, chosen, options.baseline, leaseWaitMs)
    const pin = options.plan ? await readPin(resolve(cwd, options.plan)) : null
    const workers = count(options.workers, '--workers', 1)!
    const backfills = options.backfill === false ? false : undefined
    return migrate({ ...ctx, cores: workers }, chosen, {
      ...wishOf({ to: options.to, phase: options.phase, backfills }, pin),
      pin,
      consent,
      leaseWaitMs,
      workers,
      ...pace(options),
    })
  },
})
