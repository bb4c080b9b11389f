import type { Session } from '../db/session.js'
import type { Consent } from '../model/plan.js'
import {
  emptyReport,
  type Finding,
  finding,
  type Report,
  type StepResult,
  type Table,
} from '../model/report.js'
import type { Track } from '../model/workspace.js'
import { relationFacts } from '../sql/catalog.js'
import { vitals } from '../sql/health.js'
import { holdersOf } from '../sql/locks.js'
import { connected, invalidIndexes } from '../sql/now.js'
import type { Root } from '../sql/types.js'
import { cutBackfill } from '../workspace/cut.js'
import { lint } from '../workspace/lint.js'
import { parseStatements } from '../workspace/statements.js'
import { judgeSettings, readTrackInfo } from '../workspace/track.js'
import { foretell, isOutlook } from './check.js'
import { type Context, connect } from './context.js'
import { describe, stepResult } from './describe.js'
import { estimateBackfills, sampleBackfills } from './estimate.js'
import { driftOf } from './fingerprint.js'
import { guard } from './guard.js'
import { advise } from './health.js'
import { look, otherTracks } from './look.js'
import { heldFindings } from './migrate.js'
import { pinOf } from './pin.js'
import type { Wish } from './plan.js'
import { rehearseHere, rehearseOnCopy } from './rehearse.js'
import { describeBlocker } from './retry.js'
import { planRollback, type RollbackWish } from './rollback.js'
import { tableOf } from './sessions.js'
import { inspect, judgeServer, preflight } from './target.js'
import { knownOf, lockFile, madeBy } from './trace.js'

/** A session whose statements all run in one transaction. */
const inside = (session: Session, tx: unknown): Session => ({
  ...session,
  pid: session.pid,
  lost: session.lost,
  sql: tx as Root,
})

/**
 * Runs work in one READ ONLY REPEATABLE READ transaction: the server itself refuses any write (ability B8), and all
 * numbers are of one moment. It ends with a rollback.
 */
export async function readOnly<T>(ctx: Context, work: (session: Session) => Promise<T>): Promise<T> {
  await using session = await connect(ctx, 'reader')
  return (await session.sql.begin('isolation level repeatable read read only', tx =>
    work(inside(session, tx)),
  )) as T
}

/** The dry run of `migrate`: steps with SQL, phases and hazards, the tables they touch, who would be in the way now. */
export function survey(ctx: Context, track: Track, wish: Wish & { consent: Consent }): Promise<Report> {
  return readOnly(ctx, async session => {
    const target = await inspect(ctx, session)
    const report = emptyReport('plan', target.info)
    const { plan, history, hasLedger } = await look(session, track, wish)
    const { info, faults: wrong } = await readTrackInfo(track)
    if (!hasLedger) report.findings.push(finding('LEDGER_ABSENT', target.info.database))
    report.findings.push(...judgeServer(target, true), ...plan.findings, ...(await lint(track)), ...wrong)
    if (report.findings.some(f => f.level === 'error')) return { ...report, verdict: 'failed' as const }
    const described = await describe(plan)
    const known = await knownOf(session.sql)
    const made = new Set<string>()
    for (const s of described.steps)
      report.steps.push({ ...stepResult(s), locks: await lockFile(s.migration.file.text, known, made) })
    if (report.steps.length > 0) report.tables.push(waitsTable(report.steps))
    const migrations = plan.steps.map(s => s.migration)
    const tables = touched(report)
    report.tables.push(await tablesTable(session, tables))
    const backfills = await estimateBackfills(
      session,
      track,
      migrations.map(m => m.name),
      hasLedger,
    )
    if (backfills) report.tables.push(backfills)
    const sessions = await connected(session.sql)
    if (sessions.length > 0 && plan.steps.length > 0)
      report.tables.push(tableOf('Connected now: their open transactions would be waited for', sessions))
    const obstacles = await preflight(session, migrations)
    report.findings.push(
      ...judgeSettings(track.name, info, ctx.settings),
      ...obstacles,
      ...(await otherTracks(session, ctx, track, obstacles)),
      ...guard(described, wish.consent),
      ...(await inTheWay(session, tables)),
      ...(await strain(session, tables)),
      ...(await firing(
        session,
        track,
        migrations.map(m => m.name),
      )),
      ...(await foretell(
        ctx,
        session,
        plan.steps.length > 0 ? track.checks.filter(isOutlook) : [],
        new Set(history.applied.keys()),
      )),
      ...(hasLedger ? await driftOf(session, Math.floor(target.facts.versionNum / 10000)) : []),
      ...heldFindings(plan, target.info.database),
    )
    if (plan.steps.length === 0)
      report.findings.push(finding('NOTHING_TO_DO', track.name, { applied: plan.applied.length }))
    const major = Math.floor(target.facts.versionNum / 10000)
    report.pin = await pinOf(session, described, history, wish, major)
    // a plan that says what would be refused has done all that it was asked; it refuses nothing itself
    report.findings = report.findings.map(f => (f.level === 'refused' ? { ...f, level: 'warn' } : f))
    return report
  })
}

