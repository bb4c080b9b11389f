import { type Context, connect } from '../database/context.js'
import type { Root } from '../database/types.js'
import { dryRun } from '../dry_run/plan.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { plural } from '../model/plural.js'
import type { Project, Track } from '../model/project.js'
import {
  type CheckResult,
  emptyReport,
  finding,
  isFault,
  type Report,
  type Table,
  type Verdict,
} from '../model/report.js'
import { trackNamed } from '../plan/choose_track.js'
import { restore } from '../rollback/restore.js'
import { rollback } from '../rollback/rollback.js'
import { fingerprintOf, objects } from '../run/schema_snapshot.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import { fillDemo, missingRows, playApplication } from './demo.sql.js'
import { doctor } from './doctor.js'

const noConsent = { allow: new Set<string>(), confirm: null }
const demoOptions = { ...bareMigrateOptions, consent: noConsent, leaseWaitMs: 1000 }

/** A command of the demo: what is typed, why, what it does, and what to show of its report. */
interface Station {
  command: string
  why: string
  run: () => Promise<Report>
  seen: (report: Report) => string
  /** The expected verdict; `clean` by default. */
  comesTo?: Verdict
}

/** The files of an example, and the number of rows. */
interface Fixture {
  shim: string
  before: string
  oldApp: string
  newApp: string
  messages: number
}

/** Options of the demo. */
interface DemoOptions {
  /** Name of the track. */
  name: string
  /** The source of each setting, for `doctor`. */
  sources: Table
  fixture: Fixture
}

/** Runs the life cycle on a database of its own. Every step is the real command and is shown in one line. */
export async function demo(
  ctx: Context,
  project: Project,
  { name, sources, fixture }: DemoOptions,
): Promise<Report> {
  const track = trackNamed(project.tracks, name)
  const narrate = (text: string) => ctx.emit({ type: 'narrate', text })
  const report = emptyReport('demo')
  const rows: Table['rows'] = []
  const columns = ['command', 'verdict', 'seconds', 'result']
  report.tables.push({ title: 'The demo, step by step', columns, rows })
  const walk = (stations: Station[]) => walkStations(ctx, stations, report, rows)

  await using app = await connect(ctx, 'writer')
  const sql = app.sql as Root
  const size = await fillDemo(sql, fixture)
  const tables = plural(size.tables.length, 'table')
  narrate(`A database that is common before ${name}: ${plural(size.rows, 'row')} in ${tables}.`)
  const schema = async () => fingerprintOf(await objects(sql))
  const before = await schema()

  if (!(await walk(expanding(ctx, project, track, sources)))) return report
  await playApplication(sql, fixture.oldApp)
  narrate('  The old application reads, writes, changes and deletes as before.')
  if (!(await walk(filling(ctx, track)))) return report
  await playApplication(sql, fixture.newApp)
  narrate('  People use it: the new application opens sessions and writes messages in them.')
  if (!(await walk(goingBack(ctx, track)))) return report
  const identical = (await schema()) === before
  const missing = await missingRows(sql, size.tables)
  narrate(`  Schema identical to the one before: ${identical ? 'yes' : 'NO'}. Rows missing: ${missing}.`)
  if (!(await walk(goingOn(ctx, track)))) return report

  const held = identical && missing === 0
  report.findings.push(finding('DEMO_NEXT', name, { identical: held }, held ? 'info' : 'error'))
  if (!held) report.verdict = 'failed'
  return report
}

/** Whether all were walked: after one that failed, or Ctrl-C, the next ones would only say so too. */
async function walkStations(
  ctx: Context,
  stations: Station[],
  report: Report,
  rows: Table['rows'],
): Promise<boolean> {
  const narrate = (text: string) => ctx.emit({ type: 'narrate', text })
  for (const { command, why, run, seen, comesTo = 'clean' } of stations) {
    narrate(`\n$ rethread ${command}\n  ${why}`)
    const start = ctx.clock.now()
    const came = await run()
    const seconds = Math.round((ctx.clock.now() - start) / 100) / 10
    rows.push([command, came.verdict, seconds, seen(came)])
    narrate(`  ${came.verdict} in ${seconds} s: ${seen(came)}`)
    report.target = came.target
    if (ctx.signal.aborted) {
      report.verdict = 'interrupted'
      return false
    }
    if (came.verdict === comesTo) continue
    // what was in the way is not left to be guessed
    report.verdict = 'failed'
    report.checks.push(...came.checks.filter(isFault))
    report.findings.push(...came.findings.filter(f => f.level !== 'info'))
    if (came.verdict !== 'attention') return false
  }
  return true
}

const expanding = (ctx: Context, project: Project, track: Track, sources: Table): Station[] => [
  {
    command: 'doctor',
    why: 'Checks the database and the files. It writes nothing.',
    run: () => doctor(ctx, project, { named: null, sources, consent: noConsent }),
    seen: r => inOneLine(r.findings.filter(f => f.code === 'FITS').map(f => `track ${f.subject} fits`)),
  },
  {
    command: 'plan',
    why: 'The dry run, in a read-only transaction.',
    run: () => dryRun(ctx, track, demoOptions),
    seen: r =>
      `${plural(r.steps.length, 'step')}, ${plural(r.findings.filter(f => f.code === 'OUTLOOK').length, 'thing')} to know first`,
  },
  {
    command: 'migrate --no-backfill',
    why: 'Expand: adds the new table and column. The old application keeps working.',
    run: () => migrate(ctx, track, { ...demoOptions, backfills: false }),
    seen: done,
  },
]

