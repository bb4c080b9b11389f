import { number, plural } from '../model/plural.js'
import { type Finding, isFault, isSevere, type Report, type Summary } from '../model/report.js'
import { answersFirst } from './answers.js'
import { foldedTitle, markdownBlock, markdownCode, markdownText, terminalText } from './escape.js'
import { defineRenderer } from './renderer.js'
import { summaryOf } from './summary.js'
import { worded } from './words/index.js'
import { cell, duration, moment } from './words/numbers.js'
import {
  type CheckSign,
  checkLine,
  earlierWords,
  rangesText,
  signOf,
  stepOutcome,
  transactionWords,
} from './words/verdicts.js'

const markdownMarks: Record<string, string> = {
  done: '✅',
  failed: '❌',
  interrupted: '⏸️',
  planned: '▫️',
  'not-run': '⏭️',
  'rolled-back': '↩️',
}

/** The signs of checks as emoji. */
const signMarks: Record<CheckSign, string> = {
  passes: '✅',
  counts: '❌',
  warns: '⚠️',
  'not applicable': '➖',
  'not looked': '❓',
}

/** Most urgent findings before the fold, so that the summary and these fit on one screen. */
const unfolded = 6

const row = (cells: string[]): string => `| ${cells.map(text => text.replaceAll('\n', '<br>')).join(' | ')} |`