/** Who would wait for what: each lock that makes an application wait, by table. */
function waitsTable(steps: StepResult[]): Table {
  const rows: Table['rows'] = []
  for (const s of steps)
    for (const l of s.locks)
      if (l.blocks !== 'nothing' || l.table === null)
        rows.push([
          s.migration,
          l.statement,
          l.table ?? 'only a rehearsal can tell',
          l.mode,
          l.table ? l.blocks : '?',
        ])
  return {
    title: 'Who waits',
    columns: ['step', 'statement', 'table', 'lock', 'waits while it is held'],
    rows,
  }
}

/** The dry run, with all of it executed where nothing lasts: on a copy, or here in one transaction that is rolled back. */
export async function surveyWithRehearsal(
  ctx: Context,
  track: Track,
  wish: Wish & { consent: Consent },
  url: string | null,
  oldApp: string | null,
): Promise<Report> {
  const report = await survey(ctx, track, wish)
  if (report.verdict !== 'clean') return report
  const { plan } = await readOnly(ctx, session => look(session, track, wish))
  const statements = oldApp === null ? [] : await parseStatements(oldApp)
  const rehearsed =
    url === null
      ? await rehearseHere(ctx, track, plan, statements)
      : await rehearseOnCopy(ctx, track, wish, plan, url, statements)
  const made = await madeBy(plan.steps.map(s => s.migration))
  report.steps = report.steps.map(s => {
    const played = rehearsed.steps.find(r => r.migration === s.migration)
    if (!played) return { ...s, outcome: 'not-run' as const, reason: 'it was not reached in the rehearsal' }
    const { outcome, reason, durationMs, attempts, rows } = played
    // what the plan makes is nobody else's yet
    const traces = played.traces.map(t => ({ ...t, locks: t.locks.filter(l => !made.has(l.table ?? '')) }))
    return { ...s, outcome, reason, durationMs, attempts, rows, traces }
  })
  report.checks = rehearsed.checks
  report.tables.push(tracesTable(report.steps), ...rehearsed.tables)
  report.findings.push(...rehearsed.findings)
  const loud = rehearsed.checks.some(
    c => c.outcome === 'failed' || (c.outcome === 'found' && c.level === 'error'),
  )
  const stuck = rehearsed.findings.some(f => f.code === 'REHEARSAL_STUCK' || f.code === 'REHEARSAL_DIFFERS')
  // a step that failed in a rehearsal has failed nobody: the reviewer is told
  if (loud || stuck || report.steps.some(s => s.outcome === 'failed')) report.verdict = 'attention'
  return report
}

