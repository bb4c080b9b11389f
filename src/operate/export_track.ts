import { exportToSupabase } from '../files/exported.js'
import type { BackfillExport } from '../files/exported_parts.sql.js'
import { lint } from '../files/lint.js'
import { Failures } from '../model/failure.js'
import type { Migration, Phase, Track } from '../model/project.js'
import { emptyReport, finding, type Report } from '../model/report.js'
import { stopBefore } from '../plan/make_plan.js'

/** Options of `export`. */
export interface ExportOptions {
  /** The folder for the files, and its path in a report. */
  to: string
  shown: string
  backfills: BackfillExport
  /** The last phase to export; null for everything that the old application survives. */
  phase: Phase | null
  /** The earliest date for the names of the files. */
  from: Date
}

/** Writes a track as files for the Supabase CLI. Refuses a track with faults. */
export async function exportTrack(track: Track, options: ExportOptions): Promise<Report> {
  const report = emptyReport('export')
  const faults = (await lint(track)).filter(f => f.level === 'error')
  if (faults.length > 0) throw new Failures(faults)
  const { phase } = options
  const whyNot = (m: Migration) => stopBefore(m, null, { to: null, phase, backfills: true })
  const end = track.migrations.findIndex(m => whyNot(m) !== null)
  const migrations = end < 0 ? track.migrations : track.migrations.slice(0, end)
  const files = await exportToSupabase(track, migrations, options.to, options)
  report.tables.push({
    title: `Files in ${options.shown}`,
    columns: ['file', 'migration', 'written', 'note'],
    rows: files.map(f => [f.file, f.migration, f.isNew ? 'now' : 'before', f.note]),
  })
  const written = files.filter(f => f.isNew).length
  report.findings.push(
    finding('EXPORTED', track.name, { to: options.shown, written, kept: files.length - written }),
  )
  const held = end < 0 ? null : track.migrations[end]!
  if (held)
    report.findings.push(
      finding('EXPORT_HELD', held.name, {
        left: track.migrations.length - migrations.length,
        because: whyNot(held) === 'ends-old-app' ? held.endsOldApp : null,
        track: track.name,
      }),
    )
  return report
}
