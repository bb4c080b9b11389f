import { recount } from '../backfill/recount.js'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect, inside } from '../database/context.js'
import { faultText, isRefused, serverFault } from '../database/faults.js'
import { savepoint, takenBack, transaction } from '../database/scopes.js'
import { inspect } from '../database/server.js'
import type { Db } from '../database/types.js'
import { requireTrackInfo } from '../files/track_info.js'
import { objectsOf, tablesNamed } from '../files/track_objects.js'
import { expectedNow } from '../model/expected.js'
import { Failure } from '../model/failure.js'
import type { Consent } from '../model/plan.js'
import { acts, type Check, type Track } from '../model/project.js'
import {
  emptyReport,
  type Finding,
  finding,
  interrupted,
  type Report,
  type Table,
  verdictOf,
} from '../model/report.js'
import { wants } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions } from '../plan/make_plan.js'
import { type Mutant, mutantsOf, mutateBy } from './mutants.sql.js'
import { isListing, isOutlook, runCheck, type SharedFacts, sharedFactsOf, whySkipped } from './run_check.js'

/** A change that a check must notice, and the checks that noticed it. */
interface MutantResult {
  mutant: Mutant
  caughtBy: string[]
  /** Why the server refused the mutant; null if it was applied. */
  refusal: string | null
}

/** The name of what counts again what the backfills did. */
const deepCheck = 'same_as_backfilled (--deep)'

/** One run of the checks: what each reported, if anything, and why a mutant was refused. */
interface Woken {
  said: Map<string, string>
  refusal: string | null
}

/**
 * Verifies the verifier: each policy, index, constraint, trigger and grant of the track is taken away, row
 * security switched off, a row moved, lost or reordered, one at a time inside a transaction that is
 * rolled back, and the checks are run. A mutant that no check notices survives; a check that no mutant
 * wakes is not to be trusted. Once a mutant has woken it, a check is left out where another one has noticed
 * the mutant.
 *
 * It takes ACCESS EXCLUSIVE locks for minutes: for a scratch database, which is why its name must be given.
 */
export async function mutate(ctx: Context, track: Track, consent: Consent): Promise<Report> {
  await using connection = await connect(ctx, 'probe')
  const target = await inspect(ctx, connection)
  const report = emptyReport('verify', target.info)
  const { history } = await readHistory(connection, track, barePlanOptions)
  const applied = new Set(history.applied.keys())
  if (applied.size === 0) {
    report.findings.push(finding('NOTHING_APPLIED', track.name, {}, 'error'))
    return { ...report, verdict: 'failed' }
  }
  const { findings, refused } = await askForMutants(connection, track, consent, target.info.database)
  report.findings.push(...findings)
  if (refused) return { ...report, verdict: verdictOf(report) }
  const scene = await sceneOf(ctx, connection, track, applied)
  const tried = await tryMutants(scene, await mutantsIn(scene))
  report.tables.push(tableOfMutants(tried), tableOfChecks(scene.checks, tried))
  report.findings.push(...survivors(tried), ...refusedMutants(scene.checks, tried))
  const caught = tried.filter(t => t.caughtBy.length > 0 || t.refusal !== null).length
  report.findings.push(finding('MUTANTS', track.name, { caught, of: tried.length }))
  if (caught < tried.length) report.verdict = 'attention'
  report.verdict = verdictOf(report)
  return ctx.signal.aborted ? interrupted(report, track.name) : report
}

/** Whether somebody has named the database and allowed what mutants run of others' code. */
async function askForMutants(
  { sql }: Connection,
  track: Track,
  consent: Consent,
  database: string,
): Promise<{ findings: Finding[]; refused: boolean }> {
  const { hazards, findings } = await judgeForeignCode(sql, await tablesNamed(track))
  const wanted = wants(track.name, consent, {
    hazards: [...new Set(hazards.map(h => h.code))],
    database,
    because: [
      ...hazards.map(h => `${h.code}: ${h.detail}`),
      'every mutant takes ACCESS EXCLUSIVE locks while all checks run: meant for a scratch database, such as that of `rethread demo --keep`',
    ],
  })
  return { findings: [...findings, ...wanted], refused: wanted.length > 0 }
}

/** What every mutant is tried in: the checks that mean anything at what is applied. */
interface Scene {
  ctx: Context
  connection: Connection
  track: Track
  facts: SharedFacts
  checks: Check[]
  applied: ReadonlySet<string>
}

/** The checks that mean anything at what is applied, those that act as somebody last. */
async function sceneOf(
  ctx: Context,
  connection: Connection,
  track: Track,
  applied: ReadonlySet<string>,
): Promise<Scene> {
  const facts = await sharedFactsOf(track)
  const all = track.checks.filter(
    c => !isOutlook(c) && !isListing(c) && whySkipped(c, facts.expected, applied) === null,
  )
  return {
    ctx,
    connection,
    track,
    facts,
    checks: [...all.filter(c => !acts(c)), ...all.filter(acts)],
    applied,
  }
}

