import type { Report } from '../model/report.js'
import { withoutCommands } from './escape.js'
import { renderMarkdown } from './markdown.js'
import { defineRenderer } from './renderer.js'
import { summaryOf } from './summary.js'
import { worded } from './words/index.js'
import { verdictWords } from './words/verdicts.js'

const levels = { info: 'notice', warn: 'warning', error: 'error', refused: 'error' } as const

/** Escapes for GitHub's workflow commands. Source: its documentation of workflow commands. */
const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** One workflow command. If the subject is a file, with or without a line, it is annotated there. */
function command(level: keyof typeof levels, title: string, subject: string, message: string): string {
  const place = /^((?:[\w.-]+\/)+[\w.-]+\.(?:sql|json))(?::(\d+))?/.exec(subject)
  const at = place ? [`file=${property(place[1]!)}`, ...(place[2] ? [`line=${place[2]}`] : [])] : []
  return `::${levels[level]} ${[...at, `title=${property(title)}`].join(',')}::${data(message)}`
}

/**
 * The summary of a report, and annotations for a GitHub workflow: one for each finding, each failed step and
 * each row that a check found.
 */
export function renderGithub(report: Report): string {
  // annotations have escaped line ends; other lines do not
  const lines: string[] = summaryLines(report).map(withoutCommands)
  for (const s of report.steps)
    if (s.outcome === 'failed')
      lines.push(command('error', s.migration, s.migration, s.reason ?? `${s.title}: failed`))
  for (const c of report.checks) {
    if (c.outcome === 'failed') lines.push(command('error', c.check, c.check, c.reason ?? c.title))
    for (const f of c.found)
      if (f.accepted === null)
        lines.push(
          command(
            f.preExisting ? 'warn' : c.level,
            `${c.check}: ${c.title}`,
            f.object,
            [`${f.object}: ${f.detail}`, ...(c.fix === null ? [] : [c.fix])].join('\n'),
          ),
        )
  }
  for (const f of report.findings.map(worded))
    lines.push(command(f.level, f.code, f.subject, f.fix ? `${f.message}\n${f.fix}` : f.message))
  lines.push(withoutCommands(`rethread ${report.command}: ${verdictWords(report)}`))
  return `${lines.join('\n')}\n`
}

/** The summary as lines of the log before the annotations. */
function summaryLines(report: Report): string[] {
  const { verdict, lines, need } = summaryOf(report)
  if (lines.length === 0) return []
  return [
    `rethread ${report.command}: ${verdict}`,
    ...lines.map(({ name, text }) => `  ${name}: ${text}`),
    ...(need ? [`  From you: ${need.text}`] : []),
    ...(need?.command ? [`    ${need.command}`] : []),
  ]
}

/** The environment variable with the file that GitHub shows as the page of the job. */
const page = { env: 'GITHUB_STEP_SUMMARY', render: renderMarkdown }

export default defineRenderer({ render: renderGithub, page })
