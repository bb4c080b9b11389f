import { expect, test } from 'vitest'
import { type CheckResult, emptyReport, finding, type Report, type StepResult } from '../src/model/report.js'
import { renderHtml } from '../src/render/html.js'
import { renderMarkdown } from '../src/render/markdown.js'
import { renderTable } from '../src/render/table.js'

const look = { color: false, verbose: false, width: 100 }

const done = (n: number, change: Partial<StepResult> = {}): StepResult => ({
  track: 'many',
  migration: `${String(n).padStart(3, '0')}_step`,
  title: '',
  direction: 'up',
  phase: 'expand',
  transaction: 'one',
  outcome: 'done',
  durationMs: 10,
  attempts: 1,
  reason: null,
  hazards: [],
  statements: [],
  rows: null,
  locks: [],
  traces: [],
  ...change,
})

/** The steps in the table below the summary. */
const shown = (text: string): string[] =>
  text.slice(text.indexOf('\nSteps\n')).match(/\d{3}_step|\d+ more/g) ?? []

test('a table folds the middle of many steps that did what was planned, and nothing else', async () => {
  const steps = Array.from({ length: 60 }, (_, i) => done(i + 1))
  steps[39] = done(40, { attempts: 3 })
  const report = { ...emptyReport('migrate'), steps }
  expect(shown(await renderTable(report, look))).toEqual([
    ...[1, 2, 3, 4, 5].map(n => `00${n}_step`),
    '29 more',
    ...[35, 36, 37, 38, 39, 40].map(n => `0${n}_step`),
    // twenty steps in a row are not worth folding
    ...Array.from({ length: 20 }, (_, i) => `0${i + 41}_step`),
  ])
  expect(shown(await renderTable(report, { ...look, verbose: true })).slice(0, 60)).toEqual(
    steps.map(s => s.migration),
  )
})

test('steps that did not run are all in the table', async () => {
  const steps = Array.from({ length: 60 }, (_, i) =>
    done(i + 1, { outcome: 'not-run', reason: 'an earlier step did not finish' }),
  )
  expect(shown(await renderTable({ ...emptyReport('migrate'), steps }, look))).toHaveLength(60)
})

/** A check that came to something. */
const check = (name: string, change: Partial<CheckResult>): CheckResult => ({
  track: 'many',
  check: name,
  title: `Title of ${name}`,
  level: 'error',
  outcome: 'pass',
  applies: 'now',
  found: [],
  more: false,
  reason: null,
  fix: null,
  durationMs: 1,
  ...change,
})
const row = (change: Partial<CheckResult['found'][number]> = {}) => ({
  ...{ object: 'public.chats', detail: 'a row', key: 'many/x/public.chats', accepted: null },
  ...{ preExisting: false, ...change },
})

/** One check for each thing that a mark can say, and each way to it. */
const judged: Report = {
  ...emptyReport('verify'),
  verdict: 'attention',
  checks: [
    check('passes', {}),
    check('counts', { outcome: 'found', found: [row()] }),
    check('counts_unseen', { outcome: 'found', found: [row({ accepted: 'known' })], more: true }),
    check('from_before', { outcome: 'found', found: [row({ preExisting: true })] }),
    check('accepted', { outcome: 'found', found: [row({ accepted: 'known (until 2099-01-01)' })] }),
    check('warns', { outcome: 'found', level: 'warn', found: [row()] }),
    check('later', { outcome: 'skipped', applies: 'not yet', reason: 'after 011' }),
    check('not_looked', { outcome: 'skipped', reason: 'there is nothing to compare with' }),
    check('broken', { outcome: 'failed', reason: 'permission denied' }),
  ],
}
const signs = ['✓', '✗', '✗', '!', '!', '!', '–', '?', '?']

test('a mark says one thing in every format: only what counts against the verdict has a cross', async () => {
  const text = await renderTable(judged, look)
  await expect(text).toMatchFileSnapshot('golden/checks.txt')
  expect(text.match(/^ {2}[✓✗!–?](?= )/gm)?.map(mark => mark.trim())).toEqual(signs)
  const page = await renderHtml(judged)
  expect(page.match(/(?<=<td[^>]*>)[✓✗!–?](?= (pass|found|not yet|skipped|failed)<)/g)).toEqual([
    ...['✗', '✗', '?', '!', '!', '!', '✓', '–', '?'],
  ])
  const markdown = renderMarkdown(judged)
  await expect(markdown).toMatchFileSnapshot('golden/checks.md')
  const pictures = { '✓': '✅', '✗': '❌', '!': '⚠️', '–': '➖', '?': '❓' }
  const folded = markdown.slice(markdown.indexOf('<summary>9 checks'))
  const first = [...folded.matchAll(/^\| (\S+) \| `/gm)].map(m => m[1])
  expect(first).toEqual(signs.map(sign => pictures[sign as keyof typeof pictures]))
})

test('an explanation that its file did not take says why, below what it explains', async () => {
  const facts = { reason: 'no space left on device', by: 'system' as const, code: 'ENOSPC' }
  const rows = [
    ['kind', 'finding'],
    ['meaning', 'A check did not pass.'],
  ]
  const report = {
    ...emptyReport('explain'),
    tables: [{ title: 'GATE', columns: ['part', 'text'], rows }],
    findings: [finding('UNEXPECTED', 'write', facts)],
  }
  expect(await renderTable(report, look)).toMatch(
    /^GATE {2}finding\n\nmeaning\n {2}A check did not pass\.\n\n✗ [^\n]*no space left on device/,
  )
})