const markdownGrid = (head: string[], rows: string[][]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

/** A folded part. */
const folded = (title: string, body: string): string => foldedBelow(foldedTitle(title), body)

/** A folded part with a title that is HTML already. */
const foldedBelow = (title: string, body: string): string =>
  `<details><summary>${title}</summary>\n\n${body}\n\n</details>`

/**
 * The report for a pull request or the page of a job: the summary, what the reader must do with the command,
 * then the details, folded. SQL is last, and only in plans.
 */
export function renderMarkdown(report: Report): string {
  const { answers, urgent, others } = answersFirst(report)
  const summary = summaryOf(report)
  const open = urgent.filter((f, i) => i < unfolded || isSevere(f))
  const more = urgent.filter(f => !open.includes(f))
  const failing = report.checks.filter(c => isFault(c))
  const blocks = [
    markdownHeading(report, summary),
    answers.length > 0 ? findingList(answers) : '',
    markdownSummary(summary),
    open.length > 0 ? findingList(open, summary.need?.command) : '',
    failing.length > 0 ? checksGrid(failing) : '',
    more.length > 0 ? folded(`${plural(more.length, 'more warning')}`, findingList(more)) : '',
    report.steps.length > 0 ? folded(plural(report.steps.length, 'step'), stepsGrid(report)) : '',
    report.backfill.length > 0 ? folded('Backfills', backfillsGrid(report)) : '',
    report.checks.length > 0 ? folded(plural(report.checks.length, 'check'), checksGrid(report.checks)) : '',
    ...report.tables
      .filter(t => t.rows.length > 0)
      .map(t => {
        const rows = t.rows.map(r => r.map((v, i) => markdownText(cell(v, t.columns[i]!))))
        return folded(t.title, markdownGrid(t.columns.map(markdownText), rows))
      }),
    others.length > 0 ? folded(plural(others.length, 'note'), findingList(others)) : '',
    ...(report.command === 'plan' ? markdownStatements(report) : []),
  ]
  return `${blocks.filter(Boolean).join('\n\n')}\n`
}

function markdownHeading({ command, target, startedAt, run }: Report, { verdict }: Summary): string {
  const title = `## rethread ${command}: ${markdownText(verdict)}`
  if (!target) return title
  const where = `${markdownCode(target.database)} on ${markdownCode(target.host)} (PostgreSQL ${markdownText(target.server)})`
  const when = [
    ...(run === undefined ? [] : [`run ${run}`]),
    ...(startedAt === undefined ? [] : [moment(startedAt)]),
  ]
  const sees = target.seesAllRows ? 'sees all rows' : 'may not see all rows'
  return `${title}\n\nTarget: ${where}, role ${markdownCode(target.role)} ${sees}${when.map(w => `, ${w}`).join('')}.`
}

function markdownSummary({ lines, need }: Summary): string {
  const items = lines.map(({ name, text, level }) => {
    const mark = { plain: '', warn: '⚠️ ', bad: '❌ ' }[level]
    return `- **${name}**: ${mark}${markdownText(text)}`
  })
  if (need) {
    const command = need.command === null ? '' : `\n${markdownBlock(need.command).replace(/^/gm, '  ')}`
    items.push(`- **From you**: ${markdownText(need.text)}${command}`)
  }
  return items.join('\n')
}

/** A list of findings. A fix that is in the summary's command is not repeated. */
const findingList = (findings: Finding[], command: string | null = null): string =>
  findings
    .map(worded)
    .map(f => findingItem(f.fix !== null && command?.includes(f.fix) ? { ...f, fix: null } : f))
    .join('\n')

/** A finding as an item of a list. The lines of its sentence become a list below it. */
function findingItem(f: Finding & { message: string; fix: string | null }): string {
  const [first, ...more] = f.message.split('\n')
  const excerpt = more.some(line => /^\s*\^$/.test(line))
  const below = excerpt
    ? `\n${markdownBlock(more.join('\n')).replace(/^/gm, '  ')}`
    : more.map(line => `\n  - ${markdownText(line.trim())}`).join('')
  const fix = f.fix ? `\n${markdownBlock(f.fix).replace(/^/gm, '  ')}` : ''
  return `- **${f.level}** \`${f.code}\` ${markdownText(first!)}${below}${fix}`
}

function stepsGrid(report: Report): string {
  const rows = report.steps.map(s => [
    markdownMarks[s.outcome] ?? '',
    markdownCode(s.migration),
    s.direction === 'down' ? 'rollback' : s.phase,
    [...new Set(s.hazards.map(h => `\`${h.code}\``))].join(' '),
    s.outcome === 'planned'
      ? s.targets
        ? `planned in ${plural(s.targets.length, 'database')}`
        : ''
      : [
          stepOutcome(report, s),
          s.targets ? plural(s.targets.length, 'database') : '',
          s.rows === null ? '' : plural(s.rows, 'row'),
          duration(s.durationMs),
          markdownText(s.reason ?? ''),
        ]
          .filter(Boolean)
          .join(', '),
  ])
  return markdownGrid(['', 'migration', 'phase', 'hazards', 'outcome'], rows)
}

function backfillsGrid({ backfill }: Report): string {
  const rows = backfill.map(b => [
    markdownCode(b.migration),
    b.state,
    number(b.rows),
    rangesText(b),
    number(b.quarantined),
    number(b.failed),
    duration(b.seconds * 1000),
  ])
  return markdownGrid(['migration', 'state', 'rows', 'ranges', 'set aside', 'failed', 'time'], rows)
}

function checksGrid(checks: Report['checks']): string {
  const rows = checks.map(r => [
    signMarks[signOf(r)],
    markdownCode(r.check),
    r.outcome === 'found'
      ? [
          ...r.found.filter(f => !f.preExisting).map(f => markdownText(`${f.object}: ${f.detail}`)),
          ...[earlierWords(r)].filter(Boolean),
          ...(r.more ? ['and more'] : []),
          ...(r.fix === null ? [] : [markdownText(r.fix)]),
        ].join('\n')
      : markdownText(checkLine(r)),
  ])
  return markdownGrid(['', 'check', ''], rows)
}

/** Each step with its hazards and its SQL. */
const markdownStatements = ({ steps, limits }: Report): string[] =>
  steps.map(s => {
    const hazards = s.hazards.map(h => `- \`${h.code}\` ${markdownText(`${h.subject}: ${h.detail}`)}`)
    const sql = markdownBlock(s.statements.map(q => `${q};`).join('\n\n'), 'sql')
    const body = [hazards.join('\n'), sql].filter(Boolean).join('\n\n')
    const how = transactionWords(s, limits?.batchMs)
    return foldedBelow(`<code>${foldedTitle(s.migration)}</code>: ${foldedTitle(s.title)} (${how})`, body)
  })

export default defineRenderer({ endings: ['.md', '.markdown'], safe: terminalText, render: renderMarkdown })
