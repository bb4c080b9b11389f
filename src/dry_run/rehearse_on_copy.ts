import { type Address, readAddress } from '../database/address.js'
import { type Context, connect } from '../database/context.js'
import { transaction } from '../database/scopes.js'
import type { Statement } from '../files/statements.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { hazards } from '../model/codes.js'
import { UsageError } from '../model/failure.js'
import type { Consent, Plan } from '../model/plan.js'
import { idOf, type Migration, phases, type Track } from '../model/project.js'
import { type Finding, finding, isSevere, type Report, type StepResult } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import type { PlanOptions } from '../plan/make_plan.js'
import { rehearsedPicture } from '../plan/schema_picture.js'
import { rollback } from '../rollback/rollback.js'
import { differences } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import type { DryRunOptions } from './foreseen_run.js'
import type { Applications } from './new_app.js'
import { type Moment, runApplication } from './old_app.js'
import { refuseForeignCode } from './refuse_foreign_code.js'
import { downTable, judgeApplications, type Rehearsed, wayBack } from './rehearsed.js'
import { type VisibilityWatch, watchVisibility } from './visibility_on_copy.js'

/**
 * Hazards that are allowed on a copy, because it has no application. Code of other owners could harm its
 * server.
 */
const everything = Object.keys(hazards).filter(code => code !== 'RUNS_FOREIGN_CODE')

/** The options of a rehearsal, and the copy. */
interface CopyRehearsal {
  options: DryRunOptions
  plan: Plan
  /** URL of the copy. */
  url: string
  applications: Applications
  /** Whether to examine who sees which rows, before and after the steps that change it. */
  visibility: boolean
  /** The tables before the steps, for a picture of them afterwards. */
  schema: Report['schema']
}

/**
 * Executes the plan on a copy that the person names, with every lock, rewrite, row and byte of WAL noted;
 * verifies it; rolls it back in the same way; and compares the schema with the start.
 */
export async function rehearseOnCopy(
  ctx: Context,
  track: Track,
  rehearsal: CopyRehearsal,
): Promise<Rehearsed> {
  const { options, plan, url, applications, visibility, schema } = rehearsal
  const { database } = addressOfCopy(ctx, url)
  const { copy, withTraces } = tracedCopy(ctx, url)
  await refuseOnCopy(copy, plan, options.consent)
  const watch = visibility ? await watchVisibility(copy, track, plan) : null
  const { before, applied } = await startOf(copy, track, options)
  // rows are counted again where the run stops on the way: a copy has none to lose
  const consent = {
    allow: new Set([...everything, ...options.consent.allow]),
    confirm: database,
    rows: Number.MAX_SAFE_INTEGER,
  }
  const { played, moments } = await playUp(copy, track, rehearsal, { consent, watch })
  const steps = withTraces(
    played.flatMap(r => r.steps.filter(s => s.outcome !== 'not-run' || r === played.at(-1))),
  )
  const done = steps.filter(s => s.outcome === 'done').map(s => s.migration)
  const picture = schema && done.length > 0 ? await pictureOf(copy, schema) : undefined
  const newMoment = await runOn(copy, applications.new.statements)
  const { checks } = await verify(copy, track, plainVerifyOptions)
  const down = await playDown(copy, track, applied, consent)
  const judged = judgeApplications(applications, {
    moments,
    newMoment,
    lastDone: done.at(-1),
    unreached: steps.filter(s => s.outcome !== 'done').map(s => s.migration),
  })
  const seen = watch?.seen()
  return {
    steps,
    checks,
    tables: [downTable(withTraces(down.steps)), ...judged.tables, ...(seen?.tables ?? [])],
    findings: [
      ...elsewhere(database, applied, plan),
      ...stoppingFindings(played),
      ...judged.findings,
      ...(seen?.findings ?? []),
      await endOf(copy, { database, before, done: done.length, down }),
    ],
    ...(picture ? { schema: picture } : {}),
    verdict: [...played, down].some(r => r.verdict === 'interrupted') ? 'interrupted' : 'clean',
  }
}

/** The copy, and the steps with what was noted of them since they were asked for last. */
function tracedCopy(ctx: Context, url: string) {
  const traces = new Map<string, StepResult['traces']>()
  const copy: Context = {
    ...ctx,
    url,
    trace: (step, more) => traces.set(step, [...(traces.get(step) ?? []), ...more]),
  }
  const withTraces = (steps: StepResult[]): StepResult[] => {
    const traced = steps.map(s => ({
      ...s,
      traces: traces.get(idOf({ track: s.track, name: s.migration })) ?? [],
    }))
    traces.clear()
    return traced
  }
  return { copy, withTraces }
}

/** Refuses code of others that nobody has allowed to run. */
async function refuseOnCopy(copy: Context, plan: Plan, consent: Consent): Promise<void> {
  await using reader = await connect(copy, 'reader')
  await refuseForeignCode(reader.sql, plan, consent, '--rehearse-url')
}

