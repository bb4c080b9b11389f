import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Code } from '../../src/model/codes.js'
import type { Finding, FindingOf, Report } from '../../src/model/report.js'
import { root } from './database.js'
import { record } from './recorder.js'

/** What a command line came to. */
export interface Ran {
  code: number | null
  stdout: string
  stderr: string
  /** The JSON report, when it was asked for. */
  report: Omit<Report, 'findings'> & { findings: (Finding & { message: string; fix: string | null })[] }
}

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
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([k]) => !/^(PG|DATABASE_URL|CI$|NO_COLOR|FORCE_COLOR)/.test(k)),
  )
  return spawn(process.execPath, [...node, join(home, 'dist/cli/main.js'), ...args], {
    cwd,
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs a command line to its end. */
export function rethread(
  url: string,
  args: string[],
  options: { cwd?: string; json?: boolean; env?: Record<string, string>; home?: string } = {},
): Promise<Ran> {
  const json = options.json ?? true
  const child = start(
    [...args, ...(json ? ['--format', 'json'] : [])],
    { ...(url ? { DATABASE_URL: url } : {}), ...options.env },
    options.cwd,
    [],
    options.home,
  )
  return ended(child, json)
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
      let report = null
      try {
        report = json ? JSON.parse(stdout) : null
      } catch {
        // a killed process has no report
      }
      try {
        if (report) record((report as Ran['report']).findings ?? [])
      } catch (error) {
        failed(error)
        return
      }
      done({ code, stdout, stderr, report: report as never })
    })
  })
}

/** The first finding of a report, which must be of this code. */
export function first<C extends Code>(ran: Ran, code: C): FindingOf<C> {
  const found = ran.report.findings[0]
  if (found?.code !== code) throw new Error(`the first finding is ${found?.code}, not ${code}`)
  return found as Finding as FindingOf<C>
}

/** The consent that takes workspace-sessions all the way. */
export const contract = ['--phase', 'contract', '--allow', 'ENDS_OLD_APP,QUARANTINES_ROWS']
/** The consent that a rollback of everything needs. */
export const undoAll = (name: string): string[] => [
  '--all',
  '--allow',
  // tests write and roll back within the minute
  'DELETES_DATA,IGNORES_RECENT_WRITES',
  '--confirm',
  name,
]

/** A folder with this configuration, to run a command in. */
export function configured(config: object): string {
  const folder = mkdtempSync('/tmp/rethread-config-')
  writeFileSync(join(folder, 'rethread.config.json'), JSON.stringify(config))
  return folder
}
