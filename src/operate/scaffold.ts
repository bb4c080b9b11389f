import { lint } from '../files/lint.js'
import type { Project, Track } from '../model/project.js'
import { emptyReport, type Finding, type Report } from '../model/report.js'

/**
 * The report of a command that wrote files of a track: the files, and their faults when they are read again.
 */
export async function scaffolded(
  command: string,
  written: string[],
  seen: Project,
  name: string,
  proof: (track: Track) => Finding | null,
): Promise<Report> {
  const report = emptyReport(command)
  const track = seen.tracks.find(t => t.name === name)!
  report.tables.push({ title: 'Written', columns: ['file'], rows: written.map(path => [path]) })
  report.findings.push(...[...seen.faults, ...(await lint(track))].filter(f => f.level === 'error'))
  if (report.findings.length > 0) report.verdict = 'attention'
  const proved = proof(track)
  if (proved) report.findings.push(proved)
  return report
}