/** What the statements did: only those that took time, locks that somebody waits for, or wrote. */
function tracesTable(steps: StepResult[]): Table {
  const rows: Table['rows'] = []
  for (const s of steps)
    for (const t of s.traces) {
      const locks = t.locks.filter(l => l.blocks !== 'nothing')
      if (t.ms < 1 && locks.length === 0 && t.rewritten.length === 0 && t.rows === 0) continue
      rows.push([
        s.migration,
        t.statement,
        Math.round(t.ms * 10) / 10,
        locks.map(l => `${l.table} ${l.mode} ${Math.round(l.heldMs ?? 0)} ms`).join(', ') || null,
        t.rewritten.join(', ') || null,
        t.rows,
        t.walBytes,
      ])
    }
  return {
    title: 'Rehearsed',
    columns: [
      'step',
      'statement',
      'ms',
      'locks, and how long they were held',
      'rewritten',
      'rows',
      'WAL bytes',
    ],
    rows,
  }
}

/** The dry run, sharpened by batches that run and are rolled back. */
export async function surveyWithSample(
  ctx: Context,
  track: Track,
  wish: Wish & { consent: Consent },
): Promise<Report> {
  const report = await survey(ctx, track, wish)
  const { table, findings } = await sampleBackfills(
    ctx,
    track,
    report.steps.filter(s => s.phase === 'backfill').map(s => s.migration),
  )
  if (table) report.tables.push(table)
  report.findings.push(...findings)
  return report
}

/** The dry run of `rollback`: the loss report and the steps. */
export function surveyRollback(ctx: Context, track: Track, wish: RollbackWish): Promise<Report> {
  return readOnly(ctx, async session => {
    const target = await inspect(ctx, session)
    const { plan, report } = await planRollback(session, target, track, wish)
    const deletes = plan.steps.some(s => s.hazards.some(h => h.code === 'DELETES_DATA'))
    report.findings.push(...guard(plan, wish.consent, deletes ? target.info.database : null))
    report.findings = report.findings.map(f => (f.level === 'refused' ? { ...f, level: 'warn' } : f))
    return { ...report, command: 'plan' }
  })
}

const touched = (report: Report): string[] => [
  ...new Set(
    report.steps.flatMap(s => s.hazards.map(h => h.subject)).filter(name => /^[^.]+\.[^.]+$/.test(name)),
  ),
]

async function tablesTable(session: Session, names: string[]): Promise<Table> {
  const facts = await relationFacts(session.sql, names)
  return {
    title: 'Tables touched',
    columns: ['table', 'rows (estimate)', 'bytes', 'row security', 'owner'],
    rows: facts.map(f => [
      f.name,
      f.rows < 0 ? null : f.rows,
      f.bytes,
      f.forced ? 'forced' : f.rowSecurity,
      f.owner,
    ]),
  }
}

/** Transactions that hold a lock on a touched table right now: "if you ran it now" (ability B9). */
async function inTheWay(session: Session, tables: string[]): Promise<Finding[]> {
  const holders = await holdersOf(session.sql, tables)
  return holders.map(h => finding('BLOCKER_NOW', h.table, { mode: h.mode, who: describeBlocker(h) }))
}

/** What the server itself says against a run now: signals that would slow a backfill, indexes that a broken build has left. */
async function strain(session: Session, tables: string[]): Promise<Finding[]> {
  if (tables.length === 0) return []
  const { reasons } = advise(await vitals(session.sql, tables[0]!, []), false)
  return [
    ...(reasons.length > 0 ? [finding('SERVER_STRAINED', 'server', { reasons })] : []),
    ...(await invalidIndexes(session.sql, tables)).map(i => finding('INVALID_INDEX', i)),
  ]
}

/** Triggers that a backfill's writes would fire, and publications that would send each row (pitfalls P53, P54). */
async function firing(session: Session, track: Track, pending: string[]): Promise<Finding[]> {
  const tables = new Set<string>()
  for (const m of track.migrations) {
    if (m.backfill && pending.includes(m.name))
      tables.add((await cutBackfill(m.file.text, m.file.path, m.backfill)).writes)
  }
  return (await relationFacts(session.sql, [...tables])).flatMap(f => [
    ...(f.triggers.length > 0 ? [finding('FIRING_TRIGGERS', f.name, { triggers: f.triggers })] : []),
    ...(f.publications.length > 0
      ? [finding('PUBLISHED_TABLE', f.name, { publications: f.publications })]
      : []),
  ])
}
