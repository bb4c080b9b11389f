import { copiedBytes } from '../archive/archive.sql.js'
import {
  droppedBy,
  type Loss,
  losses,
  nameOf,
  type ObjectAtRisk,
  rollbackRange,
} from '../archive/loss_report.js'
import { recentRows } from '../archive/loss_report.sql.js'
import { takesOut } from '../backfill/pending_spec.js'
import type { Connection } from '../database/connection.js'
import { judgeServer, preflight, type Target } from '../database/server.js'
import { lint } from '../files/lint.js'
import { readTrackInfo } from '../files/track_info.js'
import { settleTransactions } from '../files/transactions.js'
import { Failure, Failures } from '../model/failure.js'
import { messageValue } from '../model/message_value.js'
import { bareStep, type Consent, type Hazard, type Plan } from '../model/plan.js'
import { agreeing, plural } from '../model/plural.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, type Finding, finding, type Report, type Table } from '../model/report.js'
import { partText } from '../model/table_name.js'
import { guard } from '../plan/consent.js'
import { describe } from '../plan/describe_steps.js'
import { driftHazards } from '../plan/drift.js'
import { foreignCodeFindings, foreignCodeHazards, foreignCodeOf } from '../plan/foreign_code.js'
import { readHistory } from '../plan/history.js'
import { barePlanOptions, findMigration, placeIn } from '../plan/make_plan.js'
import { downward, type History } from '../run/ledger_history.js'
import { driftFinding, type SeenDrift, seeDrift } from '../run/schema_snapshot.js'
import { stepResult } from '../run/step_result.js'
import { dependants } from './dependants.js'

/** Options of `rollback`; exactly one of the three targets is given. */
export interface RollbackOptions {
  /** Undo back to this migration, which stays applied. */
  to: string | null
  steps: number | null
  all: boolean
  consent: Consent
  leaseWaitMs: number
  guards?: RollbackGuards
}

/** What the configuration says about the database. */
interface RollbackGuards {
  /** True if every rollback needs the database's name, not only one that drops something. */
  protected: boolean
  /** Free space of the server's disk, in bytes, if it is configured; else null. */
  diskFreeBytes: number | null
}

/** The plan of a rollback, what it deletes, and the findings about it. */
export interface PlannedRollback {
  plan: Plan
  lost: Loss[]
  /** Changes by others since the last step; null if nothing is to be undone. */
  drift: SeenDrift | null
  report: Report
}

/** What a rollback would do, with the loss report. Reads only. */
export async function planRollback(
  connection: Connection,
  target: Target,
  track: Track,
  options: RollbackOptions,
): Promise<PlannedRollback> {
  const report = emptyReport('rollback', target.info)
  const { plan: forward, history } = await readHistory(connection, track, barePlanOptions)
  report.findings.push(
    ...judgeServer(target, true),
    ...forward.findings.filter(f => f.code !== 'OUT_OF_ORDER'),
  )
  const begun = track.migrations.filter(m => forward.applied.includes(m) || isHalfDone(history, m))
  const undone = range(track, begun, options)
  if (undone.length === 0) return { plan: { ...forward, steps: [] }, lost: [], drift: null, report }
  report.findings.push(...judgeRange(track, begun, undone, options.consent))
  await settleTransactions(undone)
  const faults = (await lint({ ...track, migrations: undone, checks: [] })).filter(f => f.level === 'error')
  if (faults.length > 0) throw new Failures(faults)
  const plan = await describe(
    {
      track: track.name,
      steps: undone.map(m => bareStep(m, 'down', downward(history.unfinished.get(m.name)))),
      held: [],
      applied: forward.applied,
      findings: [],
    },
    connection.sql,
  )
  const files = undone.map(rollbackAsMigration)
  report.findings.push(...(await addForeignCode(connection, plan, files)))
  const { found: objects, refused } = await droppedBy(connection, track, undone)
  report.findings.push(...refused)
  const drift = await seeDrift(connection, target.major)
  // one place for all that must be allowed by name: the first step's hazards
  plan.steps[0]!.hazards.push(
    ...(await ignored(connection, drift.changed, track, objects, options)),
    ...undone.flatMap(skipsIrreversible),
  )
  const lost = await losses(connection, track.name, objects)
  report.tables.push(lossTable(lost))
  report.findings.push(
    ...lost.flatMap(lossFinding),
    ...driftFinding(drift),
    ...(await preflight(connection, files)),
    ...(await dependants(connection, objects, undone)),
  )
  report.steps = plan.steps.map(s => stepResult(s))
  return { plan, lost, drift, report }
}

/** Gives each step the hazards of others' code that its file runs; what is to be said of that code. */
async function addForeignCode({ sql }: Connection, plan: Plan, files: Migration[]): Promise<Finding[]> {
  const foreign = await foreignCodeOf(sql, files)
  for (const [n, step] of plan.steps.entries())
    step.hazards.push(...foreignCodeHazards(foreign.get(files[n]!) ?? []))
  return foreignCodeFindings([...foreign.values()].flat())
}

const skipsIrreversible = ({ name, irreversible }: Migration): Hazard[] =>
  irreversible ? [{ code: 'SKIPS_IRREVERSIBLE', subject: name, detail: irreversible }] : []

