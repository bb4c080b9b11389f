import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { platform } from 'node:os'
import { resolve } from 'node:path'
import { maskUrl, secretsIn } from '../database/address.js'
import { type FleetTarget, parseTargets } from '../fleet/parse_targets.js'
import { Failure, isSystemError, UsageError, whyNotRead } from '../model/failure.js'
import { type Finding, finding } from '../model/report.js'

/** Prefix of a value of `--targets` that is a program. */
const programPrefix = 'command:'
/** Time limit of the program, in milliseconds. */
const programMs = 60_000
/** Limit of its output, in bytes: enough for some ten thousand databases. */
const programBytes = 4 * 2 ** 20

/** A list of databases. */
interface TargetList {
  targets: FleetTarget[]
  /** Its name in `--targets`. For a program without arguments, which may contain a secret. */
  name: string
  findings: Finding[]
}

/** Reads the list of `--targets`. Throws BAD_TARGETS, or USAGE for a command that needs a shell. */
export async function readTargetList(
  list: string,
  process: NodeJS.Process,
  signal: AbortSignal,
): Promise<TargetList> {
  if (list.startsWith(programPrefix)) {
    const [program = '', ...args] = list.slice(programPrefix.length).trim().split(/\s+/)
    const name = `${programPrefix}${program}`
    if (program === '' || /['"`$|&;<>*?\\(){}]/.test(list))
      throw new UsageError(
        '--targets',
        'it takes a program and its arguments, without a shell: put anything else into a script',
      )
    return { targets: parseTargets(await outputOf(program, args, process, signal), name), name, findings: [] }
  }
  const path = resolve(process.cwd(), list)
  try {
    const targets = parseTargets(readFileSync(path, 'utf8'), list)
    return { targets, name: list, findings: readableByOthers(path, list, targets) }
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new Failure('BAD_TARGETS', list, { reason: whyNotRead(error) }, error)
  }
}

/** A finding for a file with passwords that others may read. */
function readableByOthers(path: string, list: string, targets: FleetTarget[]): Finding[] {
  const mode = statSync(path).mode & 0o777
  const isOpen = platform() !== 'win32' && (mode & 0o044) !== 0
  return isOpen && targets.some(t => secretsIn(t.url).length > 0)
    ? [finding('TARGETS_READABLE', list, { mode: mode.toString(8).padStart(3, '0') })]
    : []
}

/** The output of a program. It gets no input. Its errors are only shown if it fails. */
function outputOf(
  program: string,
  args: string[],
  process: NodeJS.Process,
  signal: AbortSignal,
): Promise<string> {
  const options = {
    cwd: process.cwd(),
    env: process.env,
    timeout: programMs,
    maxBuffer: programBytes,
    killSignal: 'SIGKILL',
    signal,
  } as const
  return new Promise((done, failed) => {
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (!error) return done(stdout)
      if (signal.aborted)
        return failed(new Failure('INTERRUPTED', 'the list of databases', { command: null }))
      failed(
        new Failure('BAD_TARGETS', `${programPrefix}${program}`, { reason: whyFailed(error, stderr) }, error),
      )
    })
    child.stdin?.end()
  })
}

function whyFailed(error: Error & { code?: unknown; killed?: boolean }, stderr: string): string {
  const { code } = error
  if (code === 'ENOENT') return 'there is no such program'
  if (code === 'EACCES') return 'it may not be executed'
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `it printed more than ${programBytes / 2 ** 20} MB`
  if (error.killed) return `it took longer than ${programMs / 1000} s`
  const last = stderr.trim().split('\n').at(-1) ?? ''
  const how = typeof code === 'number' ? `it ended with exit code ${code}` : 'it was ended by a signal'
  return last === '' ? `${how} and no message` : `${how}: ${withoutUrls(last)}`
}

/** A line of a program's output, with masked URLs. */
const withoutUrls = (line: string): string =>
  line
    .replace(/[a-z][a-z0-9+.-]*:\/\/\S+/gi, url => maskUrl(url))
    .replace(/\b(\w*(?:password|passwd|pwd|secret|token)\w*["']?\s*[=:]\s*)\S+/gi, '$1***')
    .replace(/\.$/, '')
