import { serverFault } from '../db/fault.js'
import { readUrl, type Session } from '../db/session.js'
import { hazards } from '../model/codes.js'
import { Failure } from '../model/failure.js'
import type { Plan } from '../model/plan.js'
import { type Finding, finding, type Report, type StepResult, type Table } from '../model/report.js'
import { idOf, type Migration, phases, type Track } from '../model/workspace.js'
import { objects } from '../sql/fingerprint.js'
import { rowEstimate } from '../sql/probe.js'
import { setLocal } from '../sql/session.js'
import { sendText } from '../sql/step.js'
import type { Db, Root } from '../sql/types.js'
import { savepoint, takenBack, transaction } from '../sql/undo.js'
import { parseStatements, type Statement, withoutByteOrderMark } from '../workspace/statements.js'
import { tablesOf } from '../workspace/tables.js'
import { runCheck } from './check.js'
import { type Context, connect } from './context.js'
import { describe, stepResult } from './describe.js'
import { differences } from './fingerprint.js'
import { look } from './look.js'
import { migrate } from './migrate.js'
import type { Wish } from './plan.js'
import { act } from './probe.js'
import { compareMoments, type Moment, replay } from './replay.js'
import { rollback } from './rollback.js'
import { inspect } from './target.js'
import { Tracer } from './trace.js'
import { plainWish, verify } from './verify.js'

/** Longest statement of a rehearsal on the target itself, in milliseconds: it holds its locks that long. */
const statementMs = 10_000

/** What a rehearsal adds to a plan's report. */
export interface Rehearsed {
  steps: StepResult[]
  checks: Report['checks']
  tables: Table[]
  findings: Finding[]
}

/** Every hazard by name: a copy has no application to harm. */
const everything: ReadonlySet<string> = new Set(Object.keys(hazards))

/**
 * Executes the plan on a copy that the person names, with every lock, rewrite, row and byte of WAL noted; verifies it;
 * rolls it back in the same way; and compares the schema with the start.
 */
export async function rehearseOnCopy(
  ctx: Context,
  track: Track,
  wish: Wish,
  plan: Plan,
  url: string,
  oldApp: Statement[],
): Promise<Rehearsed> {
  const here = readUrl(ctx.url)
  const there = readUrl(url)
  if (here.host === there.host && here.port === there.port && here.database === there.database)
    throw new Failure('USAGE', '--rehearse-url', {
      reason:
        'it names the target itself; name a copy, or leave it out to rehearse in one transaction that is rolled back',
    })
  const traces = new Map<string, StepResult['traces']>()
  const copy: Context = {
    ...ctx,
    url,
    trace: (step, traced) => traces.set(step, [...(traces.get(step) ?? []), ...traced]),
  }
  const findings: Finding[] = []
  let before: Awaited<ReturnType<typeof objects>>
  let applied: string[]
  {
    await using session = await connect(copy, 'reader')
    before = await objects(session.sql)
    applied = (await look(session, track, wish)).plan.applied.map(idOf)
    if (applied.join() !== plan.applied.map(idOf).join())
      findings.push(
        finding('REHEARSED_ELSEWHERE', there.database, {
          applied: applied.length,
          target: plan.applied.length,
        }),
      )
  }
  const consent = { allow: everything, confirm: there.database }
  const moments = [{ after: 'before', moment: await replayOn(copy, oldApp) }]
  // phase by phase where an old application is to be heard after each
  const stops = oldApp.length > 0 ? (['expand', 'backfill', wish.phase] as const) : [wish.phase]
  const played: Report[] = []
  for (const [i, phase] of stops.entries()) {
    const last = i === stops.length - 1
    if (!last && wish.phase !== null && phases.indexOf(phase!) >= phases.indexOf(wish.phase)) continue
    const part = await migrate(copy, track, {
      ...wish,
      phase,
      consent,
      leaseWaitMs: 0,
      workers: 1,
      nice: 0,
      throttleQuery: null,
    })
    played.push(part)
    moments.push({ after: `after ${phase ?? 'the bare migrate'}`, moment: await replayOn(copy, oldApp) })
    if (part.verdict !== 'clean') break
  }
  const up = {
    steps: played.flatMap(r => r.steps.filter(s => s.outcome !== 'not-run' || r === played.at(-1))),
    findings: played.flatMap(r => r.findings),
  }
  const steps = up.steps.map(s => ({ ...s, traces: traces.get(`${s.track}/${s.migration}`) ?? [] }))
  findings.push(
    ...up.findings
      .filter(f => f.level === 'error' || f.level === 'refused')
      .map(f => ({ ...f, level: 'warn' as const })),
  )
  const verified = await verify(copy, track, plainWish)
  traces.clear()
  const down = await rollback(copy, track, {
    to: applied.at(-1)?.split('/')[1] ?? null,
    steps: null,
    all: applied.length === 0,
    consent,
    leaseWaitMs: 0,
  })
  const tables = [downTable(down.steps, traces)]
  if (oldApp.length > 0) {
    const heard = compareMoments(oldApp, moments)
    tables.push(heard.table)
    findings.push(...heard.findings)
  }
  await using session = await connect(copy, 'reader')
  const differing = differences(before, await objects(session.sql))
  findings.push(
    down.verdict !== 'clean'
      ? finding('REHEARSAL_STUCK', there.database, {
          reason: down.findings.find(f => f.level !== 'info' && f.level !== 'warn')?.code ?? down.verdict,
        })
      : differing.length === 0
        ? finding('REHEARSED', there.database, {
            steps: steps.filter(s => s.outcome === 'done').length,
            lastingIn: 'the copy',
          })
        : finding('REHEARSAL_DIFFERS', there.database, { objects: differing.slice(0, 20) }),
  )
  return { steps, checks: verified.checks, tables, findings }
}

