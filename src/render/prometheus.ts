import type { Finding, Report } from '../model/report.js'
import { exitCodes } from '../model/report.js'
import { defineRenderer } from './renderer.js'

/** One metric: its help, and a line for each set of labels. Unknown values have no line. */
interface Metric {
  help: string
  values: { labels?: Record<string, string>; value: number | null | undefined }[]
}

const labelText = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

/**
 * Metrics in the text format of Prometheus. They are for `status`, which has the active run and the progress.
 * Other commands only have the verdict and the backfills. For many databases, each has its lines, with its
 * name as `target`.
 */
export function renderPrometheus(report: Report): string {
  const metrics = metricsOf(report)
  // merged values of many databases belong to none of them
  if (report.targets)
    for (const [name, metric] of Object.entries(metrics)) if (name !== 'exit_code') metric.values = []
  for (const { name, report: one } of report.targets ?? []) {
    for (const [metric, { values }] of Object.entries(one ? metricsOf(one) : {}))
      metrics[metric]!.values.push(
        ...values.map(({ labels, value }) => ({ labels: { target: name, ...labels }, value })),
      )
  }
  return Object.entries(metrics)
    .map(([name, metric]) => metricText(`rethread_${name}`, metric))
    .join('')
}

function metricsOf(report: Report): Record<string, Metric> {
  const { findings, backfill, steps } = report
  const has = (code: Finding['code']): number => (findings.some(f => f.code === code) ? 1 : 0)
  const ofStatus = (value: number): number | null => (report.command === 'status' ? value : null)
  const far = findings.find(f => f.code === 'HOW_FAR')?.facts
  const archive = findings.find(f => f.code === 'ARCHIVE_WAITING')?.facts
  const work = findings.find(f => f.code === 'AT_WORK')?.facts
  const each = (value: (b: Report['backfill'][number]) => number | null | undefined): Metric['values'] =>
    backfill.map(b => ({ labels: { track: b.track, migration: b.migration }, value: value(b) }))
  return {
    exit_code: {
      help: 'Exit code of the command: 0 is clean.',
      values: [{ labels: { command: report.command }, value: exitCodes[report.verdict] }],
    },
    at_work: {
      help: 'Whether a run holds the lease and lives.',
      values: [{ value: ofStatus(has('AT_WORK')) }],
    },
    heartbeat_age_seconds: {
      help: 'Seconds since the run at work said that it lives.',
      values: [{ value: work?.heartbeatSeconds }],
    },
    run_killed: {
      help: 'Whether the last run was killed and none has gone on.',
      values: [{ value: ofStatus(has('RUN_KILLED')) }],
    },
    migrations: { help: 'Migrations of the track.', values: [{ value: far?.of }] },
    migrations_applied: { help: 'Those that are applied.', values: [{ value: far?.applied }] },
    steps_failed: {
      help: 'Steps of this command that failed.',
      values: [{ value: steps.filter(s => s.outcome === 'failed').length }],
    },
    drifted: {
      help: 'Whether others have changed the schema since the last step.',
      values: [{ value: has('DRIFT') || has('NOT_DRIFTED') ? has('DRIFT') : null }],
    },
    archive_waiting_rows: {
      help: 'Rows of the newest rollback that nobody has brought back.',
      values: [{ value: archive?.rows ?? ofStatus(0) }],
    },
    backfill_rows: { help: 'Rows that a backfill has written.', values: each(b => b.rows) },
    backfill_fraction: { help: 'Share of its pages that is done.', values: each(b => b.fraction) },
    backfill_rows_per_second: { help: 'Its pace.', values: each(b => b.rowsPerSecond) },
    backfill_eta_seconds: { help: 'Seconds left at this pace.', values: each(b => b.etaSeconds) },
    backfill_failed_rows: { help: 'Rows that failed.', values: each(b => b.failed) },
    backfill_set_aside_rows: { help: 'Rows that were set aside.', values: each(b => b.quarantined) },
  }
}

function metricText(name: string, { help, values }: Metric): string {
  const lines = values.flatMap(({ labels = {}, value }) => {
    if (value === null || value === undefined) return []
    const set = Object.entries(labels).map(([label, text]) => `${label}="${labelText(text)}"`)
    return [`${name}${set.length > 0 ? `{${set.join(',')}}` : ''} ${value}\n`]
  })
  return lines.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`
}

export default defineRenderer({ endings: ['.prom'], render: renderPrometheus })
