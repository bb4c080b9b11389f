import { resolve } from 'node:path'
import { defineCommand, throttleOptions } from '../command.js'
import { readPin } from '../files/pin.js'
import { migrate } from '../migrate/migrate.js'
import { UsageError } from '../model/failure.js'
import { choice, count, flag, text } from '../model/options.js'
import { historyTools } from '../model/other_tool.js'
import { phases } from '../model/project.js'
import { writingHistory } from '../plan/other_tool.js'
import { wishOf } from '../plan/pinned_plan.js'

export default defineCommand({
  summary:
    'apply what is pending, backfills included, up to the first step that the old application would not survive',
  example: 'rethread migrate --plan plan.json',
  consents: true,
  fleet: () => true,
  options: {
    to: text('--to <migration>', 'apply up to and including this migration'),
    phase: choice('--phase <phase>', 'apply up to this phase: expand, backfill or contract', phases),
    backfill: flag('--no-backfill', 'stop before the first backfill'),
    baseline: text(
      '--baseline <migration>',
      'adopt an existing database: record as applied what the catalog shows, up to this migration',
    ),
    adopt: flag(
      '--adopt',
      'take over a partly migrated database: record what agrees with the files, show what does not',
    ),
    fixUp: text('--fix-up <file>', 'with --adopt: write the SQL that removes the differences from the files'),
    plan: text(
      '--plan <file>',
      'apply a plan that was pinned by plan --out; refused when anything has changed since',
    ),
    writeHistory: choice(
      '--write-history <tool>',
      'also write the history that this tool keeps, such as supabase (else `history` of the configuration)',
      historyTools,
    ),
    workers: count(
      '--workers <n>',
      'connections that share a backfill, and cores that build an index (default 1)',
      1,
    ),
    ...throttleOptions,
  },
  run: async ({ ctx, track, options, consent, leaseWaitMs, cwd }) => {
    // read the plan first, so that a wrong file is reported without connecting
    const pin = options.plan ? await readPin(resolve(cwd, options.plan)) : null
    const found = await track()
    const chosen = options.writeHistory ? writingHistory(found, options.writeHistory) : found
    if (options.baseline) {
      const { baseline } = await import('../migrate/baseline.js')
      return baseline(ctx, chosen, options.baseline, leaseWaitMs)
    }
    if (options.fixUp && !options.adopt) throw new UsageError('--fix-up', 'it needs --adopt')
    if (options.adopt) {
      const { adopt } = await import('../migrate/adopt.js')
      return adopt(ctx, chosen, { to: options.to, leaseWaitMs })
    }
    return migrate({ ...ctx, cores: options.workers }, chosen, {
      ...wishOf(
        { to: options.to, phase: options.phase, backfills: options.backfill ? undefined : false },
        pin,
      ),
      pin,
      consent,
      leaseWaitMs,
      workers: options.workers,
      nice: options.nice,
      throttleQuery: options.throttleQuery,
    })
  },
})
