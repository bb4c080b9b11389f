import { describe, expect, expectTypeOf, test } from 'vitest'
import { type Code, codes } from '../src/model/codes.js'
import type { Facts, FactValue } from '../src/model/facts.js'
import { Failure, Failures, findingsOf, UsageError } from '../src/model/failure.js'
import { type Finding, finding } from '../src/model/report.js'
import { nearest } from '../src/model/similar.js'
import { example } from '../src/render/words/examples.js'
import { worded } from '../src/render/words/index.js'
import { holesIn } from './support/recorder.js'

/** Findings whose sentence takes another turn than that of their example: what may be null or empty is so. */
const others: Finding[] = [
  finding('EMPTY_FILE', 'a.sql', { reason: 'only comments' }),
  finding('EMPTY_ROLLBACK', 'a.sql', { reason: 'only comments' }),
  finding('BAD_SETTING', 'settings.x', { reason: 'track own has no such setting', known: [] }),
  finding('BULK_WRITE', 'a.sql:1', { table: 't', where: true, excused: 'it has ten rows' }),
  finding('SQUAWK', 'a.sql:1', { rule: 'r', message: 'm', help: null, excused: 'nobody reads it yet' }),
  finding('UNPROVABLE_STATEMENT', 'a.sql:1', { sql: 'alter table t drop column c', drops: true }),
  finding('UNFINISHED', 'a.sql', {
    outcome: 'started',
    direction: 'down',
    reached: 0,
    at: 'then',
    goneOn: false,
  }),
  finding('REHEARSED', 'chat_copy', { steps: 1, on: 'copy' }),
  finding('REHEARSAL_DIFFERS', 'chat_copy', { on: 'copy', objects: [] }),
  finding('NO_SERVER', 'nowhere:5432', { code: null, reason: 'no answer' }),
  finding('NO_SERVER', 'nowhere:5432', { code: 'ENOTFOUND', reason: 'ENOTFOUND' }),
  finding('MISSING_PRIVILEGE', 't', { wants: 'SELECT', owner: 'postgres', role: 'deployer' }),
  finding('MISSING_PRIVILEGE', 'schema rethread', { wants: 'LEDGER', owner: 'postgres', role: 'deployer' }),
  finding('MISSING_PRIVILEGE', 'database chat', { wants: 'CREATE', owner: null, role: 'deployer' }),
  finding('ROWS_HIDDEN', 't', { owner: 'postgres', forced: true, role: 'deployer' }),
  finding('ANOTHER_RUN', 'another run', { pid: null, waitedSeconds: 0 }),
  finding('TRACK_UNCLEAR', 'new', { reason: 'Name it', tracks: [], command: null, ask: 'rethread new a' }),
  finding('TRACK_UNCLEAR', 'track', {
    reason: 'None fits',
    tracks: ['own'],
    command: 'rethread init',
    ask: 'a',
  }),
  finding('STOPPED_BEFORE', '004', { why: 'target', because: null, left: 1, database: 'd', command: 'c' }),
  finding('CONSENT_NEEDED', 'own', { allow: [], missing: [], confirm: 'chat', because: ['a mutant locks'] }),
  finding('LOCK_TIMEOUT', 't', {
    attempts: 1,
    seconds: 1,
    sqlstate: '55P03',
    blockers: [],
    pids: [],
    prepared: [],
  }),
  finding('SQL_ERROR', 'a.sql', {
    sqlstate: null,
    reason: 'r',
    detail: null,
    hint: null,
    column: null,
    excerpt: null,
    context: null,
  }),
  finding('SQL_ERROR', 'a.sql', {
    sqlstate: '23505',
    reason: 'r',
    detail: 'd',
    hint: 'h',
    column: null,
    excerpt: null,
    context: 'PL/pgSQL function f() line 3',
  }),
  finding('QUARANTINED', 't', { rows: 3, migration: '004', takenOut: true, parts: false }),
  finding('QUARANTINED', 't', { rows: 3, migration: '004', takenOut: false, parts: true }),
  finding('FOREIGN_INVALID_INDEX', 'i', { builder: null }),
  finding('INTERRUPTED', '004', { command: 'rethread backfill --resume' }),
  finding('ROLLBACK_COST', 'own', { atRisk: null, command: 'c' }),
  finding('ROLLBACK_COST', 'own', { atRisk: 7, command: 'c' }),
  finding('PROBE_SKIPPED', 'access', { reason: 'seeding would fire t.tell', roles: [], role: null }),
  finding('POLICY_SCANS', 't', { rows: 1, filter: null }),
  finding('TARGET_NEEDED', 'rollback', { applied: [] }),
  finding('IRREVERSIBLE', '004', { reason: 'it is undone together with 003', undoneBy: '003', command: 'c' }),
  finding('NO_ARCHIVE', '', { known: [] }),
  finding('NO_ARCHIVE', '', { known: ['r7'] }),
  finding('DEMO_NEXT', 'own', { identical: false }),
  finding('UNEXPECTED', 'PostgresError', { reason: 'permission denied', by: 'server', code: '42501' }),
  finding('UNEXPECTED', 'Error', { reason: 'ENOSPC: no space left', by: 'system', code: 'ENOSPC' }),
  finding('USAGE', '--only x', { reason: 'there is no such check', known: [], meant: null, command: null }),
  finding('USAGE', '--workers x', { reason: 'it takes a number', known: [], meant: null, command: 'plan' }),
]

