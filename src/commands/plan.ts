import { count, defineCommand } from '../command.js'
import { survey, surveyRollback, surveyWithSample } from '../engine/survey.js'

export default defineCommand({
  summary: 'the dry run: what `migrate` (or `rollback`) would do; reads only, the server sees to it',
  options: [
    ['--to <migration>', 'plan up to and including this migration; with --rollback, back to it'],
    ['--phase <phase>', 'plan up to this phase: expand, backfill or contract'],
    ['--no-backfill', 'stop before the first backfill'],
    ['--sample', 'also run some batches of each backfill and roll them back, to measure time and WAL'],
    ['--rollback', 'plan a rollback: what would go, and whose rows they are'],
    ['--steps <n>', 'with --rollback: undo the last n migrations'],
    ['--all', 'with --rollback: undo everything'],
  ],
  run: async ({ ctx, track, options, consent, leaseWaitMs }) => {
    const to = options.to ?? null
    if (!options.rollback)
      return (options.sample ? surveyWithSample : survey)(ctx, await track(), {
        to,
        phase: options.phase ?? null,
        backfills: options.backfill !== false,
        consent,
      })
    const steps = count(options.steps, '--steps', null)
    return surveyRollback(ctx, await track(), {
      to,
      steps,
      all: options.all ?? (to === null && steps === null),
      consent,
      leaseWaitMs,
    })
  },
})
