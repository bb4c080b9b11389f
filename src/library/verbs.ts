import { dryRun, dryRunRollback, dryRunWithSample } from '../dry_run/plan.js'
import { dryRunWithRehearsal } from '../dry_run/rehearse.js'
import type { Config } from '../files/config.js'
import { parsePin } from '../files/pin.js'
import { parseProof } from '../files/proof.js'
import { parseSessionDocument } from '../files/session_file.js'
import { adopt } from '../migrate/adopt.js'
import { backfill, backfillStatus, pause } from '../migrate/backfill_only.js'
import { baseline } from '../migrate/baseline.js'
import { migrate } from '../migrate/migrate.js'
import { repair } from '../migrate/repair.js'
import type { Consent } from '../model/plan.js'
import type { Report, Table } from '../model/report.js'
import { doctor } from '../operate/doctor.js'
import { importSession } from '../operate/import_session.js'
import { defaultRetention, prune, pruneArchives, retentionDays } from '../operate/prune.js'
import { quarantineAssign, quarantineList, quarantineRetry, quarantineShow } from '../operate/quarantine.js'
import { recoverSession } from '../operate/recover_session.js'
import { sessionsCount, sessionsList, sessionsShow, usualSearchSeconds } from '../operate/sessions.js'
import { stats } from '../operate/stats.js'
import { status } from '../operate/status.js'
import type { Opened } from '../plan/open_context.js'
import { wishOf } from '../plan/pinned_plan.js'
import { archives, restore } from '../rollback/restore.js'
import { rollback } from '../rollback/rollback.js'
import { testRollbacks } from '../rollback/test_rollbacks.js'
import { mutate } from '../verify/mutants.js'
import { prove } from '../verify/prove.js'
import { listChecks, plainVerifyOptions, verify } from '../verify/verify.js'
import { type RequestShape, shapes, wrongUsage } from './check_request.js'
import type { Verbs } from './opened_project.js'
import type {
  BackfillRequest,
  ConsentRequest,
  CountSessionsRequest,
  MigrateRequest,
  PaceRequest,
  PlanRequest,
  PruneRequest,
  RetryRequest,
  RollbackRequest,
  VerifyRequest,
} from './requests.js'

/** What one call works with. */
export interface Call extends Opened {
  config: Config
  /** Name of the track if it was given, else null. */
  named: string | null
  leaseWaitMs: number
  /** The source of each value, for `doctor`. */
  sources: Table
}

/** One verb: its command, the shape of its request, and its function. */
export interface Verb<Request> {
  command: string
  shape: RequestShape<Request>
  run(call: Call, request: Request): Promise<Report>
}

const verb = <Request>(
  command: string,
  shape: RequestShape<Request>,
  run: Verb<Request>['run'],
): Verb<Request> => ({
  command,
  shape,
  run,
})

/** The request of a verb; empty if it has none. */
type Asked<Name extends keyof Verbs> =
  Parameters<Verbs[Name]> extends [] ? object : NonNullable<Parameters<Verbs[Name]>[0]>

/**
 * All verbs. A request is completed with the command line's defaults. Verbs are not loaded one by one: that
 * would double the number of files in the package, and the command line would open all of them.
 */
