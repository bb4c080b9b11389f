import { beforeAll, describe, expect, test } from 'vitest'
import { hasColor, lookOf, showsUnicode, withPlainMarks } from '../src/cli/look.js'
import { InPlace, liveLine } from '../src/cli/progress.js'
import { openTerminal } from '../src/cli/terminal.js'
import type { Event } from '../src/model/event.js'
import { emptyReport, finding, type Report, type StepResult } from '../src/model/report.js'
import { gridLines, loadTables } from '../src/render/grid.js'
import { renderTable } from '../src/render/table.js'
import { displayWidth, wrapped } from '../src/render/wrap.js'

const batch = (change: Partial<Event & { type: 'batch' }> = {}): Event & { type: 'batch' } => ({
  type: 'batch',
  migration: '005_assign_messages',
  rows: 1_234_567,
  fraction: 0.4567,
  rowsPerSecond: 5942,
  etaSeconds: 754,
  batchMs: 41,
  pace: 'slower',
  ...change,
})

beforeAll(loadTables)

describe('the progress line', () => {
  const slowed = batch({ pace: 'resting: a replica is 3.2 s behind, which is more than 2 s' })
  test('has everything at 120 columns, and fits 80 and 40', () => {
    expect([120, 80, 40].map(width => liveLine(batch(), width))).toEqual([
      '  [#####-------] 45%  1,234,567 rows  5,942 rows/s  ETA 12 min 34 s  batch 41 ms  (slower)',
      '  [#####-------] 45%  1,234,567 rows  5,942 rows/s  ETA 12 min 34 s  (slower)',
      '  45%  1,234,567 rows  ETA 12 min 34 s',
    ])
  })
  test('says why it is slow at 80 columns, as far as there is room', () => {
    expect(liveLine(slowed, 110)).toBe(
      '  [#####-------] 45%  1,234,567 rows  5,942 rows/s  ETA 12 min 34 s  (resting: a replica is 3.2 s behind, ...)',
    )
    const early = { ...slowed, rows: 900, etaSeconds: null, fraction: 0 }
    expect(liveLine(early, 80)).toBe(
      '  [------------] 0%  900 rows  5,942 rows/s  ETA ?  (resting: a replica is ...)',
    )
  })
  test.each([20, 30, 39, 40, 41, 60, 79, 80, 81, 100, 200])('is never wider than %i columns', width => {
    for (const event of [
      batch(),
      slowed,
      batch({ rows: 10 ** 12, etaSeconds: 10 ** 6, rowsPerSecond: 10 ** 7 }),
    ])
      expect(liveLine(event, width).length).toBeLessThanOrEqual(width)
  })
})

test('a run that is ended at once says what is in place', () => {
  const run = new InPlace()
  expect(run.text()).toBe('Stopped at once. Nothing was changed.')
  const start = (migration: string, index: number): Event => ({
    ...{ type: 'step-start', title: '', phase: 'backfill', direction: 'up' },
    ...{ migration, index, of: 3 },
  })
  run.note({ type: 'run', run: 7 })
  run.note(start('001_a', 1))
  expect(run.text()).toContain(
    'In place: 0 of 3 steps. `001_a` was under way: the server takes back what was not committed.',
  )
  run.note({ type: 'step-done', migration: '001_a', durationMs: 1, rows: null, skipped: 0 })
  run.note(start('002_b', 2))
  run.note(batch({ migration: '002_b', rows: 4000 }))
  expect(run.text()).toBe(
    'Stopped at once. In place: 1 of 3 steps. Of `002_b`, 4,000 rows are committed; the batch that was under way is taken back. The same command continues from there; rethread status shows it.',
  )
})

const process = (env: Record<string, string>, stdout: object = {}, platform = 'linux') =>
  ({ env, stdout, platform }) as unknown as NodeJS.Process

