import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect, inside } from '../database/context.js'
import { faultText, isRefused } from '../database/faults.js'
import { savepoint, takenBack, transaction } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { setUsual } from '../database/usual_settings.sql.js'
import { droppedObjects, keysOf } from '../files/dropped_objects.js'
import { parseStatements, withoutByteOrderMark } from '../files/statements.js'
import type { HazardCode } from '../model/codes.js'
import { whyNotRun } from '../model/expected.js'
import { Failure } from '../model/failure.js'
import { bareStep, type Consent, type Plan } from '../model/plan.js'
import { acts, idOf, type Migration, type Track } from '../model/project.js'
import { finding, type Report } from '../model/report.js'
import { describe } from '../plan/describe_steps.js'
import { rehearsedPicture } from '../plan/schema_picture.js'
import { bestEffort } from '../run/best_effort.js'
import { sendText } from '../run/execute_file.sql.js'
import { Tracer } from '../run/lock_trace.js'
import { prepareLedger } from '../run/open_run.js'
import { DestructionGuard, type Permits, permitsOf, sparedBy } from '../run/refuse_destruction.js'
import { type Performed, rehearsalStorage, runSteps, type StepStorage } from '../run/run_steps.js'
import { differences } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { isListing, isOutlook, runCheck, sharedFactsOf } from '../verify/run_check.js'
import type { Application, Applications } from './new_app.js'
import { runApplication } from './old_app.js'
import { refuseForeignCode } from './refuse_foreign_code.js'
import { downTable, judgeApplications, type Rehearsed, wayBack } from './rehearsed.js'
import { whyNotInPlace } from './why_not_in_place.js'

/** Time limit of a statement of a rehearsal on the target, in milliseconds. Its locks are held that long. */
const statementMs = 10_000

/** What is rehearsed besides the plan. */
interface PlaceRehearsal {
  applications: Applications
  /** The tables before the steps, for a picture of them afterwards. */
  schema: Report['schema']
  consent: Consent
}

/**
 * Executes the plan on the target itself, in one transaction that is rolled back. Its locks are real and held
 * to the end, so lock timeouts are short and the report warns. What is not possible there is `not-run` with a
 * reason.
 */
export async function rehearseInPlace(
  ctx: Context,
  track: Track,
  plan: Plan,
  { applications, schema, consent }: PlaceRehearsal,
): Promise<Rehearsed> {
  await using connection = await connect(ctx, 'writer')
  await refuseForeignCode(connection.sql, plan, consent, '--rehearse')
  const described = await describe(plan, connection.sql)
  const rehearsed: Rehearsed = {
    steps: [],
    checks: [],
    tables: [],
    findings: [finding('REHEARSED_HERE', (await inspect(ctx, connection)).info.database)],
    verdict: 'clean',
  }
  const storage = rehearsalStorage(plan.applied.map(idOf))
  await takenBack(transaction(connection.sql), async tx => {
    await setLocal(tx, ctx.lockTimeoutMs, statementMs)
    // files and checks read the tool's own tables, which only the first migrate makes
    await bestEffort(ctx, 'the tables of rethread', () =>
      savepoint(tx)(inner => prepareLedger(inner, ctx.tool)),
    )
    const before = await objects(tx)
    const tryOut = ({ statements }: Application) => runApplication(statements, savepoint(tx))
    const moments = [{ after: 'before', moment: await tryOut(applications.old) }]
    const ran = await runSteps(ctx, {
      track,
      plan: described,
      storage,
      unreached: 'an earlier step was not rehearsed',
      perform: async step => {
        const why = await whyNotInPlace(tx, step.migration)
        return why
          ? { outcome: 'not-run', result: { reason: why.reason }, ends: why.ends }
          : rehearseStep(ctx, tx, step.migration, await permitsOf(track, step, allowed))
      },
    })
    rehearsed.steps = ran.steps
    rehearsed.verdict = ran.verdict
    rehearsed.findings.push(...ran.findings)
    const done = ran.done.map(s => s.migration)
    if (schema && done.length > 0) rehearsed.schema = await rehearsedPicture(tx, schema)
    const lastDone = done.at(-1)?.name
    moments.push({ after: `after ${lastDone ?? 'nothing'}`, moment: await tryOut(applications.old) })
    const judged = judgeApplications(applications, {
      moments,
      newMoment: await tryOut(applications.new),
      lastDone,
      unreached: ran.steps.filter(s => s.outcome === 'not-run').map(s => s.migration),
    })
    rehearsed.tables.push(...judged.tables)
    rehearsed.findings.push(...judged.findings)
    if (done.length > 0 && ran.verdict === 'clean') {
      const applied = new Set([...plan.applied, ...done].map(m => m.name))
      rehearsed.checks = await checked(ctx, tx, connection, track, applied)
      await back(ctx, tx, { track, done, before, storage }, rehearsed)
    }
  })
  return rehearsed
}

