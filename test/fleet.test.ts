import { describe, expect, test } from 'vitest'
import { type FleetValues, rolloutOf, selected } from '../src/fleet/fleet_options.js'
import { foldFindings } from '../src/fleet/fold_findings.js'
import { foldReports } from '../src/fleet/fold_reports.js'
import { foldSteps, plansTable } from '../src/fleet/fold_steps.js'
import { type FleetTarget, parseTargets } from '../src/fleet/parse_targets.js'
import { rollOut } from '../src/fleet/roll_out.js'
import { Failure, Failures } from '../src/model/failure.js'
import {
  emptyReport,
  exitCodes,
  type Finding,
  finding,
  type Report,
  type StepResult,
  type TargetReport,
  type Verdict,
  worstVerdict,
} from '../src/model/report.js'
import { worded } from '../src/render/words/index.js'

/** The findings that a list of databases is refused with, as `line: reason`. */
function faultsOf(text: string): string[] {
  try {
    parseTargets(text, 'tenants.txt')
    return []
  } catch (error) {
    const findings = error instanceof Failures ? error.findings : [(error as Failure).finding]
    return findings.map(f => `${f.subject}: ${(f.facts as { reason: string }).reason}`)
  }
}

describe('a list of databases', () => {
  test('names, URLs alone, comments, blanks, line ends of Windows', () => {
    const text = [
      '\uFEFF# tenants',
      'acme=postgres://app:pa%3Dss@db1/acme?sslmode=require',
      '',
      '  bolt = postgresql://db1:5433/bolt  ',
      'postgres://app:secret@DB2.example.com/corp',
      'postgres://db2.example.com:6000/corp',
      'postgres:///dune?host=/var/run/postgresql',
      '1234=postgres://db1/t1234',
    ].join('\r\n')
    expect(parseTargets(text, 'tenants.txt').map(t => t.name)).toEqual([
      'acme',
      'bolt',
      'corp@db2.example.com',
      'corp@db2.example.com:6000',
      'dune@local',
      '1234',
    ])
    expect(parseTargets(text, 'tenants.txt')[1]!.url).toBe('postgresql://db1:5433/bolt')
  })

  test('all lines that are wrong are named at once, and none is quoted', () => {
    const faults = faultsOf(
      [
        'acme=postgres://app:s3cr3t@db1/acme',
        'acme=postgres://app:s3cr3t@db1/other',
        'bolt=postgres://bob:s3cr3t@DB1:5432/acme',
        's3cr3t',
        'my name=postgres://db1/c',
        'd=mysql://app:s3cr3t@db1/d',
        'e=postgres://app:s3cr3t/x@db1/e',
        'f="postgres://app:s3cr3t@db1/f"',
        'g=postgres://app:s3cr3t@db1/g # the seventh',
        'h=postgres://app:s3cr3t@a,b/h',
        'i=',
        'postgres://db1/with%20blank',
      ].join('\n'),
    )
    expect(faults.map(f => f.replace('tenants.txt:', ''))).toEqual([
      '2: line 1 has the name `acme` too',
      '3: it leads to the same database as line 1',
      '4: it is neither `name=postgres://...` nor a URL',
      '5: its name may have letters, digits and _ . @ : - only, and begins with a letter or digit',
      '6: its URL cannot be used: it starts with `mysql://`',
      '7: its URL cannot be used: a / ? # or @ in its password is not encoded',
      '8: its URL is in quotes, which nothing takes off',
      '9: there is a blank within its URL; a comment has a line of its own',
      '10: its URL cannot be used: it names several hosts: name the primary alone',
      '11: its URL cannot be used: it is not a URL',
      '12: its database and host make no name: give it one, as in `name=postgres://...`',
    ])
    expect(faults.join('\n')).not.toContain('s3cr3t')
    expect(faultsOf('# nobody\n\n')).toEqual(['tenants.txt: there is no database in it'])
  })
})

const fleetOf = (n: number): FleetTarget[] =>
  Array.from({ length: n }, (_, i) => ({ name: `t${i}`, url: `postgres://h/t${i}` }))

const plain: FleetValues = {
  targets: 'tenants.txt',
  select: [],
  canary: null,
  wave: null,
  jobs: 2,
  stopAfter: null,
  deadline: null,
}

const reportOf = (name: string, verdict: Verdict, more: Partial<Report> = {}): TargetReport => ({
  name,
  exitCode: exitCodes[verdict],
  seconds: 1,
  report: { ...emptyReport('migrate'), verdict, ...more },
})

/** Runs a roll-out in which some databases come to something else than clean. */
async function play(
  n: number,
  options: Partial<FleetValues>,
  verdicts: Record<string, Verdict> = {},
  careful = true,
) {
  const targets = fleetOf(n)
  const stop = new AbortController()
  const log: string[] = []
  let atWork = 0
  let most = 0
  const ran = await rollOut(
    targets,
    rolloutOf(targets, { ...plain, ...options }, careful),
    stop.signal,
    async ({ name }) => {
      log.push(`+${name}`)
      most = Math.max(most, ++atWork)
      for (let turns = name.endsWith('2') ? 9 : 3; turns > 0; turns--) await Promise.resolve()
      atWork--
      log.push(`-${name}`)
      if (verdicts[name] === 'interrupted') stop.abort()
      return reportOf(name, verdicts[name] ?? 'clean')
    },
  )
  return { ...ran, log, most, started: ran.reports.flatMap(r => (r ? [r.name] : [])) }
}

