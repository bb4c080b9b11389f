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
import { type Finding, finding, type Report, type StepResult, type Table } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import type { PlanOptions } from '../plan/make_plan.js'
import { rehearsedPicture } from '../plan/schema_picture.js'
import { rollback } from '../rollback/rollback.js'
import { differences } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import { type Applications, judgeNewApp } from './new_app.js'
import { compareMoments, type Moment, runApplication } from './old_app.js'
import type { DryRunOptions } from './plan.js'
import { refuseForeignCode } from './refuse_foreign_code.js'
import { downTable, type Rehearsed, wayBack } from './rehearse_in_place.js'
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
  const traces = new Map<string, StepResult['traces']>()
  const copy: Context = {
    ...ctx,
    url,
    trace: (step, more) => traces.set(step, [...(traces.get(step) ?? []), ...more]),
  }
  const traced = (s: StepResult) => ({
    ...s,
    traces: traces.get(idOf({ track: s.track, name: s.migration })) ?? [],
  })
  {
    await using reader = await connect(copy, 'reader')
    await refuseForeignCode(reader.sql, plan, options.consent, '--rehearse-url')
  }
  const watch = visibility ? await watchVisibility(copy, track, plan) : null
  const { before, applied } = await startOf(copy, track, options)
  // rows are counted again where the run stops on the way: a copy has none to lose
  const consent = {
    allow: new Set([...everything, ...options.consent.allow]),
    confirm: database,
    rows: Number.MAX_SAFE_INTEGER,
  }
  const { played, moments } = await playUp(copy, track, rehearsal, { consent, watch })
  const steps = played
    .flatMap(r => r.steps.filter(s => s.outcome !== 'not-run' || r === played.at(-1)))
    .map(traced)
  const isAnyDone = steps.some(s => s.outcome === 'done')
  const picture = schema && isAnyDone ? await pictureOf(copy, schema) : undefined
  const newMoment = await runOn(copy, applications.new.statements)
  const verified = await verify(copy, track, plainVerifyOptions)
  traces.clear()
  const down = await rollback(copy, track, {
    to: applied.at(-1)?.split('/')[1] ?? null,
    steps: null,
    all: applied.length === 0,
    consent,
    leaseWaitMs: 0,
  })
  const judged = judgeApplications(applications, moments, { moment: newMoment, steps })
  const seen = watch?.seen()
  await using connection = await connect(copy, 'reader')
  const end =
    down.verdict !== 'clean'
      ? finding('REHEARSAL_STUCK', database, {
          reason: down.findings.find(f => f.level !== 'info' && f.level !== 'warn')?.code ?? down.verdict,
        })
      : wayBack(
          database,
          'copy',
          steps.filter(s => s.outcome === 'done').length,
          differences(before, await objects(connection.sql)),
        )
  const elsewhere = applied.join() !== plan.applied.map(idOf).join()
  const numbers = { applied: applied.length, target: plan.applied.length }
  const isInterrupted = [...played, down].some(r => r.verdict === 'interrupted')
  return {
    steps,
    checks: verified.checks,
    tables: [downTable(down.steps.map(traced)), ...judged.tables, ...(seen?.tables ?? [])],
    findings: [
      ...(elsewhere ? [finding('REHEARSED_ELSEWHERE', database, numbers)] : []),
      // what stopped the copy has failed nobody
      ...played
        .flatMap(r => r.findings)
        .filter(f => f.level === 'error' || f.level === 'refused')
        .map(f => ({ ...f, level: 'warn' as const })),
      ...judged.findings,
      ...(seen?.findings ?? []),
      end,
    ],
    ...(picture ? { schema: picture } : {}),
    verdict: isInterrupted ? 'interrupted' : 'clean',
  }
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

/** The findings about the statements of both applications. */
function judgeApplications(
  applications: Applications,
  moments: { after: string; moment: Moment }[],
  { moment, steps }: { moment: Moment; steps: StepResult[] },
): { tables: Table[]; findings: Finding[] } {
  const judged: { table: Table; findings: Finding[] }[] = []
  if (applications.old.statements.length > 0)
    judged.push(compareMoments(applications.old.statements, moments))
  if (applications.new.statements.length > 0) {
    const lastDone = steps.filter(s => s.outcome === 'done').at(-1)?.migration ?? 'nothing'
    const stopped = steps.filter(s => s.outcome !== 'done').map(s => s.migration)
    judged.push(judgeNewApp(applications.new, moment, `after ${lastDone}`, stopped))
  }
  return { tables: judged.map(j => j.table), findings: judged.flatMap(j => j.findings) }
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