test('the facts are held to the codes, and to what JSON can carry', () => {
  expectTypeOf<keyof Facts>().toEqualTypeOf<Code>()
  expectTypeOf<Facts>().toExtend<Record<Code, Record<string, FactValue>>>()
})

test('a finding with facts that its sentence does not know does not compile', () => {
  // @ts-expect-error: the facts are left out
  finding('DUPLICATE_VERSION', 'a.sql')
  // @ts-expect-error: one of them is left out
  finding('DUPLICATE_VERSION', 'a.sql', { version: '3' })
  // @ts-expect-error: one is of another type
  finding('SEES_MORE', 't', { rows: '3' })
  // @ts-expect-error: one is of another code
  finding('SEES_MORE', 't', { rows: 3, table: 't' })
  // @ts-expect-error: the code has none
  finding('NO_TRACKS', '/srv', { reason: 'empty' })
  // @ts-expect-error: a failure is checked as a finding is
  new Failure('BAD_URL', 'x', {})
  // @ts-expect-error: where the code is one of two, the facts must suit both
  finding('SYNTAX' as 'SYNTAX' | 'BAD_URL' satisfies Code, 'x', { reason: 'r' })
  const found = finding('SEES_MORE', 't', { rows: 3 }) as Finding
  // @ts-expect-error: which facts there are depends on the code
  found.facts.rows
  if (found.code === 'SEES_MORE') expectTypeOf(found.facts.rows).toEqualTypeOf<number>()
  expect(finding('NO_TRACKS', '/srv').facts).toEqual({})
})

describe('every sentence is whole', () => {
  const all = [...Object.keys(codes).map(code => example(code as Code)), ...others]
  test.each(all.map(f => [f.code, f] as const))('%s', (_, f) => {
    expect(holesIn(worded(f))).toEqual([])
  })
})

describe('the findings that report an error', () => {
  const overflow = (() => {
    const deeper = (): number => 1 + deeper()
    try {
      return deeper()
    } catch (error) {
      return error
    }
  })()
  const coded = (code: string, more = {}) => Object.assign(new Error('said so'), { code, ...more })
  test.each([
    ['a failure', new Failure('NO_TRACKS', '/srv'), ['NO_TRACKS'], []],
    ['several', new Failures([finding('FITS', 'a'), finding('FITS', 'b')]), ['FITS', 'FITS'], []],
    ['wrong usage', new UsageError('--to x', 'no'), ['USAGE'], []],
    ['a stack overflow', overflow, ['UNEXPECTED'], ['RangeError', 'a fault of rethread']],
    ['a lost connection', coded('CONNECTION_CLOSED'), ['CONNECTION_LOST'], []],
    ['a server that goes', coded('57P01', { severity: 'FATAL' }), ['CONNECTION_LOST'], []],
    [
      'a refusal of the server',
      coded('42501', { severity: 'ERROR' }),
      ['UNEXPECTED'],
      ['said so (SQLSTATE 42501)'],
    ],
    ['a full disk', coded('ENOSPC', { syscall: 'write' }), ['UNEXPECTED'], ['The system']],
    ['a string', 'boom', ['UNEXPECTED'], ['boom']],
  ])('%s', (_, error, expected, parts) => {
    const found = findingsOf(error)
    expect(found.map(f => f.code)).toEqual(expected)
    for (const part of parts) expect(found.map(f => worded(f).message).join()).toContain(part)
  })
})

describe('what was probably meant', () => {
  const phases = ['expand', 'backfill', 'contract']
  test.each([
    ['expnd', 'expand'],
    ['Contract', 'contract'],
    ['bcakfill', 'backfill'],
    ['backfil', 'backfill'],
    ['later', null],
    ['', null],
  ])('%s: %s', (word, meant) => expect(nearest(word, phases)).toBe(meant))
})