/** Rolls the copy back to what was applied there. */
const playDown = (copy: Context, track: Track, applied: string[], consent: Consent): Promise<Report> =>
  rollback(copy, track, {
    to: applied.at(-1)?.split('/')[1] ?? null,
    steps: null,
    all: applied.length === 0,
    consent,
    leaseWaitMs: 0,
  })

/** That the copy was not where the target is. */
const elsewhere = (database: string, applied: string[], plan: Plan): Finding[] =>
  applied.join() === plan.applied.map(idOf).join()
    ? []
    : [finding('REHEARSED_ELSEWHERE', database, { applied: applied.length, target: plan.applied.length })]

/** What stopped the copy; it has failed nobody. */
const stoppingFindings = (played: Report[]): Finding[] =>
  played
    .flatMap(r => r.findings)
    .filter(isSevere)
    .map(f => ({ ...f, level: 'warn' as const }))

/** What was played on a copy, up and down. */
interface PlayedOnCopy {
  database: string
  /** The schema before the first step. */
  before: ObjectRow[]
  /** How many steps were done. */
  done: number
  down: Report
}

/** Whether the way back got through, and has left the schema as it was. */
async function endOf(copy: Context, { database, before, done, down }: PlayedOnCopy): Promise<Finding> {
  if (down.verdict !== 'clean') {
    const stopped = down.findings.find(f => f.level !== 'info' && f.level !== 'warn')
    return finding('REHEARSAL_STUCK', database, { reason: stopped?.code ?? down.verdict })
  }
  await using connection = await connect(copy, 'reader')
  return wayBack(database, 'copy', done, differences(before, await objects(connection.sql)))
}

/** The address of the copy. Throws UsageError if it is the target itself. */
function addressOfCopy(ctx: Context, url: string): Address {
  const here = readAddress(ctx.url)
  const there = readAddress(url)
  if (here.host === there.host && here.port === there.port && here.database === there.database)
    throw new UsageError(
      '--rehearse-url',
      'it names the target itself; name a copy, or leave it out to rehearse in one transaction that is rolled back',
    )
  return there
}

/** The schema of the copy, and the migrations that are applied there. */
async function startOf(
  copy: Context,
  track: Track,
  options: PlanOptions,
): Promise<{ before: ObjectRow[]; applied: string[] }> {
  await using connection = await connect(copy, 'reader')
  const before = await objects(connection.sql)
  return { before, applied: (await readHistory(connection, track, options)).plan.applied.map(idOf) }
}

/**
 * Applies the plan in parts, and runs the old application's statements before the first part and after each.
 */
async function playUp(
  copy: Context,
  track: Track,
  { options, plan, applications }: CopyRehearsal,
  { consent, watch }: { consent: Consent; watch: VisibilityWatch | null },
): Promise<{ played: Report[]; moments: { after: string; moment: Moment }[] }> {
  const { statements } = applications.old
  const moments = [{ after: 'before', moment: await runOn(copy, statements) }]
  const played: Report[] = []
  const stops = stopsOf(plan, options, statements.length > 0, watch?.migrations ?? [])
  for (const { looks, ...stop } of stops) {
    const part = await migrate(copy, track, {
      ...bareMigrateOptions,
      ...options,
      ...stop,
      consent,
      leaseWaitMs: 0,
    })
    played.push(part)
    const isClean = part.verdict === 'clean'
    if (looks && isClean) await watch?.look(stop.to)
    else {
      const after = `after ${stop.phase ?? 'the bare migrate'}`
      moments.push({ after, moment: await runOn(copy, statements) })
    }
    if (!isClean) break
  }
  return { played, moments }
}

async function pictureOf(copy: Context, schema: NonNullable<Report['schema']>): Promise<Report['schema']> {
  await using connection = await connect(copy, 'reader')
  return await rehearsedPicture(connection.sql, schema)
}

/**
 * Where the run on the copy pauses: after each phase if an old application is tried, and after each migration
 * that changes visibility.
 */
function stopsOf(
  plan: Plan,
  { to, phase }: PlanOptions,
  phaseByPhase: boolean,
  migrations: string[],
): (Pick<PlanOptions, 'to' | 'phase'> & { looks: boolean })[] {
  const watched = plan.steps.map(s => s.migration).filter(m => migrations.includes(m.name))
  const ends = phaseByPhase
    ? [...phases.slice(0, 2).filter(p => phase === null || phases.indexOf(p) < phases.indexOf(phase)), phase]
    : [phase]
  const endOf = (m: Migration) =>
    ends.findIndex((end, i) => i === ends.length - 1 || phases.indexOf(m.phase) <= phases.indexOf(end!))
  return ends.flatMap((end, i) => [
    ...watched.filter(m => endOf(m) === i).map(m => ({ to: m.name, phase, looks: true })),
    { to, phase: end, looks: false },
  ])
}

/** Runs an application's statements on the copy, in a transaction that is rolled back. */
async function runOn(copy: Context, statements: Statement[]): Promise<Moment> {
  if (statements.length === 0) return new Map()
  await using connection = await connect(copy, 'probe')
  return await runApplication(statements, transaction(connection.sql))
}