export const verbs: { [Name in keyof Verbs]: Verb<Asked<Name>> } = {
  doctor: verb('doctor', {}, async c =>
    doctor(c.ctx, c.project(), { named: c.named, sources: c.sources, consent: consentOf(c) }),
  ),
  status: verb('status', {}, async c => status(c.ctx, await c.track())),
  plan: verb('plan', shapes.plan, callPlan),
  planRollback: verb('plan', shapes.rollback, async (c, request) => {
    const { to, steps, all = to === undefined && steps === undefined } = request
    return dryRunRollback(c.ctx, await c.track(), rollbackWish(c, { ...request, all }))
  }),
  migrate: verb('migrate', shapes.migrate, callMigrate),
  baseline: verb('migrate', shapes.baseline, async (c, { to }) =>
    baseline(c.ctx, await c.track(), to, c.leaseWaitMs),
  ),
  adopt: verb('migrate', shapes.adopt, async (c, { to }) =>
    adopt(c.ctx, await c.track(), { to: to ?? null, leaseWaitMs: c.leaseWaitMs }),
  ),
  repair: verb('repair', shapes.repair, async (c, { migration, as, consent }) =>
    repair(c.ctx, await c.track(), { migration, as, consent: consentOf(c, consent) }),
  ),
  backfill: verb('backfill', shapes.backfill, callBackfill),
  backfillStatus: verb('backfill', {}, async c => backfillStatus(c.ctx, await c.track())),
  pauseBackfills: verb('backfill', {}, async c => pause(c.ctx, await c.track())),
  verify: verb('verify', shapes.verify, callVerify),
  listChecks: verb('verify', {}, async c => listChecks(await c.track())),
  testChecks: verb('verify', shapes.scratch, async (c, request) =>
    mutate(c.ctx, await c.track(), consentOf(c, request.consent)),
  ),
  prove: verb('prove', shapes.prove, async (c, { sample = 5, proof = false, against }) =>
    prove(c.ctx, await c.track(), {
      ...plainVerifyOptions,
      sample,
      accepted: c.config.accepted,
      keep: proof,
      against: against === undefined ? null : await parseProof(against, 'against of prove()'),
    }),
  ),
  rollback: verb('rollback', shapes.rollback, async (c, request) =>
    rollback(c.ctx, await c.track(), rollbackWish(c, request)),
  ),
  testRollbacks: verb('rollback', shapes.scratch, async (c, request) =>
    testRollbacks(c.ctx, await c.track(), consentOf(c, request.consent)),
  ),
  restore: verb('restore', shapes.restore, async (c, { archive, consent }) => {
    const options = { archive, consent: consentOf(c, consent), leaseWaitMs: c.leaseWaitMs }
    return restore(c.ctx, await c.track(), options)
  }),
  listArchives: verb('restore', {}, async c => archives(c.ctx)),
  listQuarantine: verb('quarantine', {}, async c => quarantineList(c.ctx, await c.track())),
  showQuarantined: verb('quarantine', shapes.quarantined, async (c, { id }) =>
    quarantineShow(c.ctx, await c.track(), id),
  ),
  retryQuarantined: verb('quarantine', shapes.retry, async (c, request) =>
    quarantineRetry(c.ctx, await c.track(), deskOptions(c, request)),
  ),
  assignQuarantined: verb('quarantine', shapes.assign, async (c, request) =>
    quarantineAssign(c.ctx, await c.track(), request.workspace, deskOptions(c, request)),
  ),
  sessions: verb('sessions', shapes.sessions, async (c, { limit = 50, allFields = true, ...request }) =>
    sessionsList(c.ctx, await c.track(), { ...sessionsWish(request), limit, allFields }),
  ),
  countSessions: verb('sessions', shapes.countSessions, async (c, request) =>
    sessionsCount(c.ctx, await c.track(), sessionsWish(request)),
  ),
  session: verb('sessions', shapes.session, async (c, { id, limit = 20 }) =>
    sessionsShow(c.ctx, await c.track(), id, { limit, whole: false }),
  ),
  exportSession: verb('sessions', shapes.exportSession, async (c, { id }) =>
    sessionsShow(c.ctx, await c.track(), id, { limit: null, whole: true }),
  ),
  importSession: verb('sessions', shapes.importSession, async (c, { session, consent }) => {
    const from = 'session of importSession()'
    const document = parseSessionDocument(session, from)
    const options = { document, from, consent: consentOf(c, consent), leaseWaitMs: c.leaseWaitMs }
    return importSession(c.ctx, await c.track(), options)
  }),
  recoverSession: verb('sessions', shapes.recoverSession, async (c, { id, consent }) => {
    const options = { id, consent: consentOf(c, consent), leaseWaitMs: c.leaseWaitMs }
    return recoverSession(c.ctx, await c.track(), options)
  }),
  stats: verb('stats', {}, async c => stats(c.ctx, await c.track())),
  prune: verb('prune', shapes.prune, callPrune),
}

