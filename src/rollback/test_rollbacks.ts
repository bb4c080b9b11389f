import { type Context, connect } from '../database/context.js'
import { inspect } from '../database/server.js'
import { tablesNamed } from '../files/track_objects.js'
import { migrate } from '../migrate/migrate.js'
import { bareMigrateOptions } from '../migrate/migrate_options.js'
import { hazards } from '../model/codes.js'
import type { Consent } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { emptyReport, finding, isSevere, type Report, type Table, verdictOf } from '../model/report.js'
import { wants } from '../plan/consent.js'
import { judgeForeignCode } from '../plan/foreign_code.js'
import { readHistory } from '../plan/history.js'
import { differences } from '../run/schema_snapshot.js'
import { type ObjectRow, objects } from '../run/schema_snapshot.sql.js'
import { rollback } from './rollback.js'

/** The result for one migration's rollback. */
type RollbackResult = 'exact' | 'drifted' | 'failed' | 'missing' | 'together' | 'interrupted'

/**
 * Applies, rolls back and applies each migration again on a scratch database in which none is applied, and
 * compares the schema. Results: exact, drifted (with the differences), failed, or missing. Migrations that
 * are undone together are tested if they have a file.
 */
export async function testRollbacks(ctx: Context, track: Track, consent: Consent): Promise<Report> {
  let report: Report
  {
    await using connection = await connect(ctx, 'reader')
    const target = await inspect(ctx, connection)
    report = emptyReport('rollback', target.info)
    const { plan } = await readHistory(connection, track, { to: null, phase: 'contract', backfills: true })
    report.findings.push(...plan.findings)
    const objects = plan.applied.map(m => m.name)
    const foreign = await judgeForeignCode(connection.sql, await tablesNamed(track))
    const refused =
      objects.length > 0
        ? [finding('UNTESTED_ROLLBACK', track.name, { result: 'untried', objects }, 'refused')]
        : wants(track.name, consent, {
            hazards: [...new Set(foreign.hazards.map(h => h.code))],
            database: target.info.database,
            because: [
              ...foreign.hazards.map(h => `${h.code}: ${h.detail}`),
              'every migration is applied, undone and applied again: use a scratch database',
            ],
          })
    report.findings.push(...refused)
    if (refused.length > 0) return { ...report, verdict: verdictOf(report) }
  }
  const all: Consent = { allow: new Set(Object.keys(hazards)), confirm: consent.confirm }
  const rows: Table['rows'] = []
  for (const m of track.migrations) {
    const { result, detail } = ctx.signal.aborted
      ? { result: 'interrupted' as const, detail: [] }
      : await upDownUp(ctx, track, m, all)
    rows.push([m.name, result, detail.join(', ') || null])
    if (result === 'drifted' || result === 'failed')
      report.findings.push(finding('UNTESTED_ROLLBACK', m.name, { result, objects: detail }))
    if (result === 'interrupted') report.findings.push(finding('INTERRUPTED', m.name, { command: null }))
    if (result === 'failed' || result === 'interrupted') break
  }
  report.tables.push({
    title: 'Applied, undone and applied again',
    columns: ['migration', 'rollback', 'what differs'],
    rows,
  })
  if (report.findings.some(f => f.code === 'UNTESTED_ROLLBACK')) report.verdict = 'attention'
  report.verdict = verdictOf(report)
  return report
}

async function upDownUp(
  ctx: Context,
  track: Track,
  m: Migration,
  consent: Consent,
): Promise<{ result: RollbackResult; detail: string[] }> {
  const before = await schema(ctx)
  const up = () => migrate(ctx, track, { ...bareMigrateOptions, to: m.name, consent, leaseWaitMs: 0 })
  const said = (r: Report) => r.findings.filter(isSevere).map(f => `${f.code} ${f.subject}`)
  const stuck = (r: Report) => ({
    result: r.verdict === 'interrupted' ? ('interrupted' as const) : ('failed' as const),
    detail: said(r),
  })
  const first = await up()
  if (first.verdict !== 'clean') return stuck(first)
  // it is undone together with an earlier migration, and tested there
  if (!m.rollback && m.undoneBy) return { result: 'together', detail: [`undone with ${m.undoneBy}`] }
  if (!m.rollback) return { result: 'missing', detail: [m.irreversible ?? 'no rollback file'] }
  const after = await schema(ctx)
  const down = await rollback(ctx, track, { to: null, steps: 1, all: false, consent, leaseWaitMs: 0 })
  if (down.verdict !== 'clean') return stuck(down)
  const drift = differences(before, await schema(ctx))
  const again = await up()
  if (again.verdict !== 'clean') return stuck(again)
  const detail = [...drift, ...differences(after, await schema(ctx))]
  return { result: detail.length === 0 ? 'exact' : 'drifted', detail }
}

async function schema(ctx: Context): Promise<ObjectRow[]> {
  await using connection = await connect(ctx, 'reader')
  return await objects(connection.sql)
}
