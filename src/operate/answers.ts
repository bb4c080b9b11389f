import type { Connection } from '../database/connection.js'
import type { BackfillResult, Finding } from '../model/report.js'
import { finding } from '../model/report.js'
import type { HistoryAndPlan } from '../plan/history.js'
import type { RecentRun } from '../run/at_work.sql.js'
import { readLease } from '../run/lease.sql.js'

/**
 * Whether a run is active, and since when. `last` is the newest run. If the backend of a lease is gone, its
 * run was killed.
 */
export async function whoIsAtWork(
  connection: Connection,
  track: string,
  last: RecentRun | undefined,
): Promise<Finding> {
  const lease = await readLease(connection.sql)
  if (lease.holder === null) return finding('NOBODY_AT_WORK', track)
  const { holder, alive, backendPid: pid, heartbeatAge } = lease
  const running = last?.outcome === 'running' ? last : null
  return alive
    ? finding('AT_WORK', holder, {
        run: running?.id ?? null,
        pid,
        since: running?.at ?? null,
        heartbeatSeconds: heartbeatAge,
      })
    : finding('RUN_KILLED', holder, {
        run: last?.outcome === 'killed' ? last.id : null,
        silentSeconds: heartbeatAge,
      })
}

/** The progress of a track, and of a backfill that runs or was begun. */
export function howFar(
  track: string,
  { plan }: HistoryAndPlan,
  of: number,
  backfill: BackfillResult[],
): Finding {
  const open = backfill.find(b => b.state !== 'done' && b.state !== 'pending')
  return finding('HOW_FAR', track, {
    applied: plan.applied.length,
    of,
    backfill: open?.migration ?? null,
    percent: open && open.ranges > 0 ? Math.floor(100 * (open.fraction ?? 0)) : null,
    rowsPerSecond: open?.state === 'running' ? open.rowsPerSecond : null,
    etaSeconds: open?.etaSeconds ?? null,
  })
}

/**
 * The next command to type. It does no harm, or asks for consent first. It does not enter the contract phase
 * while an earlier step is not done.
 */
export function nextStep(
  track: string,
  { history, plan }: HistoryAndPlan,
  work: Finding,
  backfill: BackfillResult[],
): Finding {
  const open = [...history.unfinished.values()].at(-1)
  const command =
    work.code === 'AT_WORK'
      ? 'status --watch'
      : plan.findings.some(f => f.level === 'error')
        ? 'doctor'
        : plan.findings.some(f => f.code === 'APPLIED_ELSEWHERE')
          ? 'migrate --adopt'
          : backfill.some(b => b.state === 'paused')
            ? 'backfill --resume'
            : open?.direction === 'down'
              ? 'plan --rollback'
              : open
                ? 'migrate'
                : plan.steps.length > 0
                  ? 'plan'
                  : plan.held.length > 0
                    ? 'plan --phase contract'
                    : 'verify'
  const [verb, ...flags] = command.split(' ')
  return finding('NEXT_STEP', track, { command: ['rethread', verb, '--track', track, ...flags].join(' ') })
}
