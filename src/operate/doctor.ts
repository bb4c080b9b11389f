import { eventTriggers } from '../database/catalog.sql.js'
import type { Connection } from '../database/connection.js'
import { type Context, connect } from '../database/context.js'
import { inspect, judgeRights, judgeServer, preflight, type Target } from '../database/server.js'
import { lint, toLint } from '../files/lint.js'
import { home } from '../files/package.js'
import { squawk } from '../files/squawk.js'
import { readTrackInfo } from '../files/track_info.js'
import { judgePlan } from '../migrate/judge_plan.js'
import { readPlan } from '../migrate/read_plan.js'
import type { Consent, LedgerRow } from '../model/plan.js'
import type { Check, Project, Track } from '../model/project.js'
import {
  emptyReport,
  type Finding,
  finding,
  isSevere,
  leavesUnseen,
  type Report,
  type Table,
} from '../model/report.js'
import { type Fit, fitsOf, otherTracks, trackNamed } from '../plan/choose_track.js'
import { guard } from '../plan/consent.js'
import { elementShapes } from '../plan/element_shapes.js'
import { ledgerRows } from '../plan/history.js'
import { barePlanOptions } from '../plan/make_plan.js'
import { noneFits } from '../plan/nearest_track.js'
import { needsCopy } from '../plan/needs_copy.js'
import { migrateCommand } from '../plan/next_command.js'
import { layoutFindings } from '../plan/open_context.js'
import { finishedOf, foldLedger } from '../run/ledger_history.js'
import { drifted, noDrift } from '../run/schema_snapshot.js'
import { foreseeStops, foretell, isFirstGate } from '../verify/foretell.js'
import { isOutlook } from '../verify/run_check.js'
import { lesserRole } from './deploy_role.js'

/** What a person asked the doctor about. */
interface DoctorOptions {
  /** Name of the track, if one was given. */
  named: string | null
  /** The source of each setting. */
  sources: Table
  /** What `migrate` would be allowed. */
  consent: Consent
}

/** Examines the target and the files without writing, and says how to fix each problem. */
export async function doctor(
  ctx: Context,
  project: Project,
  { named, sources, consent }: DoctorOptions,
): Promise<Report> {
  const wanted = named === null ? null : trackNamed(project.tracks, named)
  await using connection = await connect(ctx, 'reader')
  const target = await inspect(ctx, connection)
  const report = emptyReport('doctor', target.info)
  report.tables.push(sources)
  report.findings.push(...project.faults, ...judgeServer(target, true))
  const rows = await ledgerRows(connection)
  if (!rows) report.findings.push(finding('LEDGER_ABSENT', target.info.database))
  report.findings.push(...judgeRights(target, rows !== null))
  const fits = await fitsOf(connection, project.tracks)
  const fitting = fits.filter(f => f.fits).map(f => f.track)
  report.tables.push(fitTable(fits))
  const looked = wanted ? [wanted] : fitting
  for (const track of looked) {
    const fit = fits.find(f => f.track === track)!
    const seen = await lookAtTrack({ ctx, connection, target, rows, consent }, track, fit)
    report.tables.push(...seen.tables)
    report.findings.push(...seen.findings)
  }
  const [only, ...more] = looked
  if (only && more.length === 0 && report.findings.some(f => f.code === 'CONSENT_NEEDED'))
    report.next = migrateCommand(only.name, barePlanOptions, report.findings, consent)
  if (looked.length === 0 && project.tracks.length > 0)
    report.findings.push(...(await noneFits(connection.sql, project.tracks)))
  const triggers = await eventTriggers(connection.sql)
  if (triggers.length > 0) report.findings.push(finding('EVENT_TRIGGERS', target.info.database, { triggers }))
  // the doctor refuses nothing: what would stop a run is `attention` here
  const stops = report.findings.some(isSevere)
  report.verdict = stops || leavesUnseen(report.findings) ? 'attention' : 'clean'
  return report
}

/** What the doctor looks at. */
interface Patient {
  ctx: Context
  connection: Connection
  target: Target
  /** Rows of the ledger; null where there is none. */
  rows: LedgerRow[] | null
  consent: Consent
}