test('colours: the flag, then FORCE_COLOR, then NO_COLOR, then the terminal', () => {
  const tty = { isTTY: true }
  const asked = (env: Record<string, string>, stdout: object = {}, typed = {}) =>
    hasColor(process(env, stdout), typed)
  expect([asked({}), asked({}, tty), asked({ TERM: 'dumb' }, tty)]).toEqual([false, true, false])
  expect([asked({ NO_COLOR: '1' }, tty), asked({ NO_COLOR: '' }, tty)]).toEqual([false, true])
  expect([asked({ FORCE_COLOR: '1' }), asked({ FORCE_COLOR: '0' }, tty)]).toEqual([true, false])
  expect(asked({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(true)
  expect(asked({ FORCE_COLOR: '1' }, tty, { color: false })).toBe(false)
})

test('sentences are wrapped where somebody looks, and whole where a program reads', () => {
  expect(lookOf(process({}), {})).toMatchObject({ width: 100, wrap: false })
  expect(lookOf(process({ COLUMNS: '80' }), {})).toMatchObject({ width: 80, wrap: true })
  expect(lookOf(process({ COLUMNS: 'wide' }), {})).toMatchObject({ width: 100, wrap: false })
  expect(lookOf(process({ COLUMNS: '80' }, { columns: 40 }), {})).toMatchObject({ width: 40, wrap: true })
})

test('progress is wrapped at words on a terminal, but for what is to be pasted, and whole in a log', () => {
  const shown = (stderr: object): string[] => {
    const texts: string[] = []
    const streams = { env: {}, stdin: {}, stdout: {}, platform: 'linux' }
    const fake = { ...streams, stderr: { ...stderr, write: (text: string) => texts.push(text) } }
    const look = {
      json: false,
      quiet: false,
      verbose: false,
      typedAs: { program: 'npx rethread', flags: '', commands: ['rollback'] },
    }
    const terminal = openTerminal(fake as unknown as NodeJS.Process, look)
    const command = 'rethread rollback --track workspace-sessions --all --allow DELETES_DATA --confirm chat'
    terminal.emit({
      ...{ type: 'step-start', direction: 'up', index: 2, of: 8, migration: '002_link' },
      title: 'Give messages a session_id, and fill it in every message',
    } as Event)
    terminal.emit({ type: 'rollback-cost', atRisk: 0, command } as Event)
    return texts.join('').trimEnd().split('\n')
  }
  expect(shown({ isTTY: true, columns: 40 })).toEqual([
    '→ [2/8] 002_link: Give messages a',
    '  session_id, and fill it in every',
    '  message',
    '  rollback (0 rows at risk): npx rethread rollback --track workspace-sessions --all --allow DELETES_DATA --confirm chat',
  ])
  expect(shown({})[0]).toBe('→ [2/8] 002_link: Give messages a session_id, and fill it in every message')
})

test('a Windows console gets marks of its code page, a Windows Terminal all of them', () => {
  expect(showsUnicode(process({}, {}, 'win32'))).toBe(false)
  expect(showsUnicode(process({ WT_SESSION: '1' }, {}, 'win32'))).toBe(true)
  expect([showsUnicode(process({})), showsUnicode(process({ TERM: 'linux' }))]).toEqual([true, false])
  expect(withPlainMarks('→ [1/8] ✓ ✗ – ‖ ↺ · naïve 会話')).toBe('> [1/8] √ x - | < . naïve 会話')
})

describe('wrapping', () => {
  test('breaks at blanks, and keeps the indent of a line', () => {
    expect(wrapped('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrapped('    ENDS_OLD_APP: from here on', 20, 2)).toEqual([
      '    ENDS_OLD_APP:',
      '      from here on',
    ])
  })
  test('keeps code that fits, and an excerpt above its caret', () => {
    const code = 'if x then\n    y  :=  1;\nend if;'
    expect(wrapped(code, 20).join('\n')).toBe(code)
    const excerpt = 'fault:\n    select a_very_long_line from somewhere_else\n           ^'
    expect(wrapped(excerpt, 20).join('\n')).toBe(excerpt)
  })
  test('takes 200,000 words', () => {
    const words = Array.from({ length: 200_000 }, (_, i) => `w${i}`)
    expect(wrapped(words.join(' '), 80).join(' ').split(' ')).toEqual(words)
    const grid = { head: ['name', 'words'], rows: [['a', words.join(' ')]] }
    expect(gridLines(grid, 80).every(line => line.length <= 80)).toBe(true)
    expect(gridLines({ head: ['a'], rows: [['x'.repeat(200_000)]] }, 40)).toHaveLength(5000)
  })
  test('counts the columns of wide letters, and none for marks and colours', () => {
    expect(['abc', '会話', 'e\u0301', '\u001b[32mok\u001b[39m'].map(displayWidth)).toEqual([3, 4, 1, 2])
    expect(
      gridLines(
        {
          head: ['a', 'b'],
          rows: [
            ['会話', 'x'],
            ['ab', 'y'],
          ],
        },
        20,
      ),
    ).toEqual(['a     b', '会話  x', 'ab    y'])
  })
})

describe('a table', () => {
  const grid = {
    head: ['migration', 'state', 'passes', 'reason'],
    rows: [
      ['005_assign_messages', 'done', '9', ''],
      ['007_release', 'failed', '1', ''],
    ],
  }
  test('leaves out columns that say nothing, then spare ones, then sets rows below each other', () => {
    expect(gridLines(grid, 60, ['passes'])[0]).toBe('migration            state   passes')
    expect(gridLines(grid, 30, ['passes'])).toEqual([
      'migration            state',
      '005_assign_messages  done',
      '007_release          failed',
    ])
    expect(gridLines(grid, 20, ['passes'])).toEqual([
      '005_assign_messages',
      '    state: done',
      '    passes: 9',
      '007_release',
      '    state: failed',
      '    passes: 1',
    ])
  })
})

const step = (n: number, change: Partial<StepResult>): StepResult => ({
  ...{
    track: 'own',
    migration: `${String(n).padStart(3, '0')}_give_messages_their_session`,
    title: 'A title',
  },
  ...{ direction: 'up', phase: 'expand', transaction: 'one', outcome: 'planned', durationMs: null },
  ...{ attempts: 0, reason: null, hazards: [], statements: ['select 1'], rows: null, locks: [], traces: [] },
  ...change,
})

/** A plan with a part of every kind. */
const plan: Report = {
  ...emptyReport('plan', {
    ...{ host: 'db.example.com', port: 5432, database: 'chat', role: 'deploy', server: '18.1' },
    ...{ seesAllRows: true, why: 'owner of all tables' },
  }),
  verdict: 'attention',
  startedAt: '2026-01-01T12:00:00.000Z',
  limits: { lockTimeoutMs: 2000, batchMs: 40 },
  next: 'rethread migrate --track own --allow ENDS_OLD_APP',
  steps: [
    step(1, {
      locks: [
        {
          statement: 1,
          table: 'public.messages',
          mode: 'ACCESS EXCLUSIVE',
          blocks: 'reads and writes',
          heldMs: null,
        },
        { statement: 1, table: 'public.users', mode: 'SHARE ROW EXCLUSIVE', blocks: 'writes', heldMs: null },
      ],
      hazards: [
        { code: 'LOCKS_TABLE', subject: 'public.messages', detail: 'ADD COLUMN takes ACCESS EXCLUSIVE' },
      ],
    }),
    step(2, {
      phase: 'backfill',
      estimate: { rows: 12_000_000, secondsLow: 200, secondsHigh: 1800, basis: 'usual' },
      takesOut: 3,
    }),
  ],
  tables: [
    {
      title: 'Backfills',
      columns: ['migration', 'walks', 'because', 'from'],
      rows: [
        [
          '002_give_messages_their_session',
          'public.messages',
          'light passes keep updates on their page',
          null,
        ],
      ],
    },
  ],
  findings: [
    finding('CONSENT_NEEDED', 'own', {
      ...{ allow: ['ENDS_OLD_APP'], missing: ['ENDS_OLD_APP'], confirm: null },
      because: ['ENDS_OLD_APP: 002_give_messages_their_session: the old application reads the column'],
    }),
    finding('LEDGER_ABSENT', 'chat'),
  ],
}

test.each([40, 80])('a plan fits %i columns; only what is to be pasted may be wider', async width => {
  const text = await renderTable(plan, { color: false, verbose: false, width, wrap: true })
  await expect(text).toMatchFileSnapshot(`golden/plan-${width}.txt`)
  const wide = text.split('\n').filter(line => displayWidth(line) > width)
  expect(wide.filter(line => !/^(Next:| {4})\s*(rethread |--)/.test(line))).toEqual([])
})