/**
 * Executes the plan on the target itself, in one transaction that is rolled back. Its locks are real and are held to the
 * end: short lock time-outs, and a warning. What can't be done there is `not-run` with the reason.
 */
export async function rehearseHere(
  ctx: Context,
  track: Track,
  plan: Plan,
  oldApp: Statement[],
): Promise<Rehearsed> {
  await using session = await connect(ctx, 'writer')
  const described = await describe(plan)
  const steps = described.steps.map(s => stepResult(s, 'not-run', 'an earlier step was not rehearsed'))
  const rehearsed: Rehearsed = {
    steps,
    checks: [],
    tables: [],
    findings: [finding('REHEARSED_HERE', (await inspect(ctx, session)).info.database)],
  }
  await takenBack(transaction(session.sql), async tx => {
    await setLocal(tx, ctx.lockTimeoutMs, statementMs)
    const before = await objects(tx)
    const moments = [{ after: 'before', moment: await replay(oldApp, savepoint(tx)) }]
    const done: Migration[] = []
    for (const [i, step] of described.steps.entries()) {
      const why = await whyNot(tx, step.migration)
      if (why) {
        steps[i] = { ...steps[i]!, reason: why.reason }
        if (why.ends) break
        continue
      }
      steps[i] = await perform(ctx, tx, step.migration.file.text, steps[i]!)
      if (steps[i]!.outcome === 'failed') break
      done.push(step.migration)
    }
    if (oldApp.length > 0) {
      moments.push({
        after: `after ${done.at(-1)?.name ?? 'nothing'}`,
        moment: await replay(oldApp, savepoint(tx)),
      })
      const heard = compareMoments(oldApp, moments)
      rehearsed.tables.push(heard.table)
      rehearsed.findings.push(...heard.findings)
    }
    if (done.length > 0) {
      const applied = new Set([...plan.applied, ...done].map(m => m.name))
      rehearsed.checks = await checked(ctx, tx, session, track, applied)
      await back(ctx, tx, done, before, rehearsed)
    }
  })
  return rehearsed
}

/** Why a step can't be rehearsed inside a transaction on a live target, and whether those after it build on it. */
async function whyNot(tx: Db, m: Migration): Promise<{ reason: string; ends: boolean } | null> {
  if (m.backfill) {
    const rows = await rowEstimate(tx, m.backfill.table)
    return rows > 0
      ? {
          reason: `a backfill of ${rows} rows in one transaction would lock them all; \`plan --sample\` measures batches`,
          ends: true,
        }
      : null
  }
  if (m.transaction !== 'none') return null
  const concurrent = (await parseStatements(m.file.text)).some(s => s.node.concurrent)
  return concurrent
    ? {
        reason: 'an index can’t be built concurrently inside a transaction; a copy can: --rehearse-url',
        ends: false,
      }
    : null
}