/** What is to be said of a track here: its files, what it lacks, and what lies ahead of it. */
async function lookAtTrack(
  patient: Patient,
  track: Track,
  fit: Fit,
): Promise<Pick<Report, 'tables' | 'findings'>> {
  const { ctx, connection, target, rows } = patient
  const history = foldLedger(rows ?? [], track.name)
  const applied = new Set(history.applied.keys())
  const pending = track.migrations.filter(m => !applied.has(m.name))
  const obstacles = await preflight(connection, pending)
  const linted = toLint(track, pending)
  // a track that needs no table of the application's fits by name only
  const isFit = fit.fits || (fit.lacks.length === 0 && fit.has.every(r => / auth\./.test(r)))
  // who has begun goes on: another role would own nothing of what is there, the ledger least of all
  const mayBeLesser = isFit && target.facts.superuser && rows === null
  const shapes = isFit ? await elementShapes(ctx, connection, track) : null
  const ahead = {
    applied: track.migrations.filter(m => applied.has(m.name)),
    pending,
    resumed: finishedOf(history),
    major: target.major,
    obstacles,
    consent: patient.consent,
  }
  // whoever has begun goes on with these files
  const mayBeCopied = isFit && obstacles.length === 0 && track.root === home && applied.size === 0
  const other = mayBeCopied ? await needsCopy(connection.sql, track) : null
  const speaking = track.checks.filter(c => speaksNow(track, c, applied))
  const findings = [
    ...layoutFindings(track, 'error'),
    ...(mayBeLesser ? [await lesserRole(connection.sql, track, target.info.role)] : []),
    ...(shapes?.findings ?? []),
    ...(isFit && obstacles.length === 0 ? [other ?? finding('FITS', track.name)] : []),
    ...(await lint(linted, await squawk(linted))),
    ...(await readTrackInfo(track)).faults,
    ...obstacles,
    ...(await otherTracks(connection, ctx, track, obstacles)),
    ...(await foreseeStops(ctx, connection, track, ahead)),
    ...(isFit && obstacles.length === 0 ? await decisionsAhead(patient, track) : []),
    ...(await foretell(ctx, connection, speaking, applied)),
  ]
  return { tables: shapes ? [shapes.table] : [], findings }
}

/** What `migrate` would want consent for, by name, and why, in a database that lacks nothing. */
async function decisionsAhead(
  { ctx, connection, target, consent }: Patient,
  track: Track,
): Promise<Finding[]> {
  const { plan, hasLedger } = await readPlan(connection, track, barePlanOptions)
  if (plan.steps.length === 0) return []
  const { changed } = hasLedger ? await drifted(connection, target.major) : noDrift
  const judged = await judgePlan(ctx, connection, track, { plan, changed, obstacles: [] })
  return [...judged.findings, ...guard(judged.plan, consent)]
}

/**
 * Whether a check applies now: an outlook before the track has begun, and a check that needs no migration.
 */
const speaksNow = (track: Track, check: Check, applied: ReadonlySet<string>): boolean =>
  isOutlook(check)
    ? applied.size === 0
    : check.kind === 'check' && check.after === null && !check.shared && !isFirstGate(track, check)

function fitTable(fits: Fit[]): Table {
  return {
    title: 'Tracks',
    columns: ['track', 'migrations', 'fits this database', 'because'],
    rows: fits.map(f => [f.track.name, f.track.migrations.length, f.fits, because(f)]),
  }
}

function because({ track, fits, has, lacks, others, shapes }: Fit): string {
  if (track.layout) return `it has the files of ${track.layout.title}`
  const names = (list: string[]) => list.map(r => r.replace(/^\w+ (public\.)?/, '')).join(', ')
  const [other] = others
  if (other) {
    const [column, needed] = names([other.required]).split(/ (.*)/s)
    return `${column} is ${other.type}, ${needed!.split('|').join(' or ')} is needed`
  }
  if (lacks.length > 0) return `lacks ${names(lacks.slice(0, 3))}${lacks.length > 3 ? ' ...' : ''}`
  const unlike = shapes.filter(s => s.rows > 0 && s.matching === 0)
  if (unlike.length > 0)
    return unlike
      .map(s => `none of ${s.rows} rows of ${s.table.replace(/^public\./, '')} ${s.what}`)
      .join('; ')
  const alike = shapes
    .filter(s => s.rows > 0)
    .map(s => `; ${s.matching} of ${s.rows} rows of ${s.table.replace(/^public\./, '')} ${s.what}`)
  return fits
    ? `has ${names(has.filter(r => r.startsWith('table')))}${alike.join('')}`
    : 'it needs no table of yours: choose it with --track'
}
