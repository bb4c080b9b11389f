import { expect, test } from 'vitest'
import {
  type CheckResult,
  emptyReport,
  type Finding,
  finding,
  type Report,
  type StepResult,
} from '../src/model/report.js'
import { summaryOf } from '../src/render/summary.js'

const step = (change: Partial<StepResult> = {}): StepResult => ({
  ...{ track: 'own', migration: '001_change', title: 'A change', direction: 'up', phase: 'expand' },
  ...{ transaction: 'one', outcome: 'planned', durationMs: null, attempts: 0, reason: null, hazards: [] },
  ...{ statements: [], rows: null, locks: [], traces: [] },
  ...change,
})
const report = (command: string, change: Partial<Report>): Report => ({ ...emptyReport(command), ...change })
const said = (of: Report, name: string) => summaryOf(of).lines.find(l => l.name === name)?.text
const hazard = (code: string, detail = 'a detail') => ({ code, subject: 'public.chats', detail })

test('nothing is lost is said only where nothing can be', () => {
  const data = (steps: StepResult[], command = 'plan') => said(report(command, { steps }), 'Data')
  expect(data([step()])).toBe('nothing is lost or set aside')
  for (const outcome of ['planned', 'done'] as const)
    expect(data([step({ outcome, hazards: [hazard('DELETES_DATA')] })], 'migrate')).toBe(
      '1 deletion for good (DELETES_DATA)',
    )
  expect(data([step({ hazards: [hazard('CANNOT_TELL')] })])).toBe('not known of 1 statement')
  expect(data([step({ takesOut: 1200 })])).toBe('1,200 rows taken out of their table into the quarantine')
  expect(data([step({ hazards: [hazard('WIDENS_ACCESS')] })])).toBe('changes who sees rows (WIDENS_ACCESS)')
})

test('a rollback says whose rows are at risk; a failed run claims nothing of its data', () => {
  const steps = [step({ direction: 'down', hazards: [hazard('DELETES_DATA', 'drops table public.chats')] })]
  const loss = finding('LOSS', 'public.chats', { atRisk: 7, edited: 3, users: 4, rows: 100 })
  expect(said(report('plan', { steps }), 'Data')).toBe('1 object dropped, no row of users at risk')
  expect(said(report('plan', { steps, findings: [loss] }), 'Data')).toBe(
    '1 object dropped, 7 rows at risk without the archive',
  )
  const failed = report('migrate', { steps: [step({ outcome: 'failed' })], verdict: 'failed' })
  expect([summaryOf(failed).verdict, said(failed, 'Data')]).toEqual(['Failed', undefined])
})

test('rows that were set aside and then taken out count once', () => {
  const aside = (migration: string, takenOut: boolean) =>
    finding('QUARANTINED', 'public.chats', { migration, rows: 9, takenOut, parts: false })
  const findings = [aside('005_assign', false), aside('009_set_aside', true)]
  const steps = [step({ outcome: 'done' })]
  expect(said(report('migrate', { steps, findings }), 'Data')).toBe(
    '9 rows taken out of their table into the quarantine',
  )
  expect(said(report('migrate', { steps, findings: findings.slice(0, 1) }), 'Data')).toBe(
    '9 rows set aside, in place',
  )
})

