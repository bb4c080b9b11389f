import type { Report } from '../model/report.js'
import { htmlText, markdownBlock, markdownCode, markdownText, terminalText } from './escape.js'
import { defineRenderer } from './renderer.js'
import { worded } from './words/index.js'
import { cell, duration, number } from './words/numbers.js'
import { type CheckSign, checkLine, signOf, verdictWords } from './words/verdicts.js'

const markdownMarks: Record<string, string> = {
  done: '✅',
  failed: '❌',
  interrupted: '⏸️',
  planned: '▫️',
  'not-run': '⏭️',
  'rolled-back': '↩️',
}

/** The signs of checks, as pictures. */
const signMarks: Record<CheckSign, string> = {
  passes: '✅',
  counts: '❌',
  warns: '⚠️',
  'not applicable': '➖',
  'not looked': '❓',
}

const row = (cells: string[]): string => `| ${cells.map(text => text.replaceAll('\n', '<br>')).join(' | ')} |`

const markdownGrid = (head: string[], rows: string[][]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

/** The report for a pull request: a summary on top, the SQL folded away. */
export function renderMarkdown(report: Report): string {
  const blocks: string[] = []
  const { target } = report
  const where = target
    ? ` of ${markdownCode(target.database)} on ${markdownCode(target.host)} (PostgreSQL ${markdownText(target.server)})`
    : ''
  blocks.push(
    `## rethread ${report.command}: ${markdownText(verdictWords(report))}${where ? `\n\n${where.trim().replace(/^of/, 'Target:')}, role ${markdownCode(target!.role)} ${target!.seesAllRows ? 'sees all rows' : 'may not see all rows'}.` : ''}`,
  )
  if (report.steps.length > 0) {
    const rows = report.steps.map(s => [
      markdownMarks[s.outcome] ?? '',
      markdownCode(s.migration),
      s.direction === 'down' ? 'rollback' : s.phase,
      [...new Set(s.hazards.map(h => `\`${h.code}\``))].join(' '),
      s.outcome === 'planned'
        ? ''
        : [s.outcome, duration(s.durationMs), markdownText(s.reason ?? '')].filter(Boolean).join(', '),
    ])
    blocks.push('### Steps\n\n' + markdownGrid(['', 'migration', 'phase', 'hazards', 'outcome'], rows))
    for (const s of report.steps) {
      const hazards = s.hazards
        .map(h => `- \`${h.code}\` ${markdownText(`${h.subject}: ${h.detail}`)}`)
        .join('\n')
      blocks.push(
        `<details><summary><code>${htmlText(s.migration)}</code>: ${htmlText(s.title)}</summary>\n\n${hazards}${hazards ? '\n\n' : ''}${markdownBlock(s.statements.map(q => q + ';').join('\n\n'), 'sql')}\n</details>`,
      )
    }
  }
  if (report.backfill.length > 0) {
    const rows = report.backfill.map(b => [
      markdownCode(b.migration),
      b.state,
      number(b.rows),
      `${b.rangesDone}/${b.ranges}`,
      number(b.quarantined),
      number(b.failed),
      `${b.seconds} s`,
    ])
    blocks.push(
      '### Backfills\n\n' +
        markdownGrid(['migration', 'state', 'rows', 'ranges', 'set aside', 'failed', 'time'], rows),
    )
  }
  if (report.checks.length > 0) {
    const rows = report.checks.map(r => [
      signMarks[signOf(r)],
      markdownCode(r.check),
      r.outcome === 'found'
        ? [
            ...r.found.filter(f => !f.preExisting).map(f => markdownText(`${f.object}: ${f.detail}`)),
            ...(r.more ? ['and more'] : []),
            ...(r.fix === null ? [] : [markdownText(r.fix)]),
          ].join('\n')
        : markdownText(checkLine(r)),
    ])
    blocks.push('### Checks\n\n' + markdownGrid(['', 'check', ''], rows))
  }
  for (const t of report.tables) {
    if (t.rows.length === 0) continue
    blocks.push(
      `### ${markdownText(t.title)}\n\n` +
        markdownGrid(
          t.columns.map(markdownText),
          t.rows.map(r => r.map((v, i) => markdownText(cell(v, t.columns[i]!)))),
        ),
    )
  }
  if (report.findings.length > 0) {
    const items = report.findings
      .map(worded)
      .map(
        f =>
          `- **${f.level}** \`${f.code}\` ${markdownText(f.message)}${
            f.fix ? `\n${markdownBlock(f.fix).replace(/^/gm, '  ')}` : ''
          }`,
      )
    blocks.push('### Findings\n\n' + items.join('\n'))
  }
  return blocks.join('\n\n') + '\n'
}

export default defineRenderer({ safe: terminalText, render: renderMarkdown })