/** What goes of an object, where somebody could miss it, or nobody knows whether. */
function lossFinding(lost: Loss): Finding[] {
  if (!lost.counted)
    return [finding('LOSS', nameOf(lost), { atRisk: null, edited: null, users: null, rows: null }, 'info')]
  const { edited, users, rows } = lost.counted
  return lost.atRisk > 0 ? [finding('LOSS', nameOf(lost), { atRisk: lost.atRisk, edited, users, rows })] : []
}

/**
 * Dropping tables or columns needs its hazard and the database's name. In a protected database every rollback
 * needs the name. Other rollbacks need nothing.
 */
export function rollbackConsent(plan: Plan, options: RollbackOptions, database: string): Finding[] {
  const deletes = plan.steps.some(s => s.hazards.some(h => h.code === 'DELETES_DATA'))
  const guarded = plan.steps.length > 0 && (deletes || options.guards?.protected)
  return guard(plan, options.consent, guarded ? database : null)
}

/** For how long a row counts as just written, in seconds. */
const recentSeconds = 60

/**
 * What a rollback would have to ignore: drift of the track's objects, a new application that writes, a full
 * disk.
 */
async function ignored(
  connection: Connection,
  changed: string[],
  track: Track,
  objects: ObjectAtRisk[],
  options: RollbackOptions,
): Promise<Hazard[]> {
  const found = await driftHazards(track, changed)
  const { info } = await readTrackInfo(track)
  for (const d of objects) {
    const time =
      !info || d.rows
        ? null
        : d.table === info.messages?.table
          ? messageValue(info, 'created', 't')
          : d.table === info.sessions.table
            ? `t.${partText(info.sessions.active)}`
            : null
    const rows = time ? await recentRows(connection.sql, d, { time, seconds: recentSeconds }) : 0
    if (rows > 0)
      found.push({
        code: 'IGNORES_RECENT_WRITES',
        subject: d.table,
        detail: `${plural(rows, 'row')} of ${nameOf(d)} ${agreeing(rows, 'were')} written within the last ${recentSeconds} s: is the new application gone?`,
      })
  }
  const free = options.guards?.diskFreeBytes ?? null
  if (free !== null) {
    const bytes = await copiedBytes(
      connection.sql,
      objects.flatMap(d => (d.column ? [d.table] : [])),
    )
    if (bytes > free)
      found.push({
        code: 'FILLS_DISK',
        subject: track.name,
        detail: `the archive may take ${bytes} bytes, ${free} are free`,
      })
  }
  return found
}

/**
 * Whether a migration was interrupted and has left something that its rollback undoes: rows that it has
 * removed, or statements without a transaction. The rollback reads from the catalog what exists.
 */
function isHalfDone({ unfinished }: History, m: Migration): boolean {
  if (unfinished.get(m.name)?.direction !== 'up' || !m.rollback) return false
  return takesOut(m) || (m.transaction === 'none' && m.rollback.transaction === 'none')
}

function range(track: Track, applied: Migration[], options: RollbackOptions): Migration[] {
  const newestFirst = [...applied].reverse()
  if (options.all) return newestFirst
  if (options.steps !== null) return newestFirst.slice(0, options.steps)
  if (options.to === null)
    throw new Failure('TARGET_NEEDED', 'rollback', { applied: applied.map(m => m.name) })
  const target = findMigration(track, options.to)
  return newestFirst.filter(m => placeIn(track, m) > placeIn(track, target))
}

/**
 * Findings for migrations of a range without a rollback, with the command that goes as far as necessary or
 * possible.
 */
function judgeRange(track: Track, begun: Migration[], undone: Migration[], consent: Consent): Finding[] {
  const names = new Set(undone.map(m => m.name))
  const back = (toStay: Migration | null) => rollbackRange(track, toStay, begun).command
  const found: Finding[] = []
  for (const m of undone) {
    const why = m.irreversible ?? (m.foreign ? 'no way back is written for it' : 'it has no rollback file')
    if (m.irreversible || !(m.rollback || m.undoneBy)) {
      const facts = { reason: why, undoneBy: null, command: back(m) }
      const accepted = m.irreversible && consent.allow.has('SKIPS_IRREVERSIBLE')
      found.push(finding('IRREVERSIBLE', m.name, facts, accepted ? 'warn' : 'refused'))
    } else if (m.undoneBy && !names.has(m.undoneBy)) {
      const reason = `it is undone together with ${m.undoneBy}: roll back that far`
      const command = back(begun[begun.indexOf(undone.at(-1)!) - 1] ?? null)
      found.push(finding('IRREVERSIBLE', m.name, { reason, undoneBy: m.undoneBy, command }))
    }
  }
  return found
}

/** The migration with its rollback's file in place of its own, for the preflight. */
const rollbackAsMigration = (m: Migration): Migration => ({
  ...m,
  requires: [],
  backfill: null,
  file: m.rollback?.file ?? { ...m.file, text: '' },
})

/** Title of the table of what a rollback would delete. */
export const lossTitle = 'What would be removed'

function lossTable(lost: Loss[]): Table {
  return {
    title: lossTitle,
    columns: [
      'object',
      'rows',
      'backfilled, unchanged',
      'written since the backfill',
      'not made again by migrate',
      'at risk without the archive',
    ],
    rows: lost.map(l => {
      const c = l.counted
      return c
        ? [nameOf(l), c.rows, c.untouched, c.edited, c.users, l.atRisk]
        : [nameOf(l), null, null, null, null, null]
    }),
  }
}
