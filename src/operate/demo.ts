import { type Context, connect } from '../database/context.js'
import type { Root } from '../database/types.js'
import { dryRun } from '../dry_run/plan.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import type { Project } from '../model/project.js'
import { emptyReport, finding, type Report, type Table } from '../model/report.js'
import { trackNamed } from '../plan/choose_track.js'
import { restore } from '../rollback/restore.js'
import { rollback } from '../rollback/rollback.js'
import { fingerprintOf, objects } from '../run/schema_snapshot.sql.js'
import { plainVerifyOptions, verify } from '../verify/verify.js'
import { fillDemo, missingRows, playApplication } from './demo.sql.js'
import { doctor } from './doctor.js'

const noConsent = { allow: new Set<string>(), confirm: null }
const demoOptions = { ...bareMigrateOptions, consent: noConsent, leaseWaitMs: 1000 }

/** One station of the walk, for the table at the end. */
type Station = [what: string, verdict: string, seconds: number, seen: string]

/** Walks the life cycle on a database of its own: every step is the real command, told in a line. */
export async function demo(
  ctx: Context,
  project: Project,
  name: string,
  sources: Table,
  fixture: { shim: string; before: string; oldApp: string; newApp: string; messages: number },
): Promise<Report> {
  const track = trackNamed(project.tracks, name)
  const narrate = (text: string) => ctx.emit({ type: 'narrate', text })
  const stations: Station[] = []
  const walk = async (
    what: string,
    why: string,
    work: () => Promise<Report>,
    seen: (r: Report) => string,
  ): Promise<Report> => {
    narrate(`\n$ rethread ${what}\n  ${why}`)
    const start = ctx.clock.now()
    const report = await work()
    const seconds = Math.round((ctx.clock.now() - start) / 100) / 10
    stations.push([what, report.verdict, seconds, seen(report)])
    narrate(`  ${report.verdict} in ${seconds} s: ${seen(report)}`)
    return report
  }

  await using app = await connect(ctx, 'writer')
  const sql = app.sql as Root
  const size = await fillDemo(sql, fixture)
  narrate(`A database that is common before ${name}: ${size.rows} rows in ${size.tables.length} tables.`)
  const schema = async () => fingerprintOf(await objects(sql))
  const before = await schema()

  await walk(
    'doctor',
    'Checks the database and the files. It writes nothing.',
    () => doctor(ctx, project, null, sources),
    r =>
      r.findings
        .filter(f => f.code === 'FITS')
        .map(f => `track ${f.subject} fits`)
        .join(', '),
  )
  await walk(
    'plan',
    'The dry run, in a read-only transaction.',
    () => dryRun(ctx, track, demoOptions),
    r =>
      `${r.steps.length} steps, ${r.findings.filter(f => f.code === 'OUTLOOK').length} things to know first`,
  )
  await walk(
    'migrate --no-backfill',
    'Expand: adds the new table and column. The old application keeps working.',
    () => migrate(ctx, track, { ...demoOptions, backfills: false }),
    done,
  )
  await playApplication(sql, fixture.oldApp)
  narrate('  The old application reads, writes, changes and deletes as before.')
  await walk(
    'backfill',
    'Migrates the existing rows in batches of a few milliseconds. You can stop it at any time.',
    () => migrate(ctx, track, { ...demoOptions, phase: 'backfill' }),
    r =>
      r.backfill.map(b => `${b.rows} rows in ${b.seconds} s`).join(', ') ||
      'nothing: this track has no legacy data',
  )
  await walk(
    'migrate',
    'Adds the rest without blocking the application. It stops before what the old one would not survive.',
    () => migrate(ctx, track, demoOptions),
    done,
  )
  await walk(
    'verify',
    'Proves that every row is where it belongs, or in the quarantine with a reason.',
    () => verify(ctx, track, plainVerifyOptions),
    passed,
  )
  await playApplication(sql, fixture.newApp)
  narrate('  People use it: the new application opens sessions and writes messages in them.')
  const confirm = {
    allow: new Set(['DELETES_DATA', 'IGNORES_RECENT_WRITES']),
    confirm: ctx.url.split('/').at(-1)!,
  }
  await walk(
    'rollback --all',
    'Without consent it only shows what would be lost.',
    () => rollback(ctx, track, { to: null, steps: null, all: true, consent: noConsent, leaseWaitMs: 1000 }),
    r =>
      `${r.findings
        .filter(f => f.code === 'LOSS')
        .map(f => `${f.subject}: ${f.facts.atRisk} at risk`)
        .join(', ')}`,
  )
  await walk(
    'rollback --all --allow DELETES_DATA,IGNORES_RECENT_WRITES --confirm postgres',
    'With consent it archives these rows first, then goes back.',
    () => rollback(ctx, track, { to: null, steps: null, all: true, consent: confirm, leaseWaitMs: 1000 }),
    r =>
      r.findings
        .filter(f => f.code === 'ARCHIVED')
        .map(f => `${f.facts.rows} rows kept in archive ${f.subject}`)
        .join(', '),
  )
  const identical = (await schema()) === before
  const missing = await missingRows(sql, size.tables)
  narrate(`  Schema identical to the one before: ${identical ? 'yes' : 'NO'}. Rows missing: ${missing}.`)
  await walk(
    'restore latest',
    'Brings back the sessions that people opened: migrates again, then merges the archive.',
    () => restore(ctx, track, { archive: 'latest', consent: noConsent, leaseWaitMs: 1000 }),
    r =>
      r.findings
        .filter(f => f.code === 'RESTORED')
        .map(f => `${f.facts.rows} rows brought back or set back`)
        .join(', '),
  )
  await walk(
    'migrate',
    'Runs again: nothing is left to do.',
    () => migrate(ctx, track, demoOptions),
    r => r.findings.map(f => f.code).join(', '),
  )
  const contract = track.migrations.filter(m => m.endsOldApp !== null)
  const allow = new Set(contract.flatMap(m => ['ENDS_OLD_APP', ...m.hazards]))
  if (contract.length > 0)
    await walk(
      `migrate --phase contract --allow ${[...allow].join(',')}`,
      'The old application is gone. What only it needed goes too.',
      () => migrate(ctx, track, { ...demoOptions, phase: 'contract', consent: { allow, confirm: null } }),
      done,
    )
  const last = await walk(
    'verify',
    'Checks everything again.',
    () => verify(ctx, track, plainVerifyOptions),
    passed,
  )

  const report = emptyReport('demo', last.target)
  report.tables.push({
    title: 'The demo, step by step',
    columns: ['command', 'verdict', 'seconds', 'result'],
    rows: stations,
  })
  const held = identical && missing === 0
  report.findings.push(finding('DEMO_NEXT', name, { identical: held }, held ? 'info' : 'error'))
  report.verdict = held && last.verdict === 'clean' ? 'clean' : 'failed'
  return report
}

const done = (r: Report): string =>
  `${r.steps.filter(s => s.outcome === 'done').length} of ${r.steps.length} steps done`
const passed = (r: Report): string =>
  `${r.checks.filter(c => c.outcome === 'pass').length} checks pass, ${
    r.checks
      .filter(c => c.outcome === 'found')
      .map(c => `${c.check} found ${c.found.length}`)
      .join(', ') || 'nothing found'
  }`