describe('the order of the databases', () => {
  test('one goes first, alone; then the rest, no more at work than asked for', async () => {
    const { log, most, started, stop } = await play(7, { jobs: 3 })
    expect(log.slice(0, 2)).toEqual(['+t0', '-t0'])
    expect([most, started.length, stop]).toEqual([3, 7, null])
  })

  test('a wave begins when the one before it has ended', async () => {
    const { log } = await play(7, { wave: 2, jobs: 9 })
    for (const [before, after] of [
      ['-t1', '+t3'],
      ['-t2', '+t3'],
      ['-t4', '+t5'],
    ] as const)
      expect(log.indexOf(before)).toBeLessThan(log.indexOf(after))
    expect(log).toHaveLength(14)
  })

  test('a canary that fails stops everything, however many failures are allowed', async () => {
    const { started, stop } = await play(
      5,
      { canary: ['t3', 't1'], stopAfter: 4, jobs: 1 },
      { t3: 'refused' },
    )
    expect([started, stop]).toEqual([['t3'], { because: 'canary', failed: ['t3'] }])
    const together = await play(5, { canary: 2, stopAfter: 4 }, { t1: 'failed' })
    expect([together.started, together.stop?.because]).toEqual([['t0', 't1'], 'canary'])
  })

  test('attention stops nothing: a gate before the contract phase is no failure', async () => {
    const { started } = await play(4, {}, { t0: 'attention', t1: 'attention' })
    expect(started).toHaveLength(4)
  })

  test('no more are started after so many failures; those at work end', async () => {
    const one = await play(9, { canary: 0 }, { t1: 'failed' })
    expect(one.stop).toEqual({ because: 'failures', failed: ['t1'] })
    expect(one.started.length).toBeLessThan(5)
    expect(one.log.filter(l => l.startsWith('+'))).toHaveLength(one.log.length / 2)
    const three = await play(9, { stopAfter: 3, jobs: 1 }, { t1: 'failed', t4: 'refused', t6: 'failed' })
    expect(three.started).toEqual(['t0', 't1', 't2', 't3', 't4', 't5', 't6'])
    // the last of the list: nothing was left to stop
    expect((await play(3, {}, { t2: 'failed' })).stop).toBeNull()
  })

  test('commands that change nothing look at every database', async () => {
    const { started, stop } = await play(6, {}, { t0: 'failed', t3: 'refused' }, false)
    expect([started.length, stop]).toEqual([6, null])
  })

  test('once it was interrupted, no database is started', async () => {
    const { started, stop } = await play(6, { jobs: 1 }, { t2: 'interrupted' })
    expect([started, stop?.because]).toEqual([['t0', 't1', 't2'], 'interrupted'])
  })

  test('a name that the list does not have, and a number that is a name too', () => {
    const targets = [...fleetOf(3), { name: '2', url: 'postgres://h/two' }]
    const order = (canary: FleetValues['canary']) => rolloutOf(targets, { ...plain, canary }, true).groups[0]
    expect(order(3)).toEqual([0, 1, 2])
    const one = [{ name: '1', url: 'postgres://h/one' }]
    expect(rolloutOf(one, plain, true).groups).toEqual([[0]])
    expect(order(['2'])).toEqual([3])
    expect(() => order(2)).toThrow(/a number and the name/)
    expect(() => order(['t9'])).toThrow(Failure)
    expect(selected(targets, ['2', 't1']).map(t => t.name)).toEqual(['t1', '2'])
    expect(() => selected(targets, ['t'])).toThrow(/no database of the list/)
  })
})

const step = (migration: string, statements: string[], more: Partial<StepResult> = {}): StepResult => ({
  track: 'notes',
  migration,
  title: migration,
  direction: 'up',
  phase: 'expand',
  transaction: 'one',
  outcome: 'planned',
  durationMs: null,
  attempts: 0,
  reason: null,
  hazards: [],
  statements,
  rows: null,
  locks: [],
  traces: [],
  ...more,
})

const fold = (
  command: string,
  reports: (TargetReport | null)[],
  stop: Parameters<typeof foldReports>[0]['stop'] = null,
) => foldReports({ command, list: 'tenants.txt', targets: fleetOf(reports.length), reports, stop })

