import { resolve } from 'node:path'
import { defineCommand } from '../command.js'
import { failLevels, failOn } from '../dry_run/fail_on.js'
import { dryRun, dryRunRollback, dryRunWithSample } from '../dry_run/plan.js'
import { dryRunWithRehearsal } from '../dry_run/rehearse.js'
import { readText } from '../files/discover.js'
import { UsageError } from '../model/failure.js'
import { choice, choices, count, flag, text } from '../model/options.js'
import { phases } from '../model/project.js'
import { pinnedCommand } from '../plan/next_command.js'

/** Refuses options that mean nothing beside the others, so that nobody relies on them. */
function refuseUnused(options: {
  rollback: boolean
  steps: number | null
  all: boolean
  phase: string | null
  backfill: boolean
  sample: boolean
  rehearse: boolean
  rehearseUrl: string | null
  visibility: boolean
  oldApp: string | null
  newApp: string | null
  out: string | null
}): void {
  const forward: [flag: string, given: boolean][] = [
    ['--phase', options.phase !== null],
    ['--no-backfill', !options.backfill],
    ['--sample', options.sample],
    ['--rehearse', options.rehearse],
    ['--rehearse-url', options.rehearseUrl !== null],
    ['--visibility', options.visibility],
    ['--old-app', options.oldApp !== null],
    ['--new-app', options.newApp !== null],
    ['--out', options.out !== null],
  ]
  const back: [flag: string, given: boolean][] = [
    ['--steps', options.steps !== null],
    ['--all', options.all],
  ]
  for (const [flag, given] of options.rollback ? forward : back)
    if (given)
      throw new UsageError(flag, options.rollback ? 'it is not for --rollback' : 'it needs --rollback')
}

export default defineCommand({
  summary: 'show what `migrate` (or `rollback`) would do, in a read-only transaction',
  example: 'rethread plan --out plan.json --output plan.md=markdown',
  consents: true,
  fleet: () => false,
  options: {
    to: text('--to <migration>', 'plan up to and including this migration; with --rollback, back to it'),
    phase: choice('--phase <phase>', 'plan up to this phase: expand, backfill or contract', phases),
    backfill: flag('--no-backfill', 'stop before the first backfill'),
    sample: flag(
      '--sample',
      'also run some batches of each backfill and roll them back, to measure time and WAL',
    ),
    rehearse: flag('--rehearse', 'also execute it here, in one transaction that is rolled back'),
    rehearseUrl: text('--rehearse-url <url>', 'rehearse on this copy instead: a branch, a restored backup'),
    visibility: flag(
      '--visibility',
      'also show who sees which rows now and after each step: sampled persons, and every role with rights',
    ),
    oldApp: text(
      '--old-app <file>',
      'with a rehearsal: statements of the present application, tried after each phase',
    ),
    newApp: text(
      '--new-app <file>',
      'with a rehearsal: statements of the next application, tried after all steps',
    ),
    out: text('--out <file>', 'pin the plan: migrate --plan <file> refuses when anything has changed since'),
    rollback: flag('--rollback', 'plan a rollback: what would be removed, and whose rows they are'),
    failOn: choices(
      '--fail-on <levels>',
      'also exit 1 if there is a warn(ing), a hazard that --allow does not name, or a pending step',
      failLevels,
    ),
    steps: count('--steps <n>', 'with --rollback: undo the last n migrations'),
    all: flag('--all', 'with --rollback: undo everything'),
  },
  run: async ({ ctx, track, options, consent, leaseWaitMs, cwd, config }) => {
    const { to, steps } = options
    refuseUnused(options)
    if (!options.rollback) {
      const asked = {
        to,
        phase: options.phase,
        backfills: options.backfill,
        consent,
        pinned: options.out !== null,
        visibility: options.visibility,
      }
      const rehearses = options.rehearse || options.rehearseUrl !== null
      for (const [flag, path] of [
        ['--old-app', options.oldApp],
        ['--new-app', options.newApp],
      ] as const)
        if (path && !rehearses) throw new UsageError(flag, 'it needs --rehearse or --rehearse-url')
      const read = (path: string | null) => (path ? readText(resolve(cwd, path)) : null)
      const apps = { old: read(options.oldApp), new: read(options.newApp) }
      const report = rehearses
        ? await dryRunWithRehearsal(ctx, await track(), asked, options.rehearseUrl, apps)
        : await (options.sample ? dryRunWithSample : dryRun)(ctx, await track(), asked)
      if (options.out !== null && report.next !== undefined)
        report.next = pinnedCommand((await track()).name, options.out, report.findings, consent)
      return failOn(report, options.failOn, consent)
    }
    const report = await dryRunRollback(ctx, await track(), {
      to,
      steps,
      all: options.all || (to === null && steps === null),
      consent,
      leaseWaitMs,
      guards: { protected: config.protected, diskFreeBytes: config.diskFreeBytes },
    })
    return failOn(report, options.failOn, consent)
  },
})
