import { recount } from '../backfill/recount.js'
import { relationFacts } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { today } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import type { Scope } from '../database/scopes.js'
import { inspect, judgeServer } from '../database/server.js'
import { whyNotRun } from '../model/expected.js'
import { Failure, Failures, UsageError } from '../model/failure.js'
import { acts, type Check, type Track } from '../model/project.js'
import {
  type CheckResult,
  counts,
  emptyReport,
  type Finding,
  finding,
  interrupted,
  type Probed,
  type Report,
  verdictOf,
} from '../model/report.js'
import { nearest } from '../model/similar.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions } from '../plan/make_plan.js'
import { unverifiedIsolation } from './isolation.js'
import { markPreExisting, preExisting } from './pre_existing.js'
import { probing } from './probes.js'
import { rowsSeenBy, sampleMatrix } from './real_users.js'
import { requestedChecks } from './requested_checks.js'
import {
  type Checked,
  checkedResult,
  resultBase,
  runCheck,
  type SharedFacts,
  sharedFactsOf,
} from './run_check.js'

/** A finding that is accepted in the configuration. */
interface Acceptance {
  /** Key of the finding: `<track>/<check>/<object>`. */
  key: string
  reason: string
  /** Last day of the acceptance, such as 2026-12-31. */
  until: string
}

/** Options of `verify`. */
export interface VerifyOptions {
  /** Names of checks; empty for all. */
  only: string[]
  failOn: 'warn' | 'error'
  /** How many real users to compare with the track's rule; 0 for none. */
  sample: number
  /** Whether to count and hash the results of backfills again. */
  deep: boolean
  /** A user whose visible rows are shown, else null. */
  asUser: string | null
  accepted: Acceptance[]
}

/** The default options. */
export const plainVerifyOptions: VerifyOptions = {
  only: [],
  failOn: 'error',
  sample: 0,
  deep: false,
  asUser: null,
  accepted: [],
}

/**
 * Runs a track's checks. Checks that only read run without row security, each in its own read-only
 * transaction. Checks that act run as their personas. All transactions are rolled back.
 */
export async function verify(ctx: Context, track: Track, options: VerifyOptions): Promise<Report> {
  refuseUnknownChecks(track, options.only)
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  const report = emptyReport('verify', target.info)
  report.findings.push(...judgeServer(target, false))
  const { history, plan } = await readHistory(connection, track, barePlanOptions)
  const applied = new Set(history.applied.keys())
  report.findings.push(...plan.findings.filter(isFailedStep))
  const chosen = track.checks.filter(c =>
    options.only.length === 0
      ? c.kind !== 'outlook' && c.kind !== 'account' && (options.deep || !c.deep)
      : options.only.includes(c.name),
  )
  const verifying = { ctx, connection, track, options, applied }
  const { ran, tables } = await runAll(verifying, chosen)
  if (applied.size > 0) await reportHiddenRows(connection, tables, report)
  const checked = chosen.flatMap(check => ran.get(check) ?? [])
  await markPreExisting(connection.sql, track, checked)
  for (const one of [...checked, preExisting(track, checked)]) add(report, one)
  if (!ctx.signal.aborted) await runRequestedExtras(verifying, report)
  accept(report, options.accepted, await today(connection.sql))
  if (applied.size > 0) report.findings.push(...unverifiedIsolation(track, applied, report.checks))
  judgeChecks(report, track, applied.size, options)
  // a verification that was stopped early is never clean
  return ctx.signal.aborted ? interrupted(report, track.name) : report
}

/** What is verified, and how. */
interface Verifying {
  ctx: Context
  connection: Connection
  track: Track
  options: VerifyOptions
  applied: ReadonlySet<string>
}

/**
 * Runs checks in parallel on two sessions: those that read on the given one, those that act on another.
 * Shared checks come last, because they need the track's tables, for which all files are parsed meanwhile.
 */
async function runAll(
  { ctx, connection, track, options, applied }: Verifying,
  checks: Check[],
): Promise<{ ran: ReadonlyMap<Check, Checked>; tables: string[] }> {
  const ran = new Map<Check, Checked>()
  let begun = 0
  let parsed: Promise<SharedFacts> | null = null
  const facts = () => {
    parsed ??= sharedFactsOf(track)
    return parsed
  }
  const lane = async (some: Check[], scope: Scope | null) => {
    for (const check of some) {
      ctx.emit({ type: 'check', check: check.name, index: ++begun, of: checks.length })
      const known = check.shared ? await facts() : { tables: [], named: [], expected: [] }
      ran.set(
        check,
        await runCheck(ctx, connection, check, applied, { ...known, track, deep: options.deep, scope }),
      )
    }
  }
  const looking = checks.filter(c => !acts(c))
  const acting = async (some: Check[]) => {
    if (some.length === 0) return
    await using probe = await connect(ctx, 'probe')
    await lane(some, probing(probe))
  }
  const lanes = await Promise.allSettled([
    lane([...looking.filter(c => !c.shared), ...looking.filter(c => c.shared)], null),
    acting(checks.filter(acts)),
  ])
  for (const l of lanes) if (l.status === 'rejected') throw l.reason
  return { ran, tables: (await facts()).tables }
}

function add(report: Report, { result, tables, findings }: Partial<Checked>): void {
  if (result) report.checks.push(result)
  report.tables.push(...(tables ?? []))
  report.findings.push(...(findings ?? []))
}

