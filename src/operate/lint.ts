import { lint } from '../files/lint.js'
import { squawk } from '../files/squawk.js'
import { readTrackInfo } from '../files/track_info.js'
import type { Level } from '../model/codes.js'
import type { Project, Track } from '../model/project.js'
import { emptyReport, finding, isSevere, type Report } from '../model/report.js'
import { trackNamed } from '../plan/choose_track.js'
import { layoutFindings } from '../plan/open_context.js'

/**
 * Checks the files without a database: names, headers, syntax, and patterns that cause problems later. Checks
 * one track if it is named, else every track of the folder. One report has all faults. Throws TRACK_UNCLEAR
 * if there is no such track.
 */
export async function lintProject(
  project: Project,
  named: string | null,
  lowest: Extract<Level, 'warn' | 'error'>,
): Promise<Report> {
  const tracks = named === null ? project.tracks : [trackNamed(project.tracks, named)]
  const report = emptyReport('lint')
  const mine = (path: string) => tracks.some(t => isOf(t, path))
  report.findings.push(...project.faults.filter(f => named === null || mine(f.subject)))
  for (const track of tracks)
    report.findings.push(
      ...layoutFindings(track, 'error'),
      ...(await lint(track, await squawk(track))),
      ...(await readTrackInfo(track)).faults,
    )
  report.tables.push({
    title: 'Tracks',
    columns: ['track', 'migrations', 'rollbacks', 'checks', 'errors', 'warnings'],
    rows: tracks.map(t => [
      t.name,
      t.migrations.length,
      t.migrations.filter(m => m.rollback).length,
      t.checks.filter(c => !c.shared).length,
      ...(['error', 'warn'] as const).map(level => countIn(report, t, level)),
    ]),
  })
  const failing = report.findings.filter(f => isSevere(f) || (lowest === 'warn' && f.level === 'warn'))
  if (failing.length > 0) report.verdict = 'attention'
  else
    report.findings.push(
      finding('FILES_HOLD', named ?? project.root, { files: tracks.reduce((n, t) => n + filesOf(t), 0) }),
    )
  return report
}

const filesOf = (t: Track): number =>
  t.migrations.length + t.migrations.filter(m => m.rollback).length + t.checks.filter(c => !c.shared).length

const countIn = ({ findings }: Report, track: Track, level: Level): number =>
  findings.filter(f => f.level === level && isOf(track, f.subject)).length

/** Whether a path belongs to a track: by its folder, or by the layout of another tool. */
const isOf = ({ name, layout }: Track, path: string): boolean =>
  path.split('/')[1] === name ||
  (layout !== null && (layout.folder === '.' || path.startsWith(layout.folder)))