/** What is taken away of what a track has made, and what its checks name themselves. */
async function mutantsIn({ connection, track, facts, checks, applied }: Scene): Promise<Mutant[]> {
  const info = await requireTrackInfo(track).catch(error => {
    if (error instanceof Failure && error.finding.code === 'NO_TRACK_INFO') return null
    throw error
  })
  const functions = expectedNow(facts.expected, applied).flatMap(e => Object.keys(e.functions ?? {}))
  return [
    ...(await mutantsOf(connection.sql, await objectsOf(track), functions, info)),
    ...checks.flatMap(c => (c.mutant === null ? [] : [{ name: `what ${c.name} names`, sql: c.mutant }])),
  ]
}

/** Tries one mutant after the other, until somebody stops it. */
async function tryMutants(scene: Scene, mutants: Mutant[]): Promise<MutantResult[]> {
  const { signal, emit } = scene.ctx
  const tried: MutantResult[] = []
  // what checks find before anything was broken is not what they notice
  const before = await wakeChecks(scene, null, new Set(), () => false)
  const notices = ([name, said]: [string, string]) => before.said.get(name) !== said
  const woken = new Set<string>()
  for (const [i, mutant] of mutants.entries()) {
    if (signal.aborted) break
    emit({ type: 'check', check: mutant.name, index: i + 1, of: mutants.length })
    const after = await wakeChecks(scene, mutant, woken, said => [...said].some(notices))
    // checks that were skipped have noticed nothing
    if (signal.aborted) break
    const caughtBy = [...after.said].filter(notices).map(([name]) => name)
    for (const name of caughtBy) woken.add(name)
    tried.push({ mutant, caughtBy, refusal: after.refusal })
  }
  return tried
}

const survivors = (tried: MutantResult[]): Finding[] =>
  tried
    .filter(t => t.caughtBy.length === 0 && t.refusal === null)
    .map(({ mutant }) => finding('MUTANT_SURVIVED', mutant.name, { sql: mutant.sql }))

/** The database may refuse what a check is there to notice; that check was not tried then. */
const refusedMutants = (checks: Check[], tried: MutantResult[]): Finding[] =>
  checks.flatMap(check => {
    const own = tried.find(t => t.mutant.sql === check.mutant)
    if (!own?.refusal || tried.some(t => t.caughtBy.includes(check.name))) return []
    return [finding('MUTANT_REFUSED', own.mutant.name, { reason: own.refusal, sql: own.mutant.sql })]
  })

/**
 * Applies one mutant, runs the checks that no mutant has woken yet, then the others until it is noticed, and
 * rolls back. Returns what each check reported.
 */
function wakeChecks(
  scene: Scene,
  mutant: Mutant | null,
  woken: ReadonlySet<string>,
  isNoticed: (said: ReadonlyMap<string, string>) => boolean,
): Promise<Woken> {
  const { ctx, connection, track, facts, checks, applied } = scene
  return takenBack(transaction(connection.sql), async tx => {
    const said = new Map<string, string>()
    await setLocal(tx, 10_000, 60_000)
    const refusal = mutant && (await refusalOf(tx, mutant))
    if (refusal !== null) return { said, refusal }
    for (const check of [
      ...checks.filter(c => !woken.has(c.name)),
      ...checks.filter(c => woken.has(c.name)),
    ]) {
      if (woken.has(check.name) && isNoticed(said)) break
      const found = await resultText(tx, async within => {
        const around = { ...facts, track, deep: false, scope: savepoint(within), foundOnly: true }
        const { result, findings } = await runCheck(ctx, inside(connection, within), check, applied, around)
        return result.outcome === 'pass' ? findings : [...result.found, result.reason, ...findings]
      })
      if (found !== '[]') said.set(check.name, found)
    }
    if (woken.has(deepCheck) && isNoticed(said)) return { said, refusal }
    const recounted = await recount(ctx, inside(connection, tx), track)
    if (recounted.found.length > 0) said.set(deepCheck, JSON.stringify(recounted.found))
    return { said, refusal }
  })
}

/** Runs work in a savepoint that is rolled back. Returns its result as text, or the server's error. */
async function resultText(tx: Db, work: (tx: Db) => Promise<unknown>): Promise<string> {
  try {
    return JSON.stringify(await takenBack(savepoint(tx), work))
  } catch (error) {
    if (!isRefused(error)) throw error
    return serverFault(error)!.message
  }
}

/** Applies the mutant. Returns the server's error if it refuses, else null. */
async function refusalOf(tx: Db, mutant: Mutant): Promise<string | null> {
  try {
    await savepoint(tx)(nested => mutateBy(nested, mutant.sql))
    return null
  } catch (error) {
    if (!isRefused(error)) throw error
    return faultText(error)
  }
}

const tableOfMutants = (tried: MutantResult[]): Table => ({
  title: 'Mutants',
  columns: ['mutant', 'caught by'],
  rows: tried.map(t => [
    t.mutant.name,
    t.refusal === null ? t.caughtBy.join(', ') || 'nobody' : `the database itself (${t.refusal})`,
  ]),
})

function tableOfChecks(checks: Check[], tried: MutantResult[]): Table {
  const woken = (name: string) => tried.filter(t => t.caughtBy.includes(name)).length
  return {
    title: 'Checks',
    columns: ['check', 'mutants it caught', 'trusted'],
    rows: checks.map(c => [c.name, woken(c.name), woken(c.name) > 0]),
  }
}
