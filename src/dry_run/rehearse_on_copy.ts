import { readAddress } from '../database/address.js'
import { type Context, connect } from '../database/context.js'
import { transaction } from '../database/scopes.js'
import type { Statement } from '../files/statements.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { hazards } from '../model/codes.js'
import { UsageError } from '../model/failure.js'
import type { Plan } from '../model/plan.js'
import { idOf, type Migration, phases, type Track } from '../model/project.js'
import { type Finding, finding, type Report, type StepResult } from '../model/report.js'
import { readHistory } from '../plan/history.js'
import type { PlanOptions } from '../plan/make_plan.js'
import { rehearsedPicture } from '../plan/schema_picture.js'
import { rollback } from '../rollback/rollback.js'
import { differences } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import { type Applications, judgeNewApp } from './new_app.js'
import { compareMoments, type Moment, runApplication } from './old_app.js'
import { downTable, type Rehearsed, wayBack } from './rehearse_in_place.js'
import { watchVisibility } from './visibility_on_copy.js'

/** Every hazard by name: a copy has no application to harm. */
const everything: ReadonlySet<string> = new Set(Object.keys(hazards))

/**
 * Executes the plan on a copy that the person names, with every lock, rewrite, row and byte of WAL noted;
 * verifies it; rolls it back in the same way; and compares the schema with the start.
 */
export async function rehearseOnCopy(
  ctx: Context,
  track: Track,
  options: PlanOptions,
  plan: Plan,
  { url, schema }: { url: string; schema: Report['schema'] },
  { old: oldApp, new: newApp }: Applications,
  visibility = false,
): Promise<Rehearsed> {
  const here = readAddress(ctx.url)
  const there = readAddress(url)
  if (here.host === there.host && here.port === there.port && here.database === there.database)
    throw new UsageError(
      '--rehearse-url',
      'it names the target itself; name a copy, or leave it out to rehearse in one transaction that is rolled back',
    )
  const traces = new Map<string, StepResult['traces']>()
  const copy: Context = {
    ...ctx,
    url,
    trace: (step, more) => traces.set(step, [...(traces.get(step) ?? []), ...more]),
  }
  const findings: Finding[] = []
  const watch = visibility ? await watchVisibility(copy, track, plan) : null
  let before: ObjectRow[]
  let applied: string[]
  {
    await using connection = await connect(copy, 'reader')
    before = await objects(connection.sql)
    applied = (await readHistory(connection, track, options)).plan.applied.map(idOf)
    if (applied.join() !== plan.applied.map(idOf).join())
      findings.push(
        finding('REHEARSED_ELSEWHERE', there.database, {
          applied: applied.length,
          target: plan.applied.length,
        }),
      )
  }
  // rows are counted again where the run stops on the way: a copy has none to lose
  const consent = { allow: everything, confirm: there.database, rows: Number.MAX_SAFE_INTEGER }
  const moments = [{ after: 'before', moment: await runOn(copy, oldApp.statements) }]
  const played: Report[] = []
  for (const { looks, ...stop } of stopsOf(
    plan,
    options,
    oldApp.statements.length > 0,
    watch?.migrations ?? [],
  )) {
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
    else
      moments.push({
        after: `after ${stop.phase ?? 'the bare migrate'}`,
        moment: await runOn(copy, oldApp.statements),
      })
    if (!isClean) break
  }
  const up = {
    steps: played.flatMap(r => r.steps.filter(s => s.outcome !== 'not-run' || r === played.at(-1))),
    findings: played.flatMap(r => r.findings),
  }
  const traced = (s: StepResult) => ({
    ...s,
    traces: traces.get(idOf({ track: s.track, name: s.migration })) ?? [],
  })
  const steps = up.steps.map(traced)
  findings.push(
    ...up.findings
      .filter(f => f.level === 'error' || f.level === 'refused')
      .map(f => ({ ...f, level: 'warn' as const })),
  )
  const stopped = steps.filter(s => s.outcome !== 'done').map(s => s.migration)
  const lastDone = steps.filter(s => s.outcome === 'done').at(-1)?.migration ?? 'nothing'
  const picture = schema && lastDone !== 'nothing' ? await pictureOf(copy, schema) : undefined
  const newMoment = await runOn(copy, newApp.statements)
  const verified = await verify(copy, track, plainVerifyOptions)
  traces.clear()
  const down = await rollback(copy, track, {
    to: applied.at(-1)?.split('/')[1] ?? null,
    steps: null,
    all: applied.length === 0,
    consent,
    leaseWaitMs: 0,
  })
  const tables = [downTable(down.steps.map(traced))]
  if (oldApp.statements.length > 0) {
    const changes = compareMoments(oldApp.statements, moments)
    tables.push(changes.table)
    findings.push(...changes.findings)
  }
  if (newApp.statements.length > 0) {
    const judged = judgeNewApp(newApp, newMoment, `after ${lastDone}`, stopped)
    tables.push(judged.table)
    findings.push(...judged.findings)
  }
  if (watch) {
    const seen = watch.seen()
    tables.push(...seen.tables)
    findings.push(...seen.findings)
  }
  await using connection = await connect(copy, 'reader')
  findings.push(
    down.verdict !== 'clean'
      ? finding('REHEARSAL_STUCK', there.database, {
          reason: down.findings.find(f => f.level !== 'info' && f.level !== 'warn')?.code ?? down.verdict,
        })
      : wayBack(
          there.database,
          'copy',
          steps.filter(s => s.outcome === 'done').length,
          differences(before, await objects(connection.sql)),
        ),
  )
  const interrupted = [...played, down].some(r => r.verdict === 'interrupted')
  return {
    steps,
    checks: verified.checks,
    tables,
    findings,
    ...(picture ? { schema: picture } : {}),
    verdict: interrupted ? 'interrupted' : 'clean',
  }
}

async function pictureOf(copy: Context, schema: NonNullable<Report['schema']>): Promise<Report['schema']> {
  await using connection = await connect(copy, 'reader')
  return await rehearsedPicture(connection.sql, schema)
}

/**
 * Where the run over the copy stops: phase by phase where an old application is to be tried after each, and
 * after each migration that changes who sees what.
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

/** An application's statements on the copy, in a transaction of their own that is rolled back. */
async function runOn(copy: Context, statements: Statement[]): Promise<Moment> {
  if (statements.length === 0) return new Map()
  await using connection = await connect(copy, 'probe')
  return await runApplication(statements, transaction(connection.sql))
}
