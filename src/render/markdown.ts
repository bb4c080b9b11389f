import { codes } from '../model/codes.js'
import type { Finding, Report } from '../model/report.js'
import { answersFirst } from './answers.js'
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

/**
 * The report for a pull request or the page of a job: the verdict, what is needed from the reader with its
 * command, then what happens. SQL is folded, and only in plans.
 */
export function renderMarkdown(report: Report): string {
  const blocks: string[] = []
  const { target } = report
  const where = target
    ? ` of ${markdownCode(target.database)} on ${markdownCode(target.host)} (PostgreSQL ${markdownText(target.server)})`
    : ''
  blocks.push(
    `## rethread ${report.command}: ${markdownText(verdictWords(report))}${where ? `\n\n${where.trim().replace(/^of/, 'Target:')}, role ${markdownCode(target!.role)} ${target!.seesAllRows ? 'sees all rows' : 'may not see all rows'}.` : ''}`,
  )
  const { answers, others } = answersFirst(report)
  if (answers.length > 0) blocks.push(answers.map(worded).map(findingItem).join('\n'))
  const items = others.map(worded)
  const urgent = items.filter(f => f.level !== 'info').sort((x, y) => rank(x) - rank(y))
  if (urgent.length > 0) blocks.push(urgent.map(findingItem).join('\n'))
  if (report.steps.length > 0) blocks.push(...stepBlocks(report))
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
  const calm = items.filter(f => f.level === 'info')
  if (calm.length > 0) blocks.push('### Notes\n\n' + calm.map(findingItem).join('\n'))
  return blocks.join('\n\n') + '\n'
}

/** What is to be decided now comes before what is only to be known; a plan warns of what a run refuses. */
const rank = ({ level, code }: Finding): number =>
  level === 'refused' ? 0 : level === 'error' ? 1 : code === 'FAIL_ON' || codes[code] === 'refused' ? 2 : 3

const findingItem = (f: Finding & { message: string; fix: string | null }): string =>
  `- **${f.level}** \`${f.code}\` ${markdownText(f.message)}${
    f.fix ? `\n${markdownBlock(f.fix).replace(/^/gm, '  ')}` : ''
  }`

/** The steps as a table; their SQL below, folded, where it is to be read: in plans. */
function stepBlocks({ command, steps }: Report): string[] {
  const rows = steps.map(s => [
    markdownMarks[s.outcome] ?? '',
    markdownCode(s.migration),
    s.direction === 'down' ? 'rollback' : s.phase,
    [...new Set(s.hazards.map(h => `\`${h.code}\``))].join(' '),
    s.outcome === 'planned'
      ? s.targets
        ? `planned in ${s.targets.length} databases`
        : ''
      : [s.outcome, duration(s.durationMs), markdownText(s.reason ?? '')].filter(Boolean).join(', '),
  ])
  const table = '### Steps\n\n' + markdownGrid(['', 'migration', 'phase', 'hazards', 'outcome'], rows)
  if (command !== 'plan') return [table]
  const folded = steps.map(s => {
    const hazards = s.hazards
      .map(h => `- \`${h.code}\` ${markdownText(`${h.subject}: ${h.detail}`)}`)
      .join('\n')
    const sql = markdownBlock(s.statements.map(q => q + ';').join('\n\n'), 'sql')
    return `<details><summary><code>${htmlText(s.migration)}</code>: ${htmlText(s.title)}</summary>\n\n${hazards}${hazards ? '\n\n' : ''}${sql}\n</details>`
  })
  return [table, ...folded]
}

export default defineRenderer({ endings: ['.md', '.markdown'], safe: terminalText, render: renderMarkdown })
