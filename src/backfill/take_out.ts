import { relationExists } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { isRefused, isSqlState, serverFault } from '../database/faults.js'
import { readAside } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { Failure, Failures } from '../model/failure.js'
import { type Consent, type Plan, pendingIn } from '../model/plan.js'
import { plural } from '../model/plural.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { wants } from '../plan/consent.js'
import type { Job } from './job.js'
import { copyLeaving, countLeaving, countReferenced, type PendingSpec } from './pending.sql.js'
import { pendingScanOf, readPendingSpec, takesOut } from './pending_spec.js'
import { announcedRows } from './take_out.sql.js'

/**
 * Copies all rows that a backfill removes, before its statement deletes those that were copied. Throws
 * CONSENT_NEEDED if there are more than in the report that the consent answers.
 */
export async function copyBeforeDeletion(job: Job): Promise<void> {
  const { run, pending, options } = job
  if (!pending.removes) return
  const scan = pendingScanOf(job)
  const known =
    options.consent.rows ?? (await announcedRows(run.writer.sql, pending.track, pending.migration))
  await run.writer.sql.begin(async tx => {
    const kept = await referenced(tx, job.migration, scan)
    if (kept.length > 0) throw new Failures(kept)
    const leaving = await copyLeaving(tx, scan, 'taken out: it does not fit the new schema')
    const rows = job.progress.rows + leaving
    if (known !== null && rows > known)
      throw new Failures(moreThanKnown(job.migration, rows, known, options.consent))
  })
}

/** Refuses rows that others reference, because a copy would not include the others. */
async function referenced(sql: Db, m: Migration, spec: PendingSpec): Promise<Finding[]> {
  const rows = await countReferenced(sql, spec)
  if (rows === 0) return []
  const by = spec.references.map(r => `${r.constraint} of ${r.table}`) as [string, ...string[]]
  return [finding('ROWS_REFERENCED', spec.table, { rows, by, migration: m.name })]
}

/** Findings for rows that the steps of a plan would remove and that others reference. */
export async function referencedRows(connection: Connection, track: Track, plan: Plan): Promise<Finding[]> {
  const found: Finding[] = []
  for (const m of plan.steps.map(s => s.migration).filter(takesOut))
    found.push(...((await askedOf(connection, track, plan, m, (tx, spec) => referenced(tx, m, spec))) ?? []))
  return found
}

/** The refusal, with the rows and how many more they are than in the report. */
const moreThanKnown = (m: Migration, rows: number, known: number, consent: Consent): Finding[] =>
  wants(
    m.track,
    { ...consent, allow: new Set([...consent.allow].filter(a => a !== 'QUARANTINES_ROWS')) },
    {
      hazards: ['QUARANTINES_ROWS'],
      database: consent.confirm,
      because: [
        `QUARANTINES_ROWS: ${m.name} takes ${plural(rows, 'row')} out of ${m.backfill!.table}; ${known} when it was reported`,
      ],
      rows,
    },
  )

/**
 * Adds to the plan how many rows its steps, and those after it, remove now. There is no number if an earlier
 * step creates the table or a column first.
 */
export async function withLeavingRows(connection: Connection, track: Track, plan: Plan): Promise<Plan> {
  const leaving = new Map<string, number>()
  for (const m of pendingIn(plan)) {
    const rows = takesOut(m) ? await askedOf(connection, track, plan, m, countLeaving) : null
    if (rows !== null) leaving.set(m.name, rows)
  }
  const steps = plan.steps.map(s => ({
    ...s,
    hazards: s.hazards.map(h =>
      h.code === 'QUARANTINES_ROWS' && leaving.has(s.migration.name)
        ? { ...h, detail: `${plural(leaving.get(s.migration.name)!, 'row')}: ${h.detail}` }
        : h,
    ),
  }))
  return { ...plan, steps, leaving }
}

/**
 * The result of a query about a backfill's table. Null if an earlier step, which has not run yet, creates
 * what it needs. Throws SQL_ERROR for any other error.
 */
async function askedOf<T>(
  connection: Connection,
  track: Track,
  { steps, held }: Plan,
  m: Migration,
  question: (sql: Db, spec: PendingSpec) => Promise<T>,
): Promise<T | null> {
  try {
    const hasFailedRows = await relationExists(connection.sql, 'rethread_archive.failed_rows')
    return await readAside(connection.sql, async tx =>
      question(tx, { ...(await readPendingSpec(tx, track, m)), hasFailedRows }),
    )
  } catch (error) {
    if (!isRefused(error)) throw error
    const at = track.migrations.findIndex(other => other.name === m.name)
    const before = track.migrations.slice(0, at).map(other => other.name)
    const waits = [...steps, ...held].some(s => before.includes(s.migration.name))
    if (waits && isSqlState(error, ...notThere)) return null
    const { code: sqlstate, message: reason, detail, hint } = serverFault(error)!
    const asked = { column: null, excerpt: null, context: 'asked which rows it takes out' }
    const facts = { sqlstate, reason, detail: detail ?? null, hint: hint ?? null, ...asked }
    throw new Failure('SQL_ERROR', m.file.path, facts, error)
  }
}

/** SQLSTATEs of a table, column, function or schema that does not exist. */
const notThere = ['42P01', '42703', '42883', '3F000']

/** CONSENT_NEEDED for rows that the consent does not cover, because the last report had fewer. */
export async function judgeLeaving(connection: Connection, plan: Plan, consent: Consent): Promise<Finding[]> {
  const findings: Finding[] = []
  if (!consent.allow.has('QUARANTINES_ROWS')) return findings
  for (const { migration: m } of plan.steps) {
    const rows = plan.leaving?.get(m.name)
    if (rows === undefined) continue
    const known = consent.rows ?? (await announcedRows(connection.sql, m.track, m.name))
    if (known !== null && rows > known) findings.push(...moreThanKnown(m, rows, known, consent))
  }
  return findings
}