test('the verdict in words: what to decide is not what to repair', () => {
  const verdict = (command: string, change: Partial<Report>) => summaryOf(report(command, change)).verdict
  const consent = finding('CONSENT_NEEDED', 'own', {
    ...{ allow: ['DELETES_DATA'], missing: ['DELETES_DATA'], confirm: 'chat', because: ['DELETES_DATA: x'] },
  })
  const conflict = finding('PLAN_CHANGED', 'own', { changes: ['another file'] })
  const refused = { verdict: 'refused' as const, steps: [step({ outcome: 'not-run' })] }
  expect(verdict('plan', { steps: [step()] })).toBe('Ready')
  expect(verdict('migrate', { ...refused, findings: [consent] })).toBe(
    'Needs a decision: nothing was changed',
  )
  expect(verdict('migrate', { ...refused, findings: [consent, conflict] })).toBe(
    'Refused: nothing was changed',
  )
  expect(verdict('plan', { verdict: 'attention', findings: [{ ...conflict, level: 'warn' }] })).toBe(
    'A run would be refused',
  )
  const half = [step({ outcome: 'done' }), ...refused.steps]
  expect(verdict('migrate', { ...refused, steps: half, findings: [conflict] })).toBe(
    'Refused: 1 of 2 steps finished before',
  )
  const next = 'rethread rollback --track own --all --allow DELETES_DATA --confirm chat'
  expect(summaryOf(report('rollback', { ...refused, next, findings: [consent] })).need).toEqual({
    text: 'your consent by name: DELETES_DATA, the name of the database',
    command: next,
  })
})

test('a run with a step that did not end is not done, and says how to continue', () => {
  const summary = (steps: StepResult[], findings: Finding[] = []) =>
    summaryOf(report('migrate', { verdict: 'attention', steps, findings }))
  const done = step({ outcome: 'done' })
  const rows = finding('ROWS_FAILED', 'public.chats', {
    ...{ migration: '002_fill', rows: 3, keys: ['1'], stoppedEarly: false },
    ...{ reason: 'read only', sqlstate: 'P0001' },
  })
  expect(summary([done]).verdict).toBe('Done, with something to look at')
  for (const outcome of ['interrupted', 'failed', 'not-run'] as const)
    expect(summary([done, step({ outcome })]).verdict).toBe('Not finished')
  expect(summary([step({ outcome: 'interrupted' })], [rows]).need).toEqual({
    text: 'remove the cause of the failed rows, then run the same command; this shows them',
    command: 'rethread quarantine list',
  })
})

test('a verify that found something names the checks, and the command that runs them again', () => {
  const check = (name: string, change: Partial<CheckResult> = {}): CheckResult => ({
    ...{ track: 'own', check: name, level: 'error', outcome: 'found', applies: 'now', title: name },
    ...{ reason: null, more: false, fix: null, durationMs: 1 },
    ...{ found: [{ object: 'a', detail: 'b', accepted: null, preExisting: false, key: 'own/x/a' }] },
    ...change,
  })
  const need = (...checks: CheckResult[]) =>
    summaryOf(report('verify', { verdict: 'attention', checks })).need
  expect(need(check('grants'), check('quarantined', { level: 'warn' }), check('triggers'))).toEqual({
    text: 'fix what `grants`, `triggers` found; this checks it again',
    command: 'rethread verify --only grants,triggers',
  })
  expect(need(check('quarantined', { level: 'warn' }))).toBeNull()
})

test('who waits, and at most how long; what nobody could tell is not nobody', () => {
  const lock = { statement: 1, table: 'public.chats', mode: 'ACCESS EXCLUSIVE', heldMs: null }
  const both = step({ locks: [{ ...lock, blocks: 'reads and writes' }] })
  const limits = { lockTimeoutMs: 2000, batchMs: 40 }
  const waits = (steps: StepResult[]) => said(report('plan', { steps, limits }), 'Who waits')
  expect(waits([step()])).toBe('nobody')
  expect(waits([both])).toBe(
    'reads and writes of public.chats; at most 2 s while a lock is waited for, then until its step ends',
  )
  expect(waits([step({ locks: [{ ...lock, table: null, blocks: 'nothing' }] })])).toBe(
    'not known of 1 statement: `--rehearse-url <copy>` shows it',
  )
  const trace = { statement: 1, text: '', ms: 12, rewritten: [], rows: 0, walBytes: 0 }
  const locks = [{ ...lock, blocks: 'reads and writes' as const, heldMs: 12 }]
  expect(waits([{ ...both, traces: [{ ...trace, locks }] }])).toBe(
    'reads and writes of public.chats; longest lock in the rehearsal: 12 ms; at most 2 s while a lock is waited for',
  )
})