describe('one report of many', () => {
  test('a step that is the same in many plans is there once, in the order of the migrations', () => {
    const [a, b, c] = [step('001', ['a']), step('002', ['b']), step('003', ['c'])]
    const steps = foldSteps([
      reportOf('t0', 'clean', { steps: [c!] }),
      reportOf('t1', 'clean', { steps: [a!, c!] }),
      reportOf('t2', 'clean', {
        steps: [a!, b!, { ...c!, hazards: [{ code: 'SCANS_TABLE', subject: 'n', detail: 'd' }] }],
      }),
    ])
    expect(steps.map(s => [s.migration, s.hazards.length, s.targets])).toEqual([
      ['001', 0, ['t1', 't2']],
      ['002', 0, ['t2']],
      ['003', 0, ['t0', 't1']],
      ['003', 1, ['t2']],
    ])
  })

  test('a busy moment of a server makes no plan another one', () => {
    const steps = [step('001', ['a'])]
    const strained = finding('SERVER_STRAINED', 'own', { reasons: ['others are at work'] })
    const { rows } = plansTable([
      reportOf('t0', 'clean', { steps, findings: [strained] }),
      reportOf('t1', 'clean', { steps }),
    ])
    expect(rows).toEqual([[2, '1 step: 001', 'clean', 'all 2 databases']])
  })

  test('the same finding is said once with its databases, and many that differ are counted', () => {
    const of = (level: Finding['level'], n: number) =>
      finding('READ_ONLY_SERVER', `host${n}`, { why: 'it is a standby in recovery' }, level)
    const folded = foldFindings(
      Array.from({ length: 6 }, (_, n) =>
        reportOf(`t${n}`, 'failed', {
          target: { ...({} as NonNullable<Report['target']>), database: `db${n}` },
          findings: [
            finding('NOTHING_TO_DO', 'notes', { applied: 3, track: 'notes' } as never),
            finding('LEDGER_ABSENT', `db${n}`),
            of('refused', n),
            of('info', n),
          ],
        }),
      ),
      'tenants.txt',
    )
    expect(folded.map(f => [f.level, f.code, f.subject, f.targets!.names.length])).toEqual([
      ['refused', 'READ_ONLY_SERVER', 'host0', 1],
      ['refused', 'READ_ONLY_SERVER', 'host1', 1],
      ['refused', 'READ_ONLY_SERVER', 'host2', 1],
      ['refused', 'MORE_FINDINGS', 'READ_ONLY_SERVER', 3],
      ['info', 'NOTHING_TO_DO', 'notes', 6],
      ['info', 'LEDGER_ABSENT', '<database>', 6],
      ['info', 'MORE_FINDINGS', 'READ_ONLY_SERVER', 6],
    ])
  })

  test('a fix goes to the databases that have the finding, and to no others', () => {
    const found = finding('PENDING', 'notes', { count: 1, first: '001_notes' })
    const said = (names: string[], of: number, list = 'tenants.txt') =>
      worded({ ...found, targets: { names, of, list } })
    expect(said(['a', 'b'], 9).message).toMatch(/^a, b: 1 migration/)
    expect(said(['a', 'b'], 9).fix).toContain('rethread plan --targets tenants.txt --select a,b ')
    expect(said(['a', 'b'], 2).message).toMatch(/^All 2 databases: /)
    expect(said(['a', 'b'], 2, 'my list').fix).toContain("rethread migrate --targets 'my list' ")
    expect(said(['a', 'b', 'c', 'd', 'e'], 9).message).toMatch(/^a, b, c and 2 more: /)
  })

  test('the verdict is the worst; what was not started is no success', () => {
    expect(worstVerdict(['clean', 'attention', 'interrupted', 'failed', 'refused'])).toBe('refused')
    expect(worstVerdict(['clean', 'interrupted', 'failed'])).toBe('failed')
    expect(worstVerdict(['attention', 'interrupted'])).toBe('interrupted')
    const clean = reportOf('t0', 'clean')
    expect(fold('migrate', [clean]).verdict).toBe('clean')
    expect(fold('migrate', [clean, null], { because: 'interrupted', failed: [] }).verdict).toBe('interrupted')
    const stopped = fold('migrate', [reportOf('t0', 'failed'), null], { because: 'failures', failed: ['t0'] })
    expect([stopped.verdict, stopped.tables[0]!.rows[1]]).toEqual([
      'failed',
      ['t1', 'not started', null, null, null, 'NOT_STARTED', null, null],
    ])
  })

  test('a row counts what is left, also behind the gate of a phase, and nothing where nobody looked', () => {
    const target = { database: 'app' } as NonNullable<Report['target']>
    const gate = finding('STOPPED_BEFORE', '004', {
      left: 2,
      because: 'it ends the old application',
    } as never)
    const steps = [step('001', [], { outcome: 'done' }), step('002', [], { outcome: 'failed' })]
    const { tables } = fold('migrate', [
      reportOf('t0', 'failed', { target, steps, findings: [gate] }),
      reportOf('t1', 'failed', {
        findings: [finding('UNEXPECTED', 'Error', { reason: 'x', by: 'rethread', code: null })],
      }),
    ])
    expect(tables[0]!.rows).toEqual([
      ['t0', 'failed', 1, 3, 0, expect.any(String), 2, 1],
      ['t1', 'failed', null, null, null, 'UNEXPECTED', 2, 1],
    ])
  })
})