async function callPlan(c: Call, request: PlanRequest): Promise<Report> {
  const {
    rehearse = false,
    rehearseUrl = null,
    oldApp = null,
    newApp = null,
    sample = false,
    pin = false,
    visibility = false,
  } = request
  const rehearses = rehearse || rehearseUrl !== null
  for (const [name, text] of Object.entries({ oldApp, newApp }))
    if (text !== null && !rehearses)
      throw wrongUsage('plan()', `\`${name}\` wants \`rehearse\` or \`rehearseUrl\``)
  const options = { ...wishOf(request), consent: consentOf(c, request.consent), pinned: pin, visibility }
  const track = await c.track()
  if (rehearses) return dryRunWithRehearsal(c.ctx, track, options, rehearseUrl, { old: oldApp, new: newApp })
  return (sample ? dryRunWithSample : dryRun)(c.ctx, track, options)
}

async function callMigrate(c: Call, request: MigrateRequest): Promise<Report> {
  const pin = request.pin === undefined ? null : await parsePin(request.pin, 'pin of migrate()')
  const pace = paceOf(request)
  return migrate({ ...c.ctx, cores: pace.workers }, await c.track(), {
    ...wishOf(request, pin),
    ...pace,
    pin,
    consent: consentOf(c, request.consent),
    leaseWaitMs: c.leaseWaitMs,
  })
}

async function callBackfill(c: Call, request: BackfillRequest): Promise<Report> {
  const pace = paceOf(request)
  return backfill({ ...c.ctx, cores: pace.workers }, await c.track(), {
    ...pace,
    unit: request.workspace ?? null,
    maxRows: request.maxRows ?? null,
    resume: request.resume ?? false,
    consent: consentOf(c, request.consent),
    leaseWaitMs: c.leaseWaitMs,
  })
}

async function callVerify(c: Call, request: VerifyRequest): Promise<Report> {
  return verify(c.ctx, await c.track(), {
    only: request.only ?? [],
    failOn: request.failOn ?? 'error',
    sample: request.sample ?? 0,
    deep: request.deep ?? false,
    asUser: request.asUser ?? null,
    accepted: c.config.accepted,
  })
}

/** Longest retention, in days. Nothing is older, and the server's times have a limit. */
const longestRetention = 100_000

async function callPrune(c: Call, request: PruneRequest): Promise<Report> {
  const track = await c.track()
  const { olderThanDays } = request
  const retention =
    olderThanDays || request.archives ? null : await defaultRetention(track, c.config.settings)
  if (!olderThanDays && retention === null)
    throw wrongUsage('prune()', '`olderThanDays` is needed: there is no setting `retention` for it')
  return (request.archives ? pruneArchives : prune)(c.ctx, track, {
    days: Math.min(olderThanDays ?? retentionDays(retention), longestRetention),
    apply: request.apply ?? false,
    how: request.delete ? 'deleted' : request.soft ? 'marked' : 'archived',
    consent: consentOf(c, request.consent),
    leaseWaitMs: c.leaseWaitMs,
  })
}

const rollbackWish = (c: Call, request: RollbackRequest) => ({
  to: request.to ?? null,
  steps: request.steps ?? null,
  all: request.all ?? false,
  consent: consentOf(c, request.consent),
  leaseWaitMs: c.leaseWaitMs,
  guards: { protected: c.config.protected, diskFreeBytes: c.config.diskFreeBytes },
})

const deskOptions = (c: Call, { reason, consent }: RetryRequest) => ({
  reason: reason ?? null,
  consent: consentOf(c, consent),
  leaseWaitMs: c.leaseWaitMs,
})

const sessionsWish = (request: CountSessionsRequest) => ({
  filter: request.filter ?? {},
  since: request.since ?? null,
  search: request.search ?? null,
  withDeleted: request.withDeleted ?? false,
  within: request.within ?? usualSearchSeconds,
})

const paceOf = (request: PaceRequest) => ({
  workers: request.workers ?? 1,
  nice: request.nice ?? 0,
  throttleQuery: request.throttleQuery ?? null,
})

const consentOf = (c: Call, { allow = [], confirm, rows }: ConsentRequest = {}): Consent => ({
  allow: new Set(allow),
  confirm: confirm ?? null,
  rows: rows ?? null,
  from: c.config.consentFrom,
})
