import { expect, test } from 'vitest'
import { emptyReport, type StepResult } from '../src/model/report.js'
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

const shown = (text: string): string[] => text.match(/\d{3}_step|\d+ more/g) ?? []

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