/** Sends the statements of a file one by one, each with its trace. */
async function perform(ctx: Context, tx: Db, source: string, step: StepResult): Promise<StepResult> {
  const tracer = new Tracer(tx, ctx.clock)
  const start = ctx.clock.now()
  try {
    await savepoint(tx)(async inner => {
      const own = new Tracer(inner, ctx.clock)
      for (const s of await parseStatements(withoutByteOrderMark(source)))
        await own.run(s.text, () => sendText(inner, s.text))
      tracer.traces.push(...own.traces)
    })
  } catch (error) {
    const fault = serverFault(error)
    if (!fault) throw error
    return { ...step, outcome: 'failed', reason: `${fault.code}: ${fault.message}`, traces: tracer.end() }
  }
  return {
    ...step,
    outcome: 'rolled-back',
    reason: null,
    durationMs: ctx.clock.now() - start,
    traces: tracer.end(),
  }
}

/** All checks, as they would find the database after the plan. */
async function checked(
  ctx: Context,
  tx: Db,
  session: Session,
  track: Track,
  applied: ReadonlySet<string>,
): Promise<Report['checks']> {
  const inside = { ...session, pid: session.pid, lost: false, sql: tx as unknown as Root }
  const tables = await tablesOf(track)
  const results: Report['checks'] = []
  for (const check of track.checks.filter(
    c => !['outlook', 'account', 'listing'].includes(c.kind) && !c.deep,
  )) {
    if (check.kind !== 'access' && check.kind !== 'probe')
      results.push((await runCheck(ctx, inside, check, applied, { track, tables })).result)
    else if (!check.after || applied.has(check.after)) {
      const { result } = await runCheck(ctx, inside, check, applied, {
        track,
        tables,
        act: () => takenBack(savepoint(tx), t => act(t, track, check)),
      })
      results.push(result)
    }
  }
  return results
}

/** The old application's statements on the copy, each in a transaction of its own that is rolled back. */
async function replayOn(copy: Context, statements: Statement[]): Promise<Moment> {
  if (statements.length === 0) return new Map()
  await using session = await connect(copy, 'probe')
  return await replay(statements, transaction(session.sql))
}

/** The way back, in the same transaction, and whether the schema is then as it was. */
async function back(
  ctx: Context,
  tx: Db,
  done: Migration[],
  before: Awaited<ReturnType<typeof objects>>,
  rehearsed: Rehearsed,
): Promise<void> {
  const results: StepResult[] = []
  for (const m of [...done].reverse()) {
    if (!m.rollback) continue
    const step = {
      ...stepResult({ migration: m, direction: 'down', statements: [], hazards: [], resumes: null }),
      traces: [],
    }
    const result = await perform(ctx, tx, m.rollback.file.text, step)
    results.push(result)
    if (result.outcome === 'failed') {
      rehearsed.findings.push(finding('REHEARSAL_STUCK', m.name, { reason: result.reason }))
      break
    }
  }
  rehearsed.tables.push(
    downTable(results, new Map(results.map(r => [`${r.track}/${r.migration}`, r.traces]))),
  )
  const differing = differences(before, await objects(tx))
  if (results.every(r => r.outcome !== 'failed'))
    rehearsed.findings.push(
      differing.length === 0
        ? finding('REHEARSED', 'this database', { steps: done.length, lastingIn: 'nothing' })
        : finding('REHEARSAL_DIFFERS', 'this database', { objects: differing.slice(0, 20) }),
    )
}

function downTable(steps: StepResult[], traces: Map<string, StepResult['traces']>): Table {
  return {
    title: 'The way back, rehearsed',
    columns: ['rollback', 'outcome', 'ms', 'locks'],
    rows: steps.map(s => [
      s.migration,
      s.outcome,
      s.durationMs === null ? null : Math.round(s.durationMs),
      (traces.get(`${s.track}/${s.migration}`) ?? [])
        .flatMap(t => t.locks)
        .filter(l => l.blocks !== 'nothing')
        .map(l => `${l.table} ${l.mode} ${Math.round(l.heldMs ?? 0)} ms`)
        .join(', ') || null,
    ]),
  }
}
