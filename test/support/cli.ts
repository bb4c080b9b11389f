import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Code } from '../../src/model/codes.js'
import type { Finding, FindingOf, Report, Summary } from '../../src/model/report.js'
import { root } from './database.js'
import { record } from './recorder.js'

/** What a command line came to. */
export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  /** The JSON report, when it was asked for. */
  report: Omit<Report, 'findings'> & {
    findings: (Finding & { message: string; fix: string | null })[]
    summary: Summary
  }
}

/** The environment of a command line: nothing of the machine's own that it would take for its target. */
const cleanEnv = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([k]) => !/^(PG|DATABASE_URL|CI$|NO_COLOR|FORCE_COLOR)/.test(k)),
  )

/**
 * Starts the command line that is built in a folder of the package, as a user's shell would; `node`
 * are flags of Node itself.
 */
export function start(
  args: string[],
  env: Record<string, string> = {},
  cwd = root,
  node: string[] = [],
  home = root,
): ChildProcess {
  return spawn(process.execPath, [...node, join(home, 'dist/cli/main.js'), ...args], {
    cwd,
    env: { ...cleanEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/**
 * Runs a command line to its end. The one that is built here runs in this process, which spares its start;
 * what is about a process, its signals and its end uses `start`. `npm run test:all` starts every one.
 */
export function rethread(
  url: string,
  args: string[],
  options: { cwd?: string; json?: boolean; env?: Record<string, string>; home?: string } = {},
): Promise<Ran> {
  const json = options.json ?? true
  const line = [...args, ...(json ? ['--format', 'json'] : [])]
  const env = url ? { DATABASE_URL: url } : {}
  // variables such as PGPASSWORD are read by the driver, from the environment of the process itself
  if (options.env || options.home || process.env.RETHREAD_ALL || process.env.RETHREAD_SOAK)
    return ended(start(line, { ...env, ...options.env }, options.cwd, [], options.home), json)
  return inProcess(line, env, options.cwd ?? root, json)
}

/** Runs a command line that must succeed, and whose report has no fault and no check that finds something. */
export async function quiet(url: string, args: string[], options: { cwd: string }): Promise<Ran> {
  const ran = await rethread(url, args, options)
  const loud = [
    ...ran.report.findings.filter(f => f.level === 'error' || f.level === 'refused').map(f => f.message),
    ...ran.report.checks
      .filter(c => c.outcome === 'failed' || c.found.some(f => !f.preExisting))
      .map(c => [c.check, c.found.map(f => f.detail)]),
  ]
  expect([args, ran.code, loud]).toEqual([args, 0, []])
  return ran
}

/** Calls what the program calls, with a process of which only the streams are ours. */
async function inProcess(
  args: string[],
  env: Record<string, string>,
  cwd: string,
  json: boolean,
): Promise<Ran> {
  const built = join(root, 'dist/cli/program.js')
  const { cli } = (await import(built)) as typeof import('../../src/cli/program.js')
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text
      return true
    },
  })
  const own = Object.assign(new EventEmitter(), {
    env: { ...cleanEnv(), ...env },
    cwd: () => cwd,
    stdin: {},
    stdout: stream('stdout'),
    stderr: stream('stderr'),
  })
  const code = await cli(args, own as unknown as NodeJS.Process)
  return ran(code, written.stdout, written.stderr, json)
}

export function ended(child: ChildProcess, json = true): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  child.stdout!.on('data', chunk => {
    stdout += chunk
  })
  child.stderr!.on('data', chunk => {
    stderr += chunk
  })
  return new Promise((done, failed) => {
    child.once('close', code => {
      try {
        done(ran(code, stdout, stderr, json))
      } catch (error) {
        failed(error)
      }
    })
  })
}

/** Reads what was written, and records the codes of the report. Throws where a sentence has a hole. */
function ran(code: number | null, stdout: string, stderr: string, json: boolean): Ran {
  let report = null
  try {
    report = json ? JSON.parse(stdout) : null
  } catch {
    // a killed process has no report
  }
  if (report) record((report as Ran['report']).findings ?? [])
  return { code, stdout, stderr, report: report as never }
}

/** The first finding of a report, which must be of this code. */
export function first<C extends Code>(ran: Ran, code: C): FindingOf<C> {
  const found = ran.report.findings[0]
  if (found?.code !== code) throw new Error(`the first finding is ${found?.code}, not ${code}`)
  return found as Finding as FindingOf<C>
}

/** The contract phase of workspace-sessions, with what it needs everywhere and these hazards. */
export const contractWith = (...more: string[]): string[] => [
  ...['--phase', 'contract', '--allow'],
  ['ENDS_OLD_APP', 'QUARANTINES_ROWS', ...more].join(','),
]
/** The consent that takes workspace-sessions all the way. */
export const contract = contractWith()
/** The consent that a rollback of everything needs, and these hazards. */
export const undoAll = (name: string, ...more: string[]): string[] => [
  ...['--all', '--allow'],
  // tests write and roll back within the minute
  ['DELETES_DATA', 'IGNORES_RECENT_WRITES', ...more].join(','),
  ...['--confirm', name],
]

/** A folder with this configuration, to run a command in. */
export function configured(config: object): string {
  const folder = mkdtempSync('/tmp/rethread-config-')
  writeFileSync(join(folder, 'rethread.config.json'), JSON.stringify(config))
  return folder
}
