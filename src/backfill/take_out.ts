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
 * A backfill that takes rows out copies every one of them first; its statement deletes only what was copied.
 * Throws CONSENT_NEEDED where they are more than the report named that the consent answers.
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

/** The refusal of rows that others point at: a copy of them would not have those. */
async function referenced(sql: Db, m: Migration, spec: PendingSpec): Promise<Finding[]> {
  const rows = await countReferenced(sql, spec)
  if (rows === 0) return []
  const by = spec.references.map(r => `${r.constraint} of ${r.table}`) as [string, ...string[]]
  return [finding('ROWS_REFERENCED', spec.table, { rows, by, migration: m.name })]
}

/** Rows that the steps of a plan would take out and that others point at. */
export async function referencedRows(connection: Connection, track: Track, plan: Plan): Promise<Finding[]> {
  const found: Finding[] = []
  for (const m of plan.steps.map(s => s.migration).filter(takesOut))
    found.push(...((await askedOf(connection, track, plan, m, (tx, spec) => referenced(tx, m, spec))) ?? []))
  return found
}

/** The refusal: which rows, and how many more than the report named. */
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
 * The plan with the number of rows that its steps, and those after it, take out now. A number is missing
 * where it is not known yet: the table or its column is made by a step before.
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
 * What a table says of a backfill; null where a step before, which has not run yet, makes what it asks for.
 * Throws SQL_ERROR where the server refuses the question for another reason.
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

/** SQLSTATEs of a table, a column, a function or a schema that is not there. */
const notThere = ['42P01', '42703', '42883', '3F000']

/** What the consent given so far does not cover: more rows than the report named. */
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