const filling = (ctx: Context, track: Track): Station[] => [
  {
    command: 'backfill',
    why: 'Migrates the existing rows in batches of a few milliseconds. You can stop it at any time.',
    run: () => migrate(ctx, track, { ...demoOptions, phase: 'backfill' }),
    seen: r =>
      inOneLine(r.backfill.map(b => `${plural(b.rows, 'row')} in ${b.seconds.toFixed(1)} s`)) ||
      'nothing: this track has no legacy data',
  },
  {
    command: 'migrate',
    why: 'Adds the rest without blocking the application. It stops before what the old one would not survive.',
    run: () => migrate(ctx, track, demoOptions),
    seen: done,
  },
  {
    command: 'verify',
    why: 'Proves that every row is where it belongs, or in the quarantine with a reason.',
    run: () => verify(ctx, track, plainVerifyOptions),
    seen: passed,
  },
]

function goingBack(ctx: Context, track: Track): Station[] {
  const all = { to: null, steps: null, all: true, leaseWaitMs: 1000 }
  const allow = ['DELETES_DATA', 'IGNORES_RECENT_WRITES']
  const consent = { allow: new Set(allow), confirm: ctx.url.split('/').at(-1)! }
  return [
    {
      command: 'rollback --all',
      why: 'Without consent it only shows what would be lost.',
      run: () => rollback(ctx, track, { ...all, consent: noConsent }),
      comesTo: 'refused',
      seen: r =>
        inOneLine(
          r.findings
            .filter(f => f.code === 'LOSS')
            .map(f => `${f.subject}: ${countedRows(f.facts.atRisk)} at risk`),
        ) || 'no row of users is at risk',
    },
    {
      command: `rollback --all --allow ${allow.join(',')} --confirm postgres`,
      why: 'With consent it archives these rows first, then goes back.',
      run: () => rollback(ctx, track, { ...all, consent }),
      seen: r =>
        inOneLine(
          r.findings
            .filter(f => f.code === 'ARCHIVED')
            .map(f => `${plural(f.facts.rows, 'row')} kept in archive ${f.subject}`),
        ),
    },
  ]
}

function goingOn(ctx: Context, track: Track): Station[] {
  const ending = track.migrations.filter(m => m.endsOldApp !== null)
  const allow = new Set(ending.flatMap(m => ['ENDS_OLD_APP', ...m.hazards]))
  const consent = { allow, confirm: null }
  const contract: Station = {
    command: `migrate --phase contract --allow ${[...allow].join(',')}`,
    why: 'The old application is gone. What only it needed goes too.',
    run: () => migrate(ctx, track, { ...demoOptions, phase: 'contract', consent }),
    seen: done,
  }
  return [
    {
      command: 'restore latest',
      why: 'Brings back the sessions that people opened: migrates again, then merges the archive.',
      run: () => restore(ctx, track, { archive: 'latest', consent: noConsent, leaseWaitMs: 1000 }),
      seen: r =>
        inOneLine(
          r.findings
            .filter(f => f.code === 'RESTORED')
            .map(f => `${plural(f.facts.rows, 'row')} brought back or set back`),
        ),
    },
    {
      command: 'migrate',
      why: 'Runs again: nothing is left to do.',
      run: () => migrate(ctx, track, demoOptions),
      seen: r =>
        inOneLine([
          done(r),
          ...r.findings.filter(f => f.code === 'STOPPED_BEFORE').map(f => `it stops before ${f.subject}`),
        ]),
    },
    ...(ending.length > 0 ? [contract] : []),
    {
      command: 'verify',
      why: 'Checks everything again.',
      run: () => verify(ctx, track, plainVerifyOptions),
      seen: passed,
    },
  ]
}

const inOneLine = (parts: string[]): string => parts.join(', ')
const countedRows = (rows: number | null): string =>
  rows === null ? 'rows that were not counted' : plural(rows, 'row')
const done = (r: Report): string =>
  r.steps.length === 0
    ? 'nothing to do'
    : `${r.steps.filter(s => s.outcome === 'done').length} of ${plural(r.steps.length, 'step')} done`

function passed({ checks }: Report): string {
  const found = checks.filter(c => c.outcome === 'found' || c.outcome === 'failed')
  const named = (list: CheckResult[], what: string) =>
    list.length > 0 ? [`${what} ${inOneLine(list.map(c => c.check))}`] : []
  return [
    `${plural(checks.filter(c => c.outcome === 'pass').length, 'check', 'pass')}`,
    ...named(found.filter(isFault), 'faults:'),
    ...named(
      found.filter(c => !isFault(c)),
      'warnings:',
    ),
  ].join('; ')
}