/**
 * Sends the statements of a file one by one, each with its trace; what fails is taken
 * back and ends the rehearsal.
 */
async function rehearseStep(
  ctx: Context,
  tx: Db,
  { file, foreign }: Pick<Migration, 'file' | 'foreign'>,
  permits: Permits,
): Promise<Performed> {
  try {
    const traces = await savepoint(tx)(async inner => {
      if (foreign) await setUsual(inner, 'set local')
      const tracer = new Tracer(inner, ctx.clock)
      const statements = await parseStatements(withoutByteOrderMark(file.text))
      const guard = await DestructionGuard.open(inner, file, statements, permits)
      for (const s of statements)
        await guard.run(s, null, left => tracer.run(left.text, () => sendText(inner, left.text)))
      // rolled back, so that constraints that this file deferred are still deferred in the next one
      await takenBack(savepoint(inner), () => guard.end(statements.at(-1)))
      return tracer.end()
    })
    return { outcome: 'rolled-back', result: { traces } }
  } catch (error) {
    if (error instanceof Failure && error.finding.code === 'DESTROYS_UNARCHIVED')
      return {
        outcome: 'failed',
        result: { reason: 'it would remove what was not allowed by name' },
        // it did no harm in a rehearsal, so it is a warning
        findings: [{ ...error.finding, level: 'warn' }],
        ends: true,
      }
    if (!isRefused(error)) throw error
    return { outcome: 'failed', result: { reason: faultText(error) }, ends: true }
  }
}

/** Consent for everything that the plan names: what a run with it may delete. */
const allowed = { allow: new Set<HazardCode>(['DELETES_DATA']), confirm: null }

/**
 * What a rollback may delete: everything that its statements name. A run archives it first; a rehearsal does
 * not.
 */
async function archivable(track: Track, m: Migration): Promise<Permits> {
  const objects = (await parseStatements(m.rollback!.file.text)).flatMap(droppedObjects)
  return {
    keys: new Set(objects.flatMap(keysOf)),
    spared: await sparedBy(track.migrations, objects),
    everything: false,
    wanted: 'archive',
  }
}

/** All checks, as they would find the database after the plan. */
async function checked(
  ctx: Context,
  tx: Db,
  connection: Connection,
  track: Track,
  applied: ReadonlySet<string>,
): Promise<Report['checks']> {
  const around = { ...(await sharedFactsOf(track)), track, deep: false, scope: savepoint(tx) }
  const results: Report['checks'] = []
  for (const check of track.checks) {
    if (isOutlook(check) || isListing(check) || check.deep) continue
    // a check that acts would only report that it does not apply yet
    if (acts(check) && whyNotRun(check, applied) !== null) continue
    results.push((await runCheck(ctx, inside(connection, tx), check, applied, around)).result)
  }
  return results
}

/** The rehearsed steps, to be rolled back by their files. */
interface WayBack {
  track: Track
  done: Migration[]
  /** The schema before the first step. */
  before: ObjectRow[]
  storage: StepStorage
}

/** Runs the rollbacks in the same transaction and compares the schema with that before the first step. */
async function back(
  ctx: Context,
  tx: Db,
  { track, done, before, storage }: WayBack,
  rehearsed: Rehearsed,
): Promise<void> {
  const steps = [...done]
    .reverse()
    .filter(m => m.rollback)
    .map(m => bareStep(m, 'down'))
  const ran = await runSteps(ctx, {
    track,
    plan: { track: track.name, steps, held: [], applied: done, findings: [] },
    storage,
    perform: async ({ migration: m }) =>
      rehearseStep(ctx, tx, { file: m.rollback!.file, foreign: m.foreign }, await archivable(track, m)),
  })
  if (ran.verdict !== 'clean') rehearsed.verdict = ran.verdict
  rehearsed.findings.push(...ran.findings)
  const reached = ran.steps.filter(s => s.outcome !== 'not-run')
  rehearsed.tables.push(downTable(reached))
  const failed = reached.find(s => s.outcome === 'failed')
  if (failed)
    rehearsed.findings.push(
      finding('REHEARSAL_STUCK', failed.migration, { reason: failed.reason ?? failed.outcome }),
    )
  else if (ran.verdict === 'clean')
    rehearsed.findings.push(
      wayBack('this database', 'target', done.length, differences(before, await objects(tx))),
    )
}