/** Reports tables whose rows row security may hide from the verifying role. Nothing is verified then. */
async function reportHiddenRows(connection: Connection, tables: string[], report: Report): Promise<void> {
  for (const t of await relationFacts(connection.sql, tables))
    if (t.filtered)
      report.findings.push(
        finding('ROWS_HIDDEN', t.name, { owner: t.owner, forced: t.forced, role: t.role }, 'error'),
      )
}

/** The track's access file, once the migration that it requires is applied. */
export const accessOf = (track: Track, applied: ReadonlySet<string>): Check | undefined =>
  track.checks.find(c => c.kind === 'access' && whyNotRun(c, applied) === null)

/** How many users a sample has where a person only names the check. */
const namedSample = 5

/** Work that is only done when it is requested. */
async function runRequestedExtras(
  { ctx, connection, track, options, applied }: Verifying,
  report: Report,
): Promise<void> {
  const access = accessOf(track, applied)
  const isNamed = options.only.includes('real_persons')
  const sample = options.sample === 0 && isNamed ? namedSample : options.sample
  if ((sample > 0 || options.asUser !== null) && !access) {
    const later = track.checks.find(c => c.kind === 'access')?.after ?? null
    throw new Failure('NO_ACCESS_FILE', track.name, { after: later })
  }
  const asked = async (check: keyof typeof requestedChecks, work: () => Promise<Probed>) => {
    const { title, level } = requestedChecks[check]
    const start = ctx.clock.now()
    const base = resultBase({ track: track.name, name: check, title, level, fix: null })
    add(report, checkedResult(base, await work(), Math.round(ctx.clock.now() - start)))
  }
  if (sample > 0) await asked('real_persons', () => sampleMatrix(ctx, track, access!, sample))
  if (options.asUser !== null) report.tables.push(await rowsSeenBy(ctx, track, access!, options.asUser))
  if (options.only.length === 0 ? options.deep : options.only.includes('same_as_backfilled'))
    await asked('same_as_backfilled', () => recount(ctx, connection, track))
}

/** Throws Failures with each name of `--only` that is no check. */
function refuseUnknownChecks(track: Track, only: string[]): void {
  const known = [...track.checks.map(c => c.name), ...Object.keys(requestedChecks)]
  const wrong = only
    .filter(name => !known.includes(name))
    .map(name => {
      const meant = nearest(name, known)
      const right = { known, meant: meant && `--only ${meant}` }
      return new UsageError(`--only ${name}`, `track ${track.name} has no such check`, right).finding
    })
  if (wrong.length > 0) throw new Failures(wrong)
}

/** Marks findings that are accepted and whose acceptance has not expired. */
function accept(report: Report, accepted: Acceptance[], day: string): void {
  const used = new Set<string>()
  for (const check of report.checks)
    for (const found of check.found) {
      const match = accepted.find(a => a.key === found.key)
      if (!match) continue
      used.add(match.key)
      if (match.until >= day) found.accepted = `${match.reason} (until ${match.until})`
      else
        report.findings.push(
          finding('ACCEPTANCE_OVER', match.key, { until: match.until, reason: match.reason }),
        )
    }
  for (const a of accepted)
    if (!used.has(a.key) && report.checks.some(c => a.key.startsWith(`${c.track}/${c.check}/`)))
      report.findings.push(finding('ACCEPTANCE_UNUSED', a.key, { until: a.until }))
}

/**
 * A step that failed and was not run again. No check looks for what it would have done. Failed steps of a
 * rollback do not count: the checks examine what still exists.
 */
const isFailedStep = (f: Finding): boolean =>
  f.code === 'UNFINISHED' && f.facts.outcome === 'failed' && f.facts.direction === 'up'

/** True if a check found something of at least this level that is not accepted. */
const isLoud = (c: CheckResult, failOn: 'warn' | 'error'): boolean =>
  c.outcome === 'found' &&
  (c.level === 'error' || (c.level === 'warn' && failOn === 'warn')) &&
  (counts(c) || (failOn === 'warn' && c.found.some(f => f.accepted === null)))

function judgeChecks(report: Report, track: Track, applied: number, options: VerifyOptions): void {
  // a track without applied migrations never verifies clean
  if (applied === 0) report.findings.push(finding('NOTHING_APPLIED', track.name))
  const ran = report.checks.filter(c => c.outcome !== 'skipped').length
  if (ran === 0 && applied > 0) report.findings.push(finding('NO_CHECKS_RUN', track.name))
  for (const c of report.checks.filter(c => c.outcome === 'failed'))
    report.findings.push(finding('CHECK_FAILED', c.check, { reason: c.reason ?? c.outcome }))
  // a check that could not act, or a policy that is evaluated per row, is never clean
  const unproven = report.findings.some(f => f.code === 'PROBE_SKIPPED' || isFailedStep(f))
  const costly =
    options.failOn === 'warn' &&
    report.findings.some(f => f.code === 'POLICY_PER_ROW' || f.code === 'POLICY_SCANS')
  if (report.checks.some(c => isLoud(c, options.failOn)) || applied === 0 || ran === 0 || unproven || costly)
    report.verdict = 'attention'
  report.verdict = verdictOf(report)
}

/** The checks of a track, without running them. */
export function listChecks(track: Track): Report {
  const rows = track.checks.map(c => [c.name, c.title, c.kind, c.level, c.after, c.gate])
  return {
    ...emptyReport('verify'),
    tables: [
      {
        title: `Checks of ${track.name}`,
        columns: ['check', 'title', 'kind', 'level', 'after', 'gate of'],
        rows,
      },
    ],
  }
}
